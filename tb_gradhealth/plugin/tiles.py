"""A timeline → tiles of 64 nodes × 512 cells, in the bytes of ``http_api.md``."""

from __future__ import annotations

import struct
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..rows import NEVER, Floats
from ..store.cells import Grid
from ..store.codes import shuffle
from ..store.format import MAX_STEP
from ..store.timeline import Timeline, View

ROWS, COLUMNS = 64, 512
MAX_TILES = 15
MAX_LEVEL = 62

VIEWS: dict[View, str] = {
    "max": "max over steps",
    "mean": "mean over steps",
    "min": "min over steps",
    "worst": "worst tensor inside",
}
assert tuple(VIEWS) == get_args(View)

INCOMPLETE = 16  # a flag, beside those of store.cells
NO_DATA = 0x7FC0

_HEADER = struct.Struct("<4sBBHIIII")
_BF16_MAX = 3.3895313892515355e38
_BF16_MIN = 9.183549615799121e-41


def levels(timeline: Timeline) -> int:
    """Levels until the whole run fits in one tile's width."""
    level = 0
    while (timeline.end - 1) // (timeline.cell << level) - timeline.first // (timeline.cell << level) >= COLUMNS:
        level += 1
    return level + 1


def grid(timeline: Timeline, level: int, first_cell: int, count: int) -> Grid:
    """The cells ``[first_cell, first_cell + count)`` of a level, as far as the run has come."""
    width = min(timeline.cell << level, MAX_STEP)
    return Grid(first_cell * width, width, max(0, min(count, -(-timeline.end // width) - first_cell)))


def tile(timeline: Timeline, metric: str, view: View, level: int, row: int, column: int, revision: int) -> bytes:
    """One tile; beyond the edge of tree or run it is empty, not an error."""
    cells = grid(timeline, level, column * COLUMNS, COLUMNS)
    which = np.arange(row * ROWS, min((row + 1) * ROWS, len(timeline.tree)), dtype=np.intp)
    values = np.full((ROWS, COLUMNS), NO_DATA, np.uint16)
    seen = np.zeros((ROWS, COLUMNS), np.uint8)
    fraction = timeline.metrics[metric].kind == "fraction"
    if len(which) and cells.count:
        shown, flagged = timeline.settled(
            lambda: (shown_in(timeline, metric, view, which, cells), flags(timeline, which, cells))
        )
        values[: len(which), : cells.count] = bf16(folded(shown) if fraction else shown)
        seen[: len(which), : cells.count] = flagged
    header = _HEADER.pack(b"GHT1", int(fraction), level, len(which), row, column, cells.count, revision)
    return b"".join([header, shuffle(values), seen.tobytes()])


def shown_in(timeline: Timeline, metric: str, view: View, which: Index, cells: Grid) -> Floats:
    """``[node, cell]``, NaN where no step had the metric."""
    if view == "worst":
        return timeline.worst(metric, which, cells)
    return timeline.plane(metric, which, cells, view)


def flags(timeline: Timeline, which: Index, cells: Grid) -> npt.NDArray[np.uint8]:
    """``[node, cell]``, as in a tile."""
    seen = timeline.flags(which, cells)
    if cells.end > timeline.end:
        seen[:, -1] |= INCOMPLETE
    return seen


def bf16(values: Floats) -> npt.NDArray[np.uint16]:
    """Rounded to nearest even; a finite value stays finite and what is not zero stays so, NaN is "no data"."""
    size = np.abs(values)
    kept = np.where((size > 0) & np.isfinite(size), np.clip(size, _BF16_MIN, _BF16_MAX), size)
    bits = np.copysign(kept, values).astype(np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(NO_DATA), rounded)


def folded(fractions: Floats) -> Floats:
    """Fractions above 1/2 as -(1 - f), so that 0.998 keeps its difference from 1; exactly 1 is -0.0."""
    return np.where(fractions > 0.5, -(1.0 - fractions), fractions)


def cell(timeline: Timeline, node: int, level: int, index: int) -> dict[str, Any]:
    """The figures behind one cell. Raises IndexError for a node or cell that the run does not have."""
    return timeline.settled(lambda: _cell(timeline, node, level, index))


def _cell(timeline: Timeline, node: int, level: int, index: int) -> dict[str, Any]:
    if not 0 <= node < len(timeline.tree):
        raise IndexError(f"node: expected 0 to {len(timeline.tree) - 1}, got {node}")
    cells = grid(timeline, level, index, 1)
    covered = timeline.covered(cells) if cells.count else None
    if covered is None:
        raise IndexError(f"index: no step was recorded in cell {index} of level {level}")
    which = np.array([node], np.intp)
    tally = timeline.tally(which, cells)
    first_bad = int(tally.first_bad[0, 0])
    metrics = {}
    for name in timeline.metrics:
        values = timeline.cells(name, which, cells)
        worst = timeline.worst_row(name, node, cells)
        metrics[name] = {
            "mean": _number(values.mean),
            "min": _number(values.min),
            "max": _number(values.max),
            "worst": _number(timeline.worst(name, which, cells)),
            "worst_node": worst and worst[0],
            "worst_steps": worst and list(worst[1:]),
        }
    return {
        "node": node,
        "steps": list(covered),
        "recorded": int(tally.recorded[0]),
        "with_data": int(tally.with_data[0, 0]),
        "first_bad": None if first_bad == NEVER else first_bad,
        "counts": {name: int(plane[0, 0]) for name, plane in tally.counts.items()},
        "metrics": metrics,
    }


def _number(plane: Floats) -> float | None:
    value = float(plane[0, 0])
    return None if np.isnan(value) else value
