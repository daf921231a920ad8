"""A run that is being recorded → its diagnosis so far, again and again, each row read when it is new.

Rows near the end may still change: a sample of another stream may come for them, or a full row in place of a short one.
An engine is fed those that are settled, and a copy of it the others each time. So what is found in the end is
what :func:`diagnose` finds, and nothing waits for a stream that is seldom sampled.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..reading.find import last_written
from ..reading.opened import OpenRun
from . import settings as configured
from .diagnose import Diagnosis, concluded
from .engine import Engine
from .replay import Place, replay, row_width
from .row import Row
from .rule import Rule
from .rules import RULES

#: A stream of which nothing has come for so many of its rows, and for so many seconds, may have ended: rows do not wait
#: for it. If it comes even so, the run is read again.
SILENT_ROWS, SILENT_SECONDS = 4, 10.0
#: Looks from which the speed is taken.
PACED = 16


class Logged(NamedTuple):
    """What the loop logged in a row: NaN for nothing, infinite for a loss that is not finite."""

    step: int
    loss: float
    lr: float


class Growing:
    """One run. What it says is as of the last :meth:`look`; ``again`` is the step from which a session recorded anew
    what had been looked at, so that all of it was read again, and None where that was not so."""

    def __init__(self, run: OpenRun, settings: Mapping[str, Any] | None = None, rules: Sequence[Rule] = RULES) -> None:
        self.run = run
        self.again: int | None = None
        self._rules = configured.apply(settings, rules)
        self._patience = SILENT_ROWS
        self._seen: int | None = None  # where the rows ended at the last look
        self._streams: list[str] = []  # that there were
        self._times: deque[tuple[float, int]] = deque(maxlen=PACED)
        self._begin()

    def _begin(self) -> None:
        self._place, self._engine = Place(), Engine(self._rules)
        self._logged: list[Logged] = []
        self._ahead, self._logged_ahead = self._engine, list[Logged]()
        self._steps = 0, 0

    def look(self, progress: Callable[[float, float], None] = lambda done, total: None) -> bool:
        """Take in what was written since; True when anything was. ``progress`` is told how far it is."""
        changed = self.run.refresh() or self._seen is None
        if not self.run.streams:
            return False
        end = self.run.steps[1]
        self._times.append((time.monotonic(), end))
        if not changed:
            return False
        self.again = None
        if not self._place.fits(self.run, self._engine.wanted):
            self.again = self._place.rewound(self.run)
            if self.again is None and self._streams == self.run.streams:
                self._patience *= 2
            self._begin()
        self._feed(self._engine, self._place, self._logged, self._settled(), progress)
        self._seen, self._streams = end, self.run.streams
        self._ahead, self._logged_ahead = copy.deepcopy(self._engine), []
        self._feed(self._ahead, self._place.copy(), self._logged_ahead, None, progress)
        return True

    def _feed(
        self,
        engine: Engine,
        place: Place,
        logged: list[Logged],
        until: int | None,
        progress: Callable[[float, float], None],
    ) -> None:
        begin, end = self.run.steps
        for row in replay(self.run, engine.wanted, place=place, until=until):
            engine.add(row)
            logged.append(_logged(row, engine))
            self._steps = (self._steps[0] if self._steps[1] else row.start), row.stop
            progress(row.stop - begin, end - begin)

    def _settled(self) -> int:
        """The step up to which rows will stay as they are."""
        lead, *others = self.run.streams
        timeline, steps = self.run.timeline(lead), row_width(self.run)
        # What is new may be in one of the tiers, and not in the other yet.
        settled = min(timeline.complete_until(steps), timeline.end if self._seen is None else self._seen)
        for name in self._engine.wanted.keys() & set(others):
            one = self.run.timeline(name)
            silent = self._patience * max(steps, one.sessions[-1].schema.every) + SILENT_SECONDS * self.rate
            if one.complete_until(steps) >= timeline.end - silent:
                settled = min(settled, one.complete_until(steps))
        return settled

    @property
    def settled(self) -> int:
        """The step up to which what was recorded stays as it is."""
        return self._place.end

    @property
    def diagnosis(self) -> Diagnosis:
        return concluded(self._ahead, self.run, self._steps)

    @property
    def logged(self) -> list[Logged]:
        """Of each row."""
        return [*self._logged, *self._logged_ahead]

    @property
    def rate(self) -> float:
        """Steps a second: lately, or on the first look, since the session began."""
        if len(self._times) > 1:
            (before, first), (now, end) = self._times[0], self._times[-1]
            return max(0.0, (end - first) / max(1e-3, now - before))
        if not self.run.streams:
            return 0.0
        session = self.run.sessions[-1]
        seconds = last_written(self.run.directory) - session.wall_time
        return (session.stop - session.start) / seconds if seconds > 0 else 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the writer has ended, and not been killed. A stream of which nothing came before may follow."""
        last = [self.run.timeline(name).sessions[-1] for name in self.run.streams]
        return bool(last) and all(one.is_closed() for one in last if one.schema.session == last[0].schema.session)


def _logged(row: Row, engine: Engine) -> Logged:
    signals = engine.signals
    return Logged(row.start, math.inf if signals.loss_broke else signals.loss, signals.lr)
