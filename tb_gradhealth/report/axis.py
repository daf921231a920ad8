"""The axis of the steps, which all drawings of a report share.

They are as wide as the page, whatever that is: coordinates along the steps are in percent, heights in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..diagnosis.finding import Finding
from ..diagnosis.telling import where
from .markup import percent

HEIGHT, TICKS = 20, 6
#: Percent: what is shorter would not be seen; a tick nearer to the right end would be cut off.
NARROWEST, END = 0.4, 6.0


@dataclass(frozen=True)
class Axis:
    """The steps ``[first, end)`` that a figure is as wide as."""

    first: int
    end: int

    def at(self, step: float) -> float:
        """Percent from the left edge to where a step begins."""
        return 100.0 * min(1.0, max(0.0, (step - self.first) / max(1, self.end - self.first)))

    def extent(self, start: int, stop: int) -> str:
        """Attributes of a rectangle over the steps ``[start, stop)``."""
        first = self.at(start)
        width = max(self.at(stop) - first, NARROWEST)
        return f'x="{percent(min(first, 100.0 - width))}" width="{percent(width)}"'

    def around(self, start: int, stop: int) -> str:
        """Attributes of a rectangle around these steps, which leaves what it is around to be seen."""
        first, end = self.at(start) - NARROWEST, self.at(stop) + NARROWEST
        return f'x="{percent(first)}" width="{percent(end - first)}"'

    def line(self, step: int) -> str:
        """Attributes of an upright line where a step begins."""
        x = percent(self.at(step))
        return f'x1="{x}" x2="{x}"'

    def ticks(self) -> list[int]:
        """Round steps, none of them too near the right end."""
        least = (self.end - self.first) / TICKS
        power = 10 ** math.floor(math.log10(max(1.0, least)))
        gap = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least)
        inside = range(-(-self.first // gap) * gap, self.end, gap)
        return [step for step in inside if self.at(step) < 100 - END]

    def drawing(self) -> str:
        marks = "".join(
            f'<line {self.line(step)} y1="0" y2="4"/><text x="{percent(self.at(step))}" y="16" '
            f'text-anchor="{"start" if step <= self.first else "middle"}">{step:,}</text>'
            for step in self.ticks()
        )
        return f'<svg class="axis" width="100%" height="{HEIGHT}" aria-hidden="true">{marks}</svg>'


@dataclass(frozen=True)
class Span:
    """A finding on the axis, under the number that it has in the report."""

    number: int
    finding: Finding

    @property
    def label(self) -> str:
        return f"{self.finding.type} in {where(self.finding)}"

    @property
    def steps(self) -> str:
        first, last = self.finding.start, self.finding.stop - 1
        return f"step {last:,}" if last == first else f"steps {first:,} to {last:,}"
