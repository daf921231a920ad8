"""What is known of a run that is being watched, in sentences."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator

from ..diagnosis import Diagnosis, Finding
from ..diagnosis.growing import Growing
from ..diagnosis.telling import figure, grouped, steps, verdict, where
from .diagnosing import COLOURS, LONGEST_NAME
from .terminal import coloured, printable

#: A run stands still when nothing has come for so long, and for so many times as long as it took before.
STALLED_SECONDS, STALLED_TIMES = 60.0, 3.0


class Watched:
    """A run, and when its last row came."""

    def __init__(self, name: str, growing: Growing, written: float) -> None:
        self.name, self.growing = name, growing
        self.diagnosis: Diagnosis = growing.diagnosis
        #: Whether the last look found anything new.
        self.news = False
        self._came = time.monotonic() - max(0.0, time.time() - written)
        self._longest = 0.0  # between two looks with something new
        self._looked = False

    def look(self, progress: Callable[[float, float], None]) -> None:
        self.news = self.growing.look(progress)
        if not self.news:
            return
        self.diagnosis = self.growing.diagnosis
        if self._looked:
            self._longest = max(self._longest, self.age)
            self._came = time.monotonic()
        self._looked = True

    @property
    def age(self) -> float:
        """Seconds since the last row came."""
        return time.monotonic() - self._came

    @property
    def is_stalled(self) -> bool:
        return not self.growing.is_closed and self.age > max(STALLED_SECONDS, STALLED_TIMES * self._longest)

    @property
    def state(self) -> str:
        """Whether it goes on."""
        if self.growing.is_closed:
            return "finished"
        if not self.diagnosis.steps[1]:
            return "waiting for the first row"
        return f"stalled for {clock(self.age)}" if self.is_stalled else f"last row {clock(self.age)} ago"

    @property
    def pulse(self) -> str:
        """Where the training is, in one line."""
        logged = self.growing.logged
        parts = [f"step {max(0, self.diagnosis.steps[1] - 1):,}"]
        for name in ("loss", "lr"):
            value = next((getattr(one, name) for one in reversed(logged) if not math.isnan(getattr(one, name))), None)
            if value is not None:
                parts.append(f"{name} {value:.3g}" if math.isfinite(value) else f"{name} not finite")
        if not self.growing.is_closed and not self.is_stalled:
            rate = self.growing.rate
            parts.append(f"{rate:,.0f} steps/s" if rate >= 100 else f"{rate:.2g} steps/s")
        return ", ".join(parts)

    def conclusion(self, told: bool) -> Iterator[str]:
        """The verdict, and the findings unless they were ``told`` one by one."""
        alarms = [one for one in self.diagnosis.findings if one.severity != "notice"]
        said = coloured(
            printable(verdict(self.diagnosis)), COLOURS[alarms[0].severity] if alarms else "green", sys.stdout
        )
        yield f"{printable(self.name)}: {self.state}, {self.pulse}: {said}"
        for one, explained in () if told else grouped(alarms):
            yield f"  {headline(one)}{also(explained)}"


def summary(one: Finding) -> str:
    """What a finding is, where and when."""
    name = printable(where(one))
    name = name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
    return f"{coloured(one.severity, COLOURS[one.severity], sys.stdout)} {printable(one.type)} in {name}, {steps(one)}"


def headline(one: Finding) -> str:
    """A finding in one line."""
    return f"{summary(one)}: {printable('; '.join(map(figure, one.evidence)))}"


def also(explained: list[Finding]) -> str:
    """The findings that another one explains, as a tail of its line."""
    if not explained:
        return ""
    types = list(dict.fromkeys(one.type for one in explained))
    return f" (explains {len(explained)} more: {printable(', '.join(types))})"


def clock(seconds: float) -> str:
    """``41 s``, ``3:05 min``, ``2:03:05 h``."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"
