"""What belongs to a whole training: the norm of each stream, what the loop logged, steps that the optimizer skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..reading.choose import row_steps
from ..reading.spans import each
from ..store.cells import Cells, Grid, RowSpan
from ..store.scalars import Scalar
from ..store.timeline import Timeline
from .figures import listed
from .logged import Curve, Curves

NORM = "norm"
WHOLE = np.zeros(1, np.intp)
#: Notes of steps that were not made.
UNMADE = ("skipped", "not_stepped")
#: Rows that scalars are read of, and notes that are counted: a bound on the time that an answer takes.
MAX_ROWS, MAX_NOTES = 4096, 10_000
#: Rows whose scalars are in memory together: a row's may be tens of thousands.
ROWS_AT_ONCE = 16


def overview(timelines: Mapping[str, Timeline], begin: int, end: int, cells: int) -> dict[str, Any]:
    """All of it over the steps ``[begin, end)``, in at most ``cells`` cells; of several streams the first one leads."""
    lead = next(iter(timelines.values()))
    grid = lead.fitting(begin, end, cells)
    series = [
        _series(stream, _norm_of(timeline.label or stream), NORM, _norm(timeline, grid))
        for stream, timeline in timelines.items()
        if not timeline.sampled
        if NORM in timeline.metrics
    ]
    series += [_series(name, name, kind, curve) for kind, name, curve in logged(lead, grid).items()]
    return {"edges": grid.edges.tolist(), "series": series, "skipped": skipped(lead, grid)}


def _norm(timeline: Timeline, grid: Grid) -> Cells:
    """Of the whole stream: ``[1, cell]``."""
    return timeline.settled(lambda: timeline.cells(NORM, WHOLE, grid))


def logged(timeline: Timeline, grid: Grid) -> Curves:
    """What the loop logged, from at most about :data:`MAX_ROWS` rows."""
    curves = Curves(grid)
    steps = row_steps(timeline.cell, grid.begin, grid.end, MAX_ROWS, None)
    for rows in each(timeline, grid.begin, grid.end, _scalars, steps, ROWS_AT_ONCE):
        for start, stop, scalars in rows:
            curves.add(start, stop, scalars)
    return curves


def _scalars(span: RowSpan) -> list[tuple[int, int, dict[str, Scalar]]]:
    bounds = zip(span.start.tolist(), span.stop.tolist(), strict=True)
    return [(start, stop, span.scalars(row)) for row, (start, stop) in enumerate(bounds)]


def skipped(timeline: Timeline, grid: Grid) -> list[int]:
    """In how many steps of each cell the optimizer's step was skipped or never came, of the first :data:`MAX_NOTES`
    notes."""
    last = min(grid.end, timeline.end) - 1
    # What came after the run's last step stands behind it.
    notes, _ = timeline.notes(grid.begin, last + 1 + (last + 1 == timeline.end), MAX_NOTES)
    places = [(min(note.step, last) - grid.begin) // grid.width for note in notes if note.kind in UNMADE]
    counted: list[int] = np.bincount(np.array(places, np.intp), minlength=grid.count).tolist()
    return counted


def _norm_of(label: str) -> str:
    """ "Gradients (applied)" → "Gradient norm (applied)"; any other stream's is named after it."""
    about = label.removeprefix("Gradients")
    return f"Gradient norm{about}" if about != label else f"{label}: norm"


def _series(name: str, label: str, kind: str, cells: Cells | Curve) -> dict[str, Any]:
    planes = {plane: listed(np.ravel(getattr(cells, plane))) for plane in ("mean", "min", "max")}
    return {"name": name, "label": label, "kind": kind, **planes}
