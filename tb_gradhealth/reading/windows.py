"""The mean of a metric over some steps, from rows as fine as there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..nodes import Index
from ..rows import Floats, Ints
from ..store.cells import RowSpan
from ..store.timeline import Timeline
from .spans import each


@dataclass(frozen=True)
class Window:
    """``mean [node]`` over the steps of ``[start, stop)`` that have the metric, NaN where none has; these are steps of
    whole rows."""

    start: int
    stop: int
    mean: Floats


def window(timeline: Timeline, metric: str, which: Index, begin: int, end: int) -> Window | None:
    """``metric`` of the nodes ``which`` over the rows that hold steps of ``[begin, end)``; None where there is none.

    Each row's mean counts as many times as it has steps of which it is one. Raises KeyError for a metric that there is
    not.
    """
    over = 0 if timeline.metrics[metric].over == "all" else 1

    def read(span: RowSpan) -> tuple[Floats, Ints, Ints]:
        return span.metric(metric, which)[0], span.steps(which)[over], span.figures_of

    total, count = np.zeros(len(which)), np.zeros(len(which))
    start, stop = end, begin
    for mean, steps, figures_of in each(timeline, begin, end, read):
        there = ~np.isnan(mean) & (steps > 0)
        with np.errstate(over="ignore"):
            total += np.where(there, mean * steps, 0.0).sum(axis=0)
        count += np.where(there, steps, 0).sum(axis=0)
        start, stop = min(start, int(figures_of.min())), max(stop, int(figures_of.max()))
    if start >= stop:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return Window(start, stop, total / count)
