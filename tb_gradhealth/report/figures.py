"""What the figures of a report show, read from the run: planes of a metric, and the curve of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..diagnosis.finding import Finding
from ..diagnosis.rule import Rule
from ..diagnosis.signals import is_loss
from ..nodes import Index
from ..plugin.logged import Curve
from ..plugin.overview import logged
from ..reading import heatmap
from ..reading.opened import OpenRun
from ..rows import Floats, Ints
from ..store.timeline import Timeline
from . import nodes
from .axis import Axis
from .colours import Scale

#: Columns of a picture; its rows as an overview, and beside a finding.
CELLS, LAYERS, BESIDE = 240, 48, 9


@dataclass(frozen=True)
class Plane:
    """``metric`` of some nodes over all steps, the largest value of each cell."""

    label: str  # of the stream
    metric: str
    name: str  # of the metric, for people
    unit: str
    nodes: tuple[str, ...]
    axis: Axis
    edges: Ints  # [cell + 1], steps
    values: Floats  # [node, cell]
    flags: npt.NDArray[np.uint8]  # [node, cell]
    scale: Scale
    marked: int | None  # the row of the node that it is about


class Figures:
    """Reads of one run what its figures need."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._lead = run.timeline()
        grid = self._lead.fitting(self._lead.first, self._lead.end, CELLS)
        #: All figures are as wide as the same whole cells.
        self.axis = Axis(grid.begin, grid.end)
        self.edges = grid.edges
        self._groups = nodes.overview(self._lead.tree, LAYERS)
        self._curves = [(name, curve) for _, name, curve in logged(self._lead, grid).items()]

    def loss(self) -> tuple[str, Curve] | None:
        """The curve of the loss that the model learns from, as far as its name tells."""
        found = [(name, curve) for name, curve in self._curves if is_loss(name)]
        return min(found, key=lambda one: len(one[0])) if found else None

    def rates(self) -> tuple[float, float] | None:
        """The least and the largest learning rate."""
        found = [curve for name, curve in self._curves if name == "lr" or name.startswith("lr/")]
        values = np.array([[curve.min, curve.max] for curve in found])
        return (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else None

    def overview(self) -> Plane:
        """The first stream's norm in all of the model."""
        return self._plane(self._run.streams[0], _key(self._lead), self._groups)

    def row(self, name: str) -> int | None:
        """The row of the overview that the node ``name`` is in."""
        return nodes.holder(self._lead.tree, self._groups, name)

    def beside(self, finding: Finding, rules: Mapping[str, Rule]) -> Plane:
        """What the finding's rule looks at, in its node and in those beside it in depth."""
        for stream, metric in self._looked_at(rules.get(finding.rule)):
            tree = self._run.timeline(stream).tree
            if not finding.node:
                return self._plane(stream, metric, nodes.overview(tree, BESIDE + 4))
            if finding.node in tree.names:
                node = tree.names.index(finding.node)
                which = nodes.neighbours(tree, node, BESIDE).tolist()
                found = self._plane(stream, metric, [[one] for one in which], which.index(node))
                # A metric that only other layers have, as the limits of activation functions, tells nothing here.
                if np.isfinite(found.values[found.marked]).any() or found.flags[found.marked].any():
                    return found
        groups = nodes.overview(self._lead.tree, BESIDE + 4)
        return self._plane(
            self._run.streams[0], _key(self._lead), groups, nodes.holder(self._lead.tree, groups, finding.node)
        )

    def _looked_at(self, rule: Rule | None) -> list[tuple[str, str]]:
        """Streams and metrics that may show it, the most telling first."""
        streams = self._run.streams
        found = []
        for stream, metrics in reversed([*rule.needs.items()] if rule is not None else []):
            if stream in streams:
                known = self._run.timeline(stream).metrics
                shown = [name for name in metrics if name in known and known[name].kind != "signed"]
                # A share or a ratio tells most: it means the same in every layer.
                shown.sort(key=lambda name: not known[name].unit.startswith(("share", "ratio")))
                found += [(stream, name) for name in shown]
        return found + [(stream, _key(self._run.timeline(stream))) for stream in streams]

    def _plane(self, stream: str, metric: str, groups: Sequence[Sequence[int]], marked: int | None = None) -> Plane:
        """``groups``: the nodes that each row shows together."""
        timeline = self._run.timeline(stream)
        about = timeline.metrics[metric]
        which: Index = np.array([node for group in groups for node in group], np.intp)
        firsts = np.cumsum([0, *(len(group) for group in groups[:-1])])
        found = heatmap.of_cells(timeline, metric, "worst", which, self._lead.first, self._lead.end, CELLS)
        values = np.fmax.reduceat(found.values, firsts, axis=0)
        edges = np.append(found.steps[:, 0], found.steps[-1:, 1])
        return Plane(
            timeline.label or stream,
            metric,
            about.label,
            about.unit,
            tuple(nodes.title(timeline.tree, group) for group in groups),
            Axis(int(edges[0]), int(edges[-1])),
            edges,
            values,
            np.bitwise_or.reduceat(found.flags, firsts, axis=0),
            Scale.of(values, about.scale == "log" and about.kind != "signed"),
            marked,
        )


def _key(timeline: Timeline) -> str:
    return "norm" if "norm" in timeline.metrics else next(iter(timeline.metrics))
