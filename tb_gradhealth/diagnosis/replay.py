"""A recorded run → the rows that the engine is fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..nodes import Index
from ..reading.choose import row_steps
from ..reading.frames import RowOfNodes, rows_of_nodes
from ..reading.opened import OpenRun
from ..store.timeline import Timeline
from .row import Frame, Row, Tensors

#: A longer run is looked at in coarser rows.
MOST_ROWS = 100_000


def replay(run: OpenRun, wanted: Mapping[str, Sequence[str]], most: int = MOST_ROWS) -> Iterator[Row]:
    """Rows of the run's first stream, each with what the others have of its steps. ``wanted`` names metrics by stream;
    those that were not recorded are left out. A sample belongs to the row that its step is in, which is the first of
    the sampled stream's own row, however long that is."""
    names = run.streams
    if not names:
        return
    lead = names[0]
    first = run.timeline(lead)
    steps = row_steps(first.cell, first.first, first.end, most, None) if first.end > first.first else 1
    others = {name: _Stream(run.timeline(name), wanted.get(name, ()), steps) for name in names[1:] if name in wanted}
    own = _Stream(first, wanted.get(lead, ()), steps)
    while (row := own.next_before(None)) is not None:
        frames = {lead: own.frame(row)}
        for name, stream in others.items():
            latest = None
            while (sample := stream.next_before(row.stop)) is not None:
                latest = sample
            if latest is not None:
                frames[name] = stream.frame(latest)
        yield Row(row.start, row.stop, frames, row.logged, row.notes)


class _Stream:
    """The rows of one stream, as far as they were taken."""

    def __init__(self, timeline: Timeline, metrics: Sequence[str], steps: int) -> None:
        tree, infos = timeline.tree, timeline.tensors
        which: Index = np.concatenate([np.zeros(1, np.intp), tree.leaf_nodes])
        names = tuple(tree.names[node] for node in which[1:])
        self._tensors = Tensors(
            names,
            tuple(infos[name].shape or () for name in names),
            tuple(infos[name].dtype or "" for name in names),
        )
        known = [name for name in metrics if name in timeline.metrics]
        self._rows = rows_of_nodes(timeline, known, which, timeline.first, timeline.end, steps)
        self._next = next(self._rows, None)

    def next_before(self, step: int | None) -> RowOfNodes | None:
        """The next row, if it begins before ``step``."""
        found = self._next
        if found is None or (step is not None and found.start >= step):
            return None
        self._next = next(self._rows, None)
        return found

    def frame(self, row: RowOfNodes) -> Frame:
        return Frame(
            self._tensors,
            {name: plane[:, 1:] for name, plane in row.values.items()},
            {name: plane[:, 0] for name, plane in row.values.items()},
            row.with_data[1:],
            row.first_bad[1:],
        )
