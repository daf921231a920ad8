"""A timeline → the histogram of log2 |x| of a node in JSON, and what number formats would lose of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from gradhealth_kernels.exponent_table import FORMATS, spans_of

from ..nodes import Index
from ..store.cells import Cells, Grid
from ..store.timeline import Timeline
from .figures import listed

#: Where a node has nothing in the rows asked for, so many rows before and behind are looked at.
NEAR_ROWS = 16
#: What a cast does to elements: metrics of this name and a format's ``short``.
FATES = ("underflow", "subnormal", "overflow")


def has_histogram(timeline: Timeline) -> bool:
    return bool(spans_of(list(timeline.metrics)))


def histogram_of(timelines: Iterable[Timeline], asked: Timeline) -> Timeline | None:
    """The stream ``asked``, or one with a histogram of the same nodes: of the same kind of tensor, or the first one."""
    alike = [one for one in timelines if has_histogram(one) and one.tree.names == asked.tree.names]
    nearest = sorted(alike, key=lambda one: (one is not asked, one.what != asked.what))
    return next(iter(nearest), None)


def exponents(timeline: Timeline, node: int, begin: int, end: int) -> dict[str, Any]:
    """Of a node the histogram over the steps ``[begin, end)``, or of the nearest row that has one, with the steps of
    the rows that it is of, and how many were looked at."""
    which = np.array([node], np.intp)
    spans = spans_of(list(timeline.metrics))
    grid = _nearest(timeline, spans[0].name, which, timeline.fitting(begin, end, 1))
    lost = [f"{fate}_{form.short}" for form in FORMATS for fate in FATES]
    names = [span.name for span in spans] + [name for name in lost if name in timeline.metrics]
    shown, tally, covered = timeline.settled(
        lambda: (
            {name: _spread(timeline.cells(name, which, grid)) for name in names},
            timeline.tally(which, grid),
            timeline.covered(grid),
        )
    )
    return {
        "label": timeline.label,
        "what": timeline.what,
        "steps": list(covered or (grid.begin, grid.end)),
        "recorded": int(tally.recorded[0]),
        "with_data": int(tally.with_data[0, 0]),
        "counts": {name: int(plane[0, 0]) for name, plane in tally.counts.items()},
        "bins": [
            {
                "low": None if span.low == -math.inf else span.low,
                "high": None if span.high == math.inf else span.high,
                **shown[span.name],
            }
            for span in spans
        ],
        "formats": [
            {
                "name": form.name,
                "label": form.label,
                "zero": form.zero,
                "normal": round(math.log2(form.normal)),
                "largest": form.largest,
                **{fate: shown[f"{fate}_{form.short}"] for fate in FATES},
            }
            for form in FORMATS
            if all(f"{fate}_{form.short}" in shown for fate in FATES)
        ],
    }


def _nearest(timeline: Timeline, metric: str, which: Index, grid: Grid) -> Grid:
    """The cell of ``grid``, or of those around it the nearest one in which the node has the metric."""
    before = min(NEAR_ROWS, grid.begin // grid.width)
    around = Grid(grid.begin - before * grid.width, grid.width, before + 1 + NEAR_ROWS)
    found = np.flatnonzero(~np.isnan(timeline.plane(metric, which, around, "mean")[0]))
    if not len(found):
        return grid
    nearest = int(found[np.argmin(np.abs(found - before))])
    return Grid(around.begin + nearest * grid.width, grid.width, 1)


def _spread(cells: Cells) -> dict[str, Any]:
    return {plane: listed(getattr(cells, plane)[0])[0] for plane in ("mean", "min", "max")}
