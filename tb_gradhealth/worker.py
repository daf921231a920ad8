"""A thread of our own behind the training thread, and how it ends."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Worker:
    """Runs ``run`` on a daemon thread once it is started, so that no hanging disk or rank keeps the process alive.

    ``wake`` is set when there is something to do, ``closing`` when there will be nothing more after it; by ``deadline``
    (monotonic clock) the thread should have ended.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.wake, self.closing = threading.Event(), threading.Event()
        self.deadline = math.inf
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, timeout: float) -> None:
        """Ask the thread to end within ``timeout`` seconds; does not wait."""
        self.deadline = time.monotonic() + timeout
        self.closing.set()
        self.wake.set()

    def left(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0.0, self.deadline - time.monotonic())

    def join(self) -> bool:
        """Wait until the deadline; whether the thread has ended. On the thread itself, where the garbage collector may
        close a writer, there is nothing to wait for."""
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(self.left())
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()
