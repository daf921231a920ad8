"""``open_run``: one recorded run, as far as it has come."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.exponent_table import spans_of

from ..findings import Finding
from ..nodes import NodeKind
from ..notes import Note
from ..rows import Floats, Ints
from ..store.cells import RowSpan
from ..store.format import MetricInfo
from ..store.reader import open_directory
from ..store.timeline import Timeline, View
from . import choose
from .choose import AskedError
from .exponents import Exponents, of_heatmaps
from .extras import needed
from .find import event_directory
from .heatmap import PLANES, Heatmap, of_cells, of_rows
from .lines import Lines
from .spans import each

if TYPE_CHECKING:
    import pandas

Steps: TypeAlias = "tuple[int | None, int | None] | slice | None"
"""An interval ``(a, b)`` or ``slice(a, b)`` of steps, half-open; None for all, or for the run's own end."""
Names: TypeAlias = "str | Iterable[str] | None"


@dataclass(frozen=True)
class Node:
    """A tensor, a module, or the whole stream, whose name is "". ``size`` counts elements; ``aliases`` are the other
    names of a tied tensor."""

    name: str
    kind: NodeKind
    shape: tuple[int, ...] | None
    dtype: str | None
    size: int
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """One life of a writer, of which something is left: it recorded the steps ``[start, stop)``, in seconds since the
    epoch from ``wall_time`` on."""

    id: str
    start: int
    stop: int
    wall_time: float


@dataclass(frozen=True, repr=False)
class Logged:
    """One scalar that the loop logged. A row covers the steps ``[a, b)`` of ``steps [row, 2]``, and ``count`` values
    were logged in it."""

    name: str
    steps: Ints  # [row, 2]
    count: Ints  # [row]
    mean: Floats  # [row]
    min: Floats  # [row]
    max: Floats  # [row]

    def to_pandas(self) -> pandas.DataFrame:
        """One line for each row that has values, by its first step."""
        pd = needed("pandas")
        columns = {"stop": self.steps[:, 1], "mean": self.mean, "min": self.min, "max": self.max, "count": self.count}
        return pd.DataFrame(columns, index=pd.Index(self.steps[:, 0], name="step"))

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.steps)} rows, {int(self.count.sum())} values>"


