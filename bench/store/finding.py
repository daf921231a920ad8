"""Whether what happens to one tensor at one step is seen, at every zoom, in the tiles that the tab gets."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from tb_gradhealth.nodes import Index, Tree
from tb_gradhealth.store.timeline import Timeline

from .alone import extent, shown
from .progress import Progress
from .screen import COLUMNS, ROWS, Shown, Tile, decoded
from .training import KINDS, Events

#: Codes are within 0.18 %, and a tile's values are bf16.
TOLERANCE = 0.0018 + 2.0**-8
#: Where each kind shows: its own view of the tensor, and the metric whose worst tensor inside every module it is.
VIEW = {"spike": ("norm", "max"), "drop": ("norm", "min"), "nan": ("nonfinite", "max")}
WORST = {"spike": "norm", "drop": "near_zero_fraction", "nan": "nonfinite"}
NAN = 1  # a flag


def seen(timeline: Timeline, events: Events, progress: Progress) -> dict[str, float]:
    """Least share over the zooms of events that are visible: of spikes, drops and NaN in their own views, and of all in
    "worst tensor inside" of each module above them and of the whole model."""
    whole = extent(timeline)
    shares: dict[str, list[float]] = defaultdict(list)
    for level in range(whole.levels):
        found = np.zeros((2, len(events.step)), np.bool_)  # in its own view, in the modules
        cells = events.step // (whole.cell << level)
        for column in range(whole.columns(level)):
            here = np.flatnonzero(cells // COLUMNS == column)
            if len(here):
                _look(timeline, events, _Tiles(timeline, level, column), here, cells[here] % COLUMNS, found)
            progress.at(level * whole.columns(0) + column + 1)
        for kind, name in enumerate(KINDS):
            shares[name].append(float(found[0, events.kind == kind].mean()))
        shares["worst tensor inside"].append(float(found[1].mean()))
    return {name: min(each) for name, each in shares.items()}


def looks(timeline: Timeline) -> int:
    """For a :class:`Progress`: as many as :func:`seen` has at most."""
    whole = extent(timeline)
    return whole.levels * whole.columns(0)


def _look(
    timeline: Timeline, events: Events, tiles: _Tiles, here: Index, cells: Index, found: npt.NDArray[np.bool_]
) -> None:
    tree = timeline.tree
    nodes = _nodes(tree)
    for index, cell in zip(here.tolist(), cells.tolist(), strict=True):
        kind, size = KINDS[events.kind[index]], events.size[index]
        node = int(nodes[events.tensor[index]])
        value, flags = tiles.at(*VIEW[kind], node, cell)
        found[0, index] = {
            "spike": value >= size * (1 - TOLERANCE),
            "drop": value <= size * (1 + TOLERANCE),
            "nan": bool(flags & NAN),
        }[kind]
        inside = True
        while (node := int(tree.parent[node])) >= 0:
            worst, _ = tiles.at(WORST[kind], "worst", node, cell)
            inside &= worst >= (1.0 if kind == "drop" else size) * (1 - TOLERANCE)
        found[1, index] = inside


def _nodes(tree: Tree) -> Index:
    """The node of each tensor, in model order."""
    nodes = np.empty(len(tree.leaf_order), np.intp)
    nodes[tree.leaf_order] = tree.leaf_nodes
    return nodes


class _Tiles:
    """Tiles of one column of one level, each made once."""

    def __init__(self, timeline: Timeline, level: int, column: int) -> None:
        self._timeline, self._level, self._column = timeline, level, column
        self._made: dict[tuple[str, str, int], Shown] = {}

    def at(self, metric: str, view: str, node: int, cell: int) -> tuple[float, int]:
        """Value and flags."""
        key = metric, view, node // ROWS
        if key not in self._made:
            self._made[key] = decoded(
                shown(self._timeline, Tile(metric, view, self._level, node // ROWS, self._column))
            )
        tile = self._made[key]
        return float(tile.values[node % ROWS, cell]), int(tile.flags[node % ROWS, cell])
