"""A run that is watched, as a screen that stays in its place: on a terminal."""

from __future__ import annotations

import math
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from ..diagnosis import Diagnosis, Finding
from ..diagnosis.telling import figure, grouped, verdict
from .diagnosing import COLOURS
from .map import heatmap
from .sparkline import sparkline
from .status import TERMINATED
from .terminal import coloured, printable
from .watched import Watched, also, summary

# DEC private modes: the second screen, which leaves the first one as it was; the cursor; lines that wrap.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
#: How soon a terminal of another size is noticed, and how often the time since the last row is shown anew.
RESIZED_SECONDS, REDRAWN_SECONDS = 0.25, 1.0
#: Characters of a curve at most; of what stands beside it.
CURVE, BESIDE = 64, 40


class Screen:
    """Drawn anew in its place. A context manager that gives the terminal back as it was."""

    def __init__(self) -> None:
        self._waiting = ""
        self._heat: Sequence[str] = ()
        self._of: Diagnosis | None = None
        self._size: tuple[int, int] | None = None

    def wait_for(self, name: str) -> None:
        self._waiting = f"{printable(name)}: waiting for a run to begin (Ctrl-C ends)"
        self._draw([self._waiting])

    def show(self, watched: Watched) -> None:
        size = shutil.get_terminal_size()
        if watched.diagnosis is not self._of or size != self._size:
            self._heat = heatmap(watched.growing.run, watched.diagnosis, sys.stdout)
            self._of, self._size = watched.diagnosis, size
        self._draw(_picture(watched, self._heat, size.columns, size.lines - 1))

    def pause(self, seconds: float, watched: Watched | None) -> None:
        end = time.monotonic() + seconds
        drawn = time.monotonic()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, RESIZED_SECONDS))
            now = time.monotonic()
            if shutil.get_terminal_size() != self._size or now - drawn >= REDRAWN_SECONDS:
                drawn = now
                if watched is None:
                    self._draw([self._waiting])
                else:
                    self.show(watched)

    def _draw(self, lines: Sequence[str]) -> None:
        sys.stdout.write(HOME + "".join(f"{line}{END_OF_LINE}\n" for line in lines) + REST)
        sys.stdout.flush()

    def __enter__(self) -> Screen:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, _end)
        sys.stdout.write(ENTER)
        sys.stdout.flush()
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _picture(watched: Watched, heat: Sequence[str], columns: int, rows: int) -> list[str]:
    """At most ``rows`` lines; what does not fit of the findings is counted."""
    alarms = [one for one in watched.diagnosis.findings if one.severity != "notice"]
    hints = len(watched.diagnosis.findings) - len(alarms)
    said = printable(verdict(watched.diagnosis))
    head = [
        f"{coloured(printable(watched.name), 'bold', sys.stdout)}: {watched.pulse}, "
        + (coloured(watched.state, "yellow", sys.stdout) if watched.is_stalled else watched.state),
        *_curves(watched, columns),
        "",
        coloured(said, COLOURS[alarms[0].severity] if alarms else "green", sys.stdout),
    ]
    if (again := watched.growing.again) is not None:
        head.append(coloured(f"a session began again at step {again:,}: looked at anew", "dim", sys.stdout))
    foot = [*heat, ""]
    foot.append(coloured(f"{hints} {'hint' if hints == 1 else 'hints'}; Ctrl-C ends", "dim", sys.stdout))
    room = rows - len(head) - len(foot)
    if room < 3:  # a small terminal: findings matter more than the map
        foot = foot[-1:]
        room = rows - len(head) - len(foot)
    return [*head, *_findings(grouped(alarms), room), *foot][:rows]


def _curves(watched: Watched, columns: int) -> list[str]:
    logged = watched.growing.logged
    lines = []
    for name in ("loss", "lr"):
        values = [getattr(one, name) for one in logged]
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            curve = sparkline(values, max(8, min(CURVE, columns - BESIDE)))
            lines.append(f"{name:4} {finite[-1]:9.3g}  {curve}  {min(finite):.3g} to {max(finite):.3g}")
    return lines


def _findings(groups: Sequence[tuple[Finding, list[Finding]]], room: int) -> list[str]:
    """One line for each group, and below it evidence, cause and action where there is room for them."""
    if len(groups) > max(0, room):
        shown = max(0, room - 1)
        return [*(summary(one) + also(more) for one, more in groups[:shown]), f"… and {len(groups) - shown} more"]
    lines: list[str] = []
    left = room - len(groups)
    for one, more in groups:
        below = ["; ".join(map(figure, one.evidence))]
        below += [f"{what}: {texts[0]}" for what, texts in (("cause", one.causes), ("do", one.actions)) if texts]
        below = below[: max(0, left)]
        left -= len(below)
        lines.append(summary(one) + also(more))
        lines += [coloured(f"  {printable(line)}", "dim", sys.stdout) for line in below]
    return lines
