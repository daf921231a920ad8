"""What goes to a terminal: names that cannot command it, colours only where they are welcome, and progress."""

from __future__ import annotations

import os
import sys
import time
from typing import Literal, TextIO

Colour = Literal["bold", "dim", "red", "yellow", "green"]
_CODES: dict[Colour, int] = {"bold": 1, "dim": 2, "red": 31, "yellow": 33, "green": 32}

BAR = 24
#: What takes no longer needs no progress; a line that moves faster than this cannot be read.
QUIET_SECONDS, REDRAW_SECONDS = 1.0, 0.1
CLEAR = "\r\x1b[K"


def printable(text: str, most: int | None = None) -> str:
    """``text`` from a file as it may be shown, at most ``most`` characters: control and invisible ones, which could
    move the cursor, rename the window or turn the reading direction, are spelled out."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode("ascii") for one in text
    )
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def coloured(text: str, colour: Colour, stream: TextIO) -> str:
    """``text`` in a colour where ``stream`` is a terminal that has them and nobody objects (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def complain(text: str) -> None:
    """One sentence on standard error."""
    print(f"{coloured('gradhealth:', 'red', sys.stderr)} {printable(text)}", file=sys.stderr)


def size(count: float) -> str:
    """Bytes in at most four characters and a unit; 1 kB is 1000 bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 9.95 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def bar(share: float) -> str:
    """``[####....]``."""
    filled = int(BAR * share)
    return f"[{'#' * filled}{'.' * (BAR - filled)}]"


class Progress:
    """How far ``what`` is, on one line of standard error that goes away at the end; from its second second on and only
    on a terminal. A context manager."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = printable(what, 40)
        self._stream = sys.stderr if stream is None else stream
        self._moving = self._stream.isatty()
        self._began = time.monotonic()
        self._next = self._began + QUIET_SECONDS
        self._shown = False

    def __call__(self, done: float, total: float) -> None:
        share = min(1.0, done / total) if total else 1.0
        seconds = time.monotonic() - self._began
        left = f"  {_clock(seconds * (1 - share) / share)} left" if share > 0 else ""
        self._show(f"{bar(share)} {100 * share:3.0f} %{left}")

    def counted(self, done: int, what: str) -> None:
        """Where nobody knows yet how many there will be."""
        self._show(f"{done:,} {what}")

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if self._moving and now >= self._next:
            self._next = now + REDRAW_SECONDS
            self._shown = True
            self._stream.write(f"{CLEAR}{self._what}  {line}")
            self._stream.flush()

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self._shown:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
