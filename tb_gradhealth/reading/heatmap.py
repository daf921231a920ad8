"""A metric over nodes and steps, as the heatmap shows it, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..nodes import Index, Tree
from ..rows import Floats, Ints
from ..store.cells import RowSpan
from ..store.timeline import LEAVES_AT_ONCE, Timeline, View
from .extras import needed
from .lines import BATCH_VALUES
from .spans import each

if TYPE_CHECKING:
    import pandas

#: Where each view stands among the planes of a metric; of "worst" the largest tensor's.
PLANES: dict[View, int] = {"mean": 0, "min": 1, "max": 2, "worst": 2}


@dataclass(frozen=True, repr=False)
class Heatmap:
    """``values [node, cell]`` of ``metric``, NaN where no step had it; a cell covers the steps ``[a, b)`` that
    ``steps [cell, 2]`` has.

    ``flags [node, cell]`` are sums of 1 (NaN), 2 (+Inf) and 4 (−Inf), seen in the node at some step of the cell, and of
    8: at some of its steps the node had no gradient.
    """

    metric: str
    view: View
    nodes: tuple[str, ...]
    steps: Ints
    values: Floats
    flags: npt.NDArray[np.uint8]

    def to_pandas(self) -> pandas.DataFrame:
        """One line for each cell, by its first step, and one column for each node."""
        pd = needed("pandas")
        columns = pd.Index(self.nodes, name="node", dtype=object)
        return pd.DataFrame(self.values.T, index=pd.Index(self.steps[:, 0], name="step"), columns=columns)

    def __repr__(self) -> str:
        nodes, cells = self.values.shape
        return f"<{self.view} of {self.metric}: {nodes} nodes × {cells} cells>"


def of_cells(timeline: Timeline, metric: str, view: View, which: Index, begin: int, end: int, width: int) -> Heatmap:
    """At most ``width`` cells of the steps ``[begin, end)``."""
    reading = timeline.read(metric, which, begin, end, width, view)
    steps = np.stack([reading.edges[:-1], reading.edges[1:]], axis=1)
    return Heatmap(metric, view, _names(timeline.tree, which), steps, reading.values, reading.flags)


def of_rows(timeline: Timeline, metric: str, view: View, which: Index, begin: int, end: int) -> Heatmap:
    """The finest rows that hold steps of ``[begin, end)``, each a cell."""

    def read(span: RowSpan) -> tuple[Ints, Floats, npt.NDArray[np.uint8]]:
        worst = view == "worst"
        values = _worst(span, metric, timeline.tree, which) if worst else span.metric(metric, which)[PLANES[view]]
        return np.stack([span.start, span.stop], axis=1), values, span.flags(which)

    nothing = np.zeros((0, 2), np.int64), np.zeros((0, len(which))), np.zeros((0, len(which)), np.uint8)
    most = max(1, BATCH_VALUES // max(1, len(which)))
    parts = [nothing, *(each(timeline, begin, end, read, most=most) if begin < end else ())]
    steps, values, flags = (np.concatenate(planes) for planes in zip(*parts, strict=True))
    return Heatmap(metric, view, _names(timeline.tree, which), steps, values.T, flags.T)


def _worst(span: RowSpan, metric: str, tree: Tree, which: Index) -> Floats:
    """``[row, node]``: the largest value of any tensor inside each node."""
    found = np.full((len(span), len(which)), np.nan)
    for first, leaves in _some_leaves(tree, which):
        largest = span.metric(metric, leaves)[PLANES["worst"]]
        for position, node in enumerate(which):
            inside = largest[:, max(tree.start[node] - first, 0) : max(tree.stop[node] - first, 0)]
            if inside.shape[1]:
                found[:, position] = np.fmax(found[:, position], np.fmax.reduce(inside, axis=1))
    return found


def _some_leaves(tree: Tree, which: Index) -> Iterator[tuple[int, Index]]:
    """The leaves in any node of ``which``, some at a time: the number of the first, and their nodes."""
    low, high = int(tree.start[which].min(initial=len(tree))), int(tree.stop[which].max(initial=0))
    for first in range(low, high, LEAVES_AT_ONCE):
        yield first, tree.leaf_nodes[first : min(first + LEAVES_AT_ONCE, high)]


def _names(tree: Tree, which: Index) -> tuple[str, ...]:
    return tuple(tree.names[node] for node in which)
