"""A run that is watched, as lines that go on: for log files and pipes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..diagnosis import SEVERITIES, Finding, Severity
from ..diagnosis.telling import grouped
from .terminal import printable
from .watched import Watched, also, headline

#: A line at least so often, which says that the watch goes on.
HEARTBEAT_SECONDS = 60.0


@dataclass
class _Told:
    severity: Severity
    stop: int


class Lines:
    """One line for each finding that is new or graver than before, and one now and then that says where the run is."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], _Told] = {}  # by rule, type and node
        self._said = ""  # last, of what is said once
        self._began = False
        self._spoke = time.monotonic()

    def wait_for(self, name: str) -> None:
        self._say_once(f"{printable(name)}: waiting for a run to begin")

    def show(self, watched: Watched) -> None:
        name = printable(watched.name)
        if watched.news and (again := watched.growing.again) is not None:
            self._start_over(again)
            self._say(f"{name}: a session began again at step {again:,}: looked at anew from the first step on")
        new = [one for one in watched.diagnosis.findings if one.severity != "notice" and self._is_new(one)]
        for one, explained in grouped(new):
            self._say(f"{name}: {headline(one)}{also(explained)}")
        if not watched.diagnosis.steps[1]:
            self._say_once(f"{name}: waiting for the first row")
        elif watched.is_stalled:
            self._say_once(f"{name}: nothing new since step {watched.diagnosis.steps[1] - 1:,}: stalled")
        elif not (self._began or watched.growing.is_closed):
            self._began = True
            self._say(f"{name}: {watched.pulse}, {watched.state}")
        if time.monotonic() - self._spoke >= HEARTBEAT_SECONDS:
            self._say(f"{name}: {watched.pulse}, {watched.state}")

    def _is_new(self, one: Finding) -> bool:
        key = one.rule, one.type, one.node
        known = self._told.get(key)
        new = known is None or one.start >= known.stop
        graver = known is not None and SEVERITIES.index(one.severity) < SEVERITIES.index(known.severity)
        if known is None or new or graver or one.stop > known.stop:
            severity = one.severity if known is None or new or graver else known.severity
            self._told[key] = _Told(severity, one.stop)
        return new or graver

    def _start_over(self, step: int) -> None:
        """What was told of steps that have come anew is told again if it comes again."""
        for known in self._told.values():
            known.stop = min(known.stop, step)

    def _say_once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._say(line)

    def _say(self, line: str) -> None:
        self._spoke = time.monotonic()
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    def pause(self, seconds: float, watched: Watched | None) -> None:
        time.sleep(seconds)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass
