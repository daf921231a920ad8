"""A timeline → the figures of single nodes in JSON: one value each, lines over the steps, rows with all they hold."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..nodes import Index
from ..notes import written
from ..reading.spans import each
from ..rows import NEVER, Floats
from ..store.cells import RowSpan
from ..store.timeline import Timeline, View
from . import tiles
from .logged import few, mean

MAX_NODES, MAX_CELLS, MAX_ROWS = 16, 2048, 200


def values(timeline: Timeline, metric: str, view: View, begin: int, end: int) -> dict[str, Any]:
    """One value of every node over the steps ``[begin, end)``, and the steps of the rows that it is of."""
    grid = timeline.fitting(begin, end, 1)
    every = np.arange(len(timeline.tree), dtype=np.intp)
    shown, covered = timeline.settled(
        lambda: (tiles.shown_in(timeline, metric, view, every, grid), timeline.covered(grid))
    )
    return {"steps": list(covered or (grid.begin, grid.end)), "values": listed(shown[:, 0])}


def lines(timeline: Timeline, metric: str, which: Index, begin: int, end: int, cells: int) -> dict[str, Any]:
    """Mean, min and max of some nodes in at most so many cells."""
    grid = timeline.fitting(begin, end, cells)
    shown, flags = timeline.settled(lambda: (timeline.cells(metric, which, grid), tiles.flags(timeline, which, grid)))
    return {
        "edges": grid.edges.tolist(),
        "lines": [
            {
                "node": int(node),
                "mean": listed(shown.mean[line]),
                "min": listed(shown.min[line]),
                "max": listed(shown.max[line]),
                "flags": flags[line].tolist(),
            }
            for line, node in enumerate(which)
        ],
    }


def rows(timeline: Timeline, node: int, begin: int, end: int) -> dict[str, Any]:
    """The first :data:`MAX_ROWS` of the finest rows that touch the steps ``[begin, end)``, with all that is known."""
    which, names = np.array([node], np.intp), list(timeline.metrics)
    spans = each(timeline, begin, end, lambda span: _rows(span, names, which), most=MAX_ROWS)
    found = list(itertools.islice(itertools.chain.from_iterable(spans), MAX_ROWS + 1))
    return {"rows": found[:MAX_ROWS], "complete": len(found) <= MAX_ROWS}


def _rows(span: RowSpan, names: list[str], which: Index) -> list[dict[str, Any]]:
    with_data, _, first_bad = span.steps(which)[:, :, 0].tolist()
    counts = span.counts(which)[:, :, 0].T.tolist()
    metrics = {name: [listed(plane[:, 0]) for plane in span.metric(name, which)] for name in names}
    return [
        {
            "steps": [start, stop],
            "recorded": recorded,
            "with_data": with_data[row],
            "first_bad": None if first_bad[row] == NEVER else first_bad[row],
            "counts": dict(zip(span.count_names, counts[row], strict=True)),
            "metrics": {
                name: {"mean": middle[row], "min": low[row], "max": high[row]}
                for name, (middle, low, high) in metrics.items()
            },
            "logged": {
                name: {"mean": written(mean(one)), "min": figure(one.min), "max": figure(one.max)}
                for name, one in few(span.scalars(row)).items()
            },
        }
        for row, (start, stop, recorded) in enumerate(
            zip(span.start.tolist(), span.stop.tolist(), span.recorded.tolist(), strict=True)
        )
    ]


def listed(numbers: Floats) -> list[float | str | None]:
    """Numbers as JSON has them: None for NaN, which is no data, and infinities spelled out."""
    found: list[Any] = numbers.tolist()
    for place in np.flatnonzero(~np.isfinite(numbers)).tolist():
        found[place] = figure(found[place])
    return found


def figure(number: float) -> float | str | None:
    return None if number != number else written(number)
