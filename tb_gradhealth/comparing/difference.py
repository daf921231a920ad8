"""What :func:`diff` returns."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnosis.finding import Finding


@dataclass(frozen=True)
class Setting:
    """What was recorded differently. ``what``: "stream", "steps", "rows" (some steps in between are missing),
    "cadence", "metric", "tensor", "shape", "dtype", "threshold" or "logged"; ``name``: of a tensor, a metric or a
    scalar, if it is one. None where a run has no such thing."""

    what: str
    stream: str
    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Parting:
    """The first row in which a figure parts: of the steps ``[start, stop)``, of which ``plane`` ("mean", "min", "max"
    or "total") is ``a`` in one run and ``b`` in the other. ``relative`` as in :func:`diff`."""

    metric: str
    start: int
    stop: int
    plane: str
    a: float
    b: float
    relative: float


@dataclass(frozen=True)
class TensorDifference:
    """A tensor that parts. ``first``: of the metrics that part in its first row the first in the stream's table;
    ``metrics``: all that part at any step; ``largest``: the largest relative difference of ``first.metric``.

    ``trend``: of equal parts of the compared steps, the largest relative difference of ``first.metric``; NaN where
    there is no row.
    """

    stream: str
    name: str
    first: Parting
    metrics: tuple[str, ...]
    largest: float
    trend: tuple[float, ...]


@dataclass(frozen=True)
class LoggedDifference:
    """A scalar that parts, as :class:`TensorDifference`; "notes" are the steps that were skipped or not made."""

    name: str
    first: Parting
    largest: float
    trend: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """``steps``: compared, half-open; None where the runs have no row in common. ``tensors``: those that part first
    come first, and of these the ones that part most. ``rows``: of each stream, how many steps the rows that were
    compared are long at most. ``only_a``, ``only_b``: findings, other than notices, that the other run has not.
    ``problems``: sentences on what could not be compared or read."""

    tolerance: float
    steps: tuple[int, int] | None
    rows: dict[str, int]
    settings: tuple[Setting, ...]
    logged: tuple[LoggedDifference, ...]
    tensors: tuple[TensorDifference, ...]
    compared: int  # tensors, counted in each stream
    only_a: tuple[Finding, ...] = ()
    only_b: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs of what could be compared, neither in what was recorded nor in how; ``problems`` say
        what could not."""
        return not (self.settings or self.logged or self.tensors)

    @property
    def parted(self) -> int | None:
        """The first step of the first row that differs; None where the figures of all rows are the same."""
        firsts = [*(one.first for one in self.logged), *(one.first for one in self.tensors)]
        return min((one.start for one in firsts), default=None)
