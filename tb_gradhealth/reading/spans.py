"""Rows of a history, some at a time, from what of its files can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..store.cells import RowSpan
from ..store.history import SPAN_ROWS
from ..store.sessions import Lost
from ..store.timeline import Timeline

T = TypeVar("T")


def each(
    timeline: Timeline,
    begin: int,
    end: int,
    read: Callable[[RowSpan], T],
    steps: int = 1,
    most: int = SPAN_ROWS,
    given: int = 0,
) -> Iterator[T]:
    """``read`` of the rows that hold steps of ``[begin, end)``, in step order, at most ``most`` at a time: the finest,
    or those that show intervals of so many ``steps``.

    Where rows turn out to be unreadable, coarser ones that cover their steps are read instead. Of these, too, each step
    is given once: one that begins in rows already given, as those before the step ``given`` are, begins behind them.
    """
    at, most = begin, min(most, SPAN_ROWS)
    while (span := _next(timeline, at, end, steps)) is not None:
        if len(span) > most:
            span = _next(timeline, at, int(span.start[most]), steps)
            assert span is not None
        try:
            found = read(span.after(given))
        except Lost:
            timeline.forget_lost()
            continue
        at = given = int(span.stop[-1])
        yield found


def _next(timeline: Timeline, at: int, end: int, steps: int) -> RowSpan | None:
    """The first rows that reach beyond the step ``at``, which the end of a replaced session may lie at."""
    return next((span for span in timeline.rows(at, end, steps) if span.stop[-1] > at), None)
