"""How far something long has come, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType

#: Nothing is said of what takes less, and not more often than this. Seconds.
AFTER, EACH = 1.0, 0.5
#: The same where standard error is a file.
EACH_LINE = 30.0


class Progress:
    """``with Progress("recording", steps) as progress: … progress.at(step)``."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._on_terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._next = self._began + (AFTER if self._on_terminal else EACH_LINE)
        self._said = False

    def __enter__(self) -> Progress:
        return self

    def at(self, done: int) -> None:
        now = time.monotonic()
        if now < self._next or not done:
            return
        self._next = now + (EACH if self._on_terminal else EACH_LINE)
        left = (now - self._began) * (self._total - done) / done
        line = f"{self._what}: {100 * done / self._total:.0f} %, {left:.0f} s left"
        print(f"\r\033[K{line}" if self._on_terminal else line, end="" if self._on_terminal else "\n", file=sys.stderr)
        sys.stderr.flush()
        self._said = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._said and self._on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
