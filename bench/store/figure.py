"""One measured figure, and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


class WrongResult(RuntimeError):
    """What was read back is not what was recorded, so figures mean nothing."""


@dataclass(frozen=True)
class Figure:
    """``value`` in ``unit``; ``limit`` is the largest that is good, or the least, if ``at_least``."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def quantiles(
    name: str, seconds: Sequence[float], cpu: Sequence[float], limit: float | None, note: str = ""
) -> list[Figure]:
    """Median and 95th percentile in ms of times by the clock, which the limit is for, with the CPU time beside them."""
    found = []
    for what, quantile, most in (("median", 50, None), ("p95", 95, limit)):
        clock, own = (1e3 * float(np.percentile(each, quantile)) for each in (seconds, cpu))
        beside = f"{own:.1f} ms of CPU"
        found.append(Figure(f"{name}, {what}", clock, "ms", most, note=f"{beside}, {note}" if note else beside))
    return found
