"""Interval rows and their merge over TIME.

A row covers the steps ``[start, stop)``: for each metric and node Σ, min and max over the steps that have it, and
for each node the steps with data, the totals of the counts and the first bad step. A single step is a row of length 1;
rows merge by ``+``, ``min``, ``max`` into longer rows. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradhealth_kernels import figures, metrics
from gradhealth_kernels.statistics import COUNTS, Entries

#: "No bad step": the neutral element of min over step numbers.
NEVER = np.iinfo(np.int64).max

#: The three values kept of a metric over an interval: how they merge, and their value over no step at all.
AGGREGATES: tuple[tuple[str, np.ufunc, float], ...] = (
    ("sum", np.add, 0.0),
    ("min", np.minimum, np.inf),
    ("max", np.maximum, -np.inf),
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Interval rows, in step order."""

    start: Ints  # [row], steps
    stop: Ints  # [row], steps
    recorded: Ints  # [row], steps measured; fewer than stop - start where some could not be
    steps: Ints  # [row, node], steps in which the node had at least one element
    finite_steps: Ints  # [row, node], of those, steps with at least one finite element
    first_bad: Ints  # [row, node], first step with a NaN or Inf, NEVER if none
    counts: Ints  # [count, row, node], totals, in the order of COUNTS
    sum: Floats  # [metric, row, node]
    min: Floats  # [metric, row, node], +inf where no step has the metric
    max: Floats  # [metric, row, node], -inf where no step has the metric

    def __len__(self) -> int:
        return len(self.start)

    def steps_of(self, over: str) -> Ints:
        """Steps ``[row, node]`` that a mean of a metric runs over; ``over`` as in the table of metrics."""
        return self.finite_steps if over == "finite" else self.steps


def from_steps(first_step: int, entries: Entries, chosen: Sequence[metrics.Metric] = metrics.METRICS) -> Rows:
    """One row a step from ``entries [step, node]`` of the steps ``first_step, first_step + 1, …``."""
    start = np.arange(first_step, first_step + len(entries), dtype=np.int64)
    values = metrics.compute(entries, chosen)
    bad = figures.nonfinite(entries) > 0
    missing = np.isnan(values)
    return Rows(
        start=start,
        stop=start + 1,
        recorded=np.ones(len(start), np.int64),
        steps=(entries["count"] > 0).astype(np.int64),
        finite_steps=(figures.finite(entries) > 0).astype(np.int64),
        first_bad=np.where(bad, start[:, None], NEVER),
        counts=np.stack([entries[name] for name in COUNTS]),
        **{name: np.where(missing, neutral, values) for name, _, neutral in AGGREGATES},
    )


def merge(rows: Rows, groups: npt.ArrayLike) -> Rows:
    """Merge runs of consecutive rows: ``groups`` holds the index of each group's first row, ascending from 0."""
    first = np.asarray(groups, np.intp)
    if len(rows) == 0 or len(first) == 0 or first[0] != 0:
        raise ValueError(f"expected group starts that begin at row 0 of {len(rows)} rows, got {first.tolist()}")

    def merged(combine: np.ufunc, values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        if len(first) == 1:  # the common case, and much the faster way
            return np.asarray(combine.reduce(values, axis=axis, keepdims=True))
        return np.asarray(combine.reduceat(values, first, axis=axis))

    with np.errstate(over="ignore", invalid="ignore"):
        aggregates = {name: merged(combine, getattr(rows, name), 1) for name, combine, _ in AGGREGATES}
    return Rows(
        start=rows.start[first],
        stop=merged(np.maximum, rows.stop, 0),
        recorded=merged(np.add, rows.recorded, 0),
        steps=merged(np.add, rows.steps, 0),
        finite_steps=merged(np.add, rows.finite_steps, 0),
        first_bad=merged(np.minimum, rows.first_bad, 0),
        counts=merged(np.add, rows.counts, 1),
        **aggregates,
    )


def join(one: Rows, other: Rows) -> Rows:
    """The merge of two rows of the same nodes, ``other`` behind ``one``."""
    with np.errstate(over="ignore", invalid="ignore"):
        aggregates = {name: combine(getattr(one, name), getattr(other, name)) for name, combine, _ in AGGREGATES}
    return Rows(
        start=one.start,
        stop=other.stop,
        recorded=one.recorded + other.recorded,
        steps=one.steps + other.steps,
        finite_steps=one.finite_steps + other.finite_steps,
        first_bad=np.minimum(one.first_bad, other.first_bad),
        counts=one.counts + other.counts,
        **aggregates,
    )


def concatenate(parts: list[Rows]) -> Rows:
    """Rows of ``parts`` one after the other; each has the same nodes."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined = {}
    for name, value in vars(first).items():
        axis = value.ndim - 2 if value.ndim > 1 else 0
        joined[name] = np.concatenate([getattr(part, name) for part in parts], axis=axis)
    return Rows(**joined)


def take(rows: Rows, index: int) -> Rows:
    """Row ``index`` alone."""
    one = slice(index, index + 1)
    return Rows(**{name: value[one] if value.ndim < 3 else value[:, one] for name, value in vars(rows).items()})
