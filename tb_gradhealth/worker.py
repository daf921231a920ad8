"""A thread of our own behind the training thread, and how it ends."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable


class Worker:
    """Runs ``run`` on a daemon thread once it is started, so that no hanging disk or rank keeps the process alive.

    ``closing`` is set when there will be nothing more to do; by ``deadline`` (monotonic clock) the thread should have
    ended.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.closing = threading.Event()
        # Waking costs the training thread a third of what setting an Event does, and may happen wherever the garbage
        # collector runs.
        self._signals: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.deadline = math.inf
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    def wake(self) -> None:
        """There is something to do."""
        if self._signals.empty():
            self._signals.put(None)

    def wait(self, timeout: float | None) -> None:
        """Until there is something to do, at most ``timeout`` seconds; called on the thread."""
        with contextlib.suppress(queue.Empty):
            self._signals.get(timeout=timeout)

    def finish(self, timeout: float) -> None:
        """Ask the thread to end within ``timeout`` seconds; does not wait."""
        self.deadline = time.monotonic() + timeout
        self.closing.set()
        self.wake()

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
