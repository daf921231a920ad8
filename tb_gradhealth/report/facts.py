"""What a run is, in a few figures."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from ..plugin.overview import UNMADE
from ..reading.opened import Logged, OpenRun
from ..store.cells import BAD, Grid
from .figures import Figures
from .markup import number

#: Notes that are counted.
NOTES = 10_000


def facts(run: OpenRun, figures: Figures) -> list[tuple[str, str]]:
    """Name and value, as plain text."""
    timeline = run.timeline()
    first, end = run.steps
    sizes = [int(np.prod(one.shape or (), dtype=object)) for one in timeline.tensors.values()]
    begun = datetime.fromtimestamp(run.sessions[0].wall_time, timezone.utc)
    again = f", continued {len(run.sessions) - 1} ×" if len(run.sessions) > 1 else ""
    found = [
        ("steps", f"{_range(first, end)}, a row each {_steps(timeline.cell)}"),
        ("tensors", f"{len(sizes):,} of {_short(sum(sizes))} elements"),
        ("recorded", f"{begun:%Y-%m-%d %H:%M} UTC{again}"),
    ]
    if (loss := _loss(run, figures)) is not None:
        found.append(loss)
    if (rates := figures.rates()) is not None:
        low, high = map(number, rates)
        found.append(("learning rate", low if low == high else f"{low} to {high}"))
    counts = timeline.tally(np.zeros(1, np.intp), Grid(first, end - first, 1)).counts
    bad = sum(int(counts[name].sum()) for name in BAD if name in counts)
    found.append(("not finite", f"{bad:,} elements of gradients" if bad else "no element of any gradient"))
    notes, _ = timeline.notes(first, end + 1, NOTES)
    if skipped := sum(note.kind in UNMADE for note in notes):
        found.append(("steps not made", f"{'more than ' if len(notes) == NOTES else ''}{skipped:,}"))
    found.append(("streams", ", ".join(run.timeline(stream).label or stream for stream in run.streams)))
    return found


def _loss(run: OpenRun, figures: Figures) -> tuple[str, str] | None:
    """Start, best and end, of the finest rows that there are at these places."""
    found = figures.loss()
    if found is None:
        return None
    name, curve = found
    there = np.flatnonzero(curve.count > 0)
    if not len(there):
        return None
    start, end = (_logged(run, name, figures, int(cell)) for cell in (there[0], there[-1]))
    said = f"{number(float(start.mean[0]))} → {number(float(end.mean[-1]))}"
    if np.isfinite(curve.min).any():
        best = _logged(run, name, figures, int(np.nanargmin(curve.min)))
        row = int(np.nanargmin(best.min))
        said += f", best {number(float(best.min[row]))} {_at(*best.steps[row].tolist())}"
    return name, said


def _logged(run: OpenRun, name: str, figures: Figures, cell: int) -> Logged:
    first, end = run.steps
    begin, stop = figures.edges[cell : cell + 2].tolist()
    return run.scalars(steps=(max(first, begin), min(end, stop)))[name]


def _at(start: int, stop: int) -> str:
    return f"at step {start:,}" if stop == start + 1 else f"in steps {_range(start, stop)}"


def _range(start: int, stop: int) -> str:
    return f"{start:,}" if stop == start + 1 else f"{start:,} to {stop - 1:,}"


def _steps(count: int) -> str:
    return "step" if count == 1 else f"{count:,} steps"


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