class OpenRun:
    """A recorded run. What it holds is a snapshot that :meth:`refresh` brings up to date.

    ``stream`` is the run's first one where it is None, ``nodes`` are names and shell patterns such as
    ``"blocks.*.attn.*"``, and ``steps`` are intervals ``(a, b)``, half-open. Where such a thing does not exist,
    AskedError, a ValueError, says what there is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory  # of the event files
        self._run = open_directory(directory)

    def refresh(self) -> bool:
        """Take in what was written since; True when anything was."""
        return self._run.refresh()

    @property
    def streams(self) -> list[str]:
        """What was recorded, gradients first; empty as long as no row is complete."""
        return self._run.streams()

    @property
    def problems(self) -> list[str]:
        """Sentences on what of the files cannot be read."""
        return self._run.problems

    @property
    def steps(self) -> tuple[int, int]:
        """The recorded steps ``[first, end)``."""
        timeline = self.timeline()
        return timeline.first, timeline.end

    @property
    def metrics(self) -> dict[str, MetricInfo]:
        """Name → label, unit and meaning."""
        return dict(self.timeline().metrics)

    @property
    def nodes(self) -> list[Node]:
        """The whole stream, its modules and tensors, parents first."""
        return _nodes(self.timeline())

    @property
    def sessions(self) -> list[Recorded]:
        """In the order in which they were recorded; one that starts before the end of the last is a rewind."""
        return [
            Recorded(
                session.schema.session,
                min(session.schema.start_step, session.start),
                session.stop,
                session.schema.wall_time,
            )
            for session in self.timeline().sessions
        ]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the diagnosis found during the training, worst first, of the steps that survive; ``diagnose`` looks at
        the rows once more."""
        return self._run.findings

    @property
    def full(self) -> bool:
        """Whether every row is there as it was recorded; otherwise some steps have only coarser ones."""
        return all(self.timeline(stream).full for stream in self.streams)

    def timeline(self, stream: str | None = None) -> Timeline:
        """The history of a stream, an immutable snapshot; raises AskedError."""
        known = {name: name for name in self.streams}
        if not known:
            raise AskedError(f"nothing is recorded yet in {str(self.directory)!r}: wait for a row, then refresh()")
        return self._run.timeline(choose.one_of("stream", next(iter(known)) if stream is None else stream, known))

    def read(
        self,
        stream: str | None = None,
        metric: str = "norm",
        nodes: Names = None,
        steps: Steps = None,
        width: int | None = None,
        view: View = "mean",
    ) -> Heatmap:
        """One metric as ``[node, cell]``: in at most ``width`` cells, or in the finest rows there are.

        ``view``: "mean", "min" or "max" over the steps of a cell, or "worst": the largest value that any tensor inside
        a node had at any of them.
        """
        timeline, which, begin, end = self._asked(stream, nodes, steps)
        choose.one_of("metric", metric, timeline.metrics)
        choose.one_of("view", view, PLANES)
        if width is None or begin == end:
            return of_rows(timeline, metric, view, which, begin, end)
        return of_cells(timeline, metric, view, which, begin, end, choose.positive("width", width))

    def exponents(
        self, stream: str = "exponents", nodes: Names = None, steps: Steps = None, width: int | None = None
    ) -> Exponents:
        """The histogram of log2 |x|, mean over the steps of each cell: ``[node, cell, bin]``; cells are as in
        :meth:`read`. Raises AskedError for a stream that has none."""
        timeline = self.timeline(stream)
        spans = spans_of(list(timeline.metrics))
        if not spans:
            raise AskedError(f"stream: {stream!r} has no histogram of exponents: ask for another one")
        return of_heatmaps(spans, [self.read(stream, span.name, nodes, steps, width) for span in spans])

    def lines(
        self,
        stream: str | None = None,
        metrics: Names = None,
        nodes: Names = None,
        steps: Steps = None,
        width: int | None = None,
        level: int | None = None,
    ) -> Lines:
        """The long format: a line for each row and node. Rows are the finest ones, or those of a ``level``, each of
        which covers as many steps as 16 of the level below, or of the finest level that has at most ``width``."""
        timeline, which, begin, end = self._asked(stream, nodes, steps)
        chosen = [info.name for info in choose.some_of("metric", metrics, timeline.metrics)]
        return Lines(timeline, chosen, which, begin, end, choose.row_steps(timeline.cell, begin, end, width, level))

    def rows(
        self,
        stream: str | None = None,
        metrics: Names = None,
        nodes: Names = None,
        steps: Steps = None,
        width: int | None = None,
        level: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The lines of :meth:`lines`, one by one, as dictionaries; None for no data. Memory stays bounded."""
        lines = self.lines(stream, metrics, nodes, steps, width, level)
        names = [column.name for column in lines.columns]
        for batch in lines:
            values = [column.objects(array) for column, array in zip(lines.columns, batch, strict=True)]
            yield from (dict(zip(names, line, strict=True)) for line in zip(*values, strict=True))

    def to_pandas(
        self,
        stream: str | None = None,
        metrics: Names = None,
        nodes: Names = None,
        steps: Steps = None,
        width: int | None = None,
        level: int | None = None,
    ) -> pandas.DataFrame:
        """The lines of :meth:`lines`, all at once."""
        return self.lines(stream, metrics, nodes, steps, width, level).to_pandas()

    def scalars(self, stream: str | None = None, steps: Steps = None) -> dict[str, Logged]:
        """What the loop logged, by name: loss, learning rate, …"""
        timeline, _, begin, end = self._asked(stream, None, steps)
        found: dict[str, list[tuple[float, ...]]] = {}
        for lines in each(timeline, begin, end, _scalars) if begin < end else ():
            for name, *line in lines:
                found.setdefault(name, []).append(tuple(line))
        return {name: _logged(name, lines) for name, lines in found.items()}

    def notes(self, stream: str | None = None, steps: Steps = None) -> list[Note]:
        """What happened at single steps and is no statistic: skipped, not stepped, diverged."""
        timeline, _, begin, end = self._asked(stream, None, steps)
        if begin == end:
            return []
        # What came after the last step stands behind it.
        return timeline.notes(begin, end + (end == timeline.end), np.iinfo(np.int64).max)[0]

    def _asked(self, stream: str | None, nodes: Names, steps: Steps) -> tuple[Timeline, npt.NDArray[np.intp], int, int]:
        timeline = self.timeline(stream)
        begin, end = choose.interval(steps, timeline.first, timeline.end)
        return timeline, choose.nodes(timeline.tree, nodes), begin, end

    def __repr__(self) -> str:
        if not self.streams:
            return f"<run {str(self.directory)!r}: nothing recorded yet>"
        first, end = self.steps
        tensors = len(self.timeline().tensors)
        return f"<run {str(self.directory)!r}: {', '.join(self.streams)}, steps [{first}, {end}), {tensors} tensors>"


def open_run(path: str | os.PathLike[str]) -> OpenRun:
    """The run in ``path``: what was given to the writer as ``logdir``, or the directory of its event files.

    Needs no PyTorch. Raises FileNotFoundError where there is none, naming those found below it.
    """
    return OpenRun(event_directory(path))


def _nodes(timeline: Timeline) -> list[Node]:
    tree, tensors = timeline.tree, timeline.tensors
    sizes = [int(np.prod(tensors[tree.names[node]].shape or (), dtype=object)) for node in tree.leaf_nodes]
    before = list(itertools.accumulate(sizes, initial=0))
    found = []
    for name, kind, start, stop in zip(tree.names, tree.kinds, tree.start.tolist(), tree.stop.tolist(), strict=True):
        info = tensors[name] if kind == "tensor" else None
        shape, dtype, aliases = (info.shape, info.dtype, info.aliases) if info else (None, None, ())
        found.append(Node(name, kind, shape, dtype, before[stop] - before[start], aliases))
    return found


def _scalars(span: RowSpan) -> list[tuple[Any, ...]]:
    """Name, start, stop, count, mean, min and max of what was logged in each row."""
    found: list[tuple[Any, ...]] = []
    for index, (start, stop) in enumerate(zip(span.start.tolist(), span.stop.tolist(), strict=True)):
        for name, one in span.scalars(index).items():
            mean = one.sum / one.count if one.count else np.nan
            found.append((name, start, stop, one.count, mean, one.min, one.max))
    return found


def _logged(name: str, lines: list[tuple[float, ...]]) -> Logged:
    start, stop, count, mean, low, high = zip(*lines, strict=True)
    return Logged(
        name,
        np.stack([np.array(start, np.int64), np.array(stop, np.int64)], axis=1),
        np.array(count, np.int64),
        *(np.array(values, np.float64) for values in (mean, low, high)),
    )
