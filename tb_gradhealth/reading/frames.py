"""Whole rows of a stream, one after the other: some metrics of many nodes, decoded in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..nodes import Index
from ..notes import Note
from ..rows import Floats, Ints
from ..store.cells import RowSpan
from ..store.scalars import Scalar
from ..store.timeline import Timeline
from .lines import BATCH_VALUES
from .spans import each


@dataclass(frozen=True)
class RowOfNodes:
    """The steps ``[start, stop)`` of some nodes."""

    start: int
    stop: int
    values: Mapping[str, Floats]  # metric → [mean min max, node], NaN where no step had it
    with_data: Ints  # [node], steps
    first_bad: Ints  # [node], NEVER if none
    logged: Mapping[str, Scalar]
    notes: Sequence[Note]


def rows_of_nodes(
    timeline: Timeline, metrics: Sequence[str], which: Index, begin: int, end: int, steps: int = 1, given: int = 0
) -> Iterator[RowOfNodes]:
    """The rows that hold steps of ``[begin, end)``, the finest or those that show intervals of so many ``steps``; in
    bounded memory. Steps before ``given`` are left out of the first."""

    def read(span: RowSpan) -> list[RowOfNodes]:
        planes = {name: span.metric(name, which) for name in metrics}
        with_data, _, first_bad = span.steps(which)
        return [
            RowOfNodes(
                int(span.start[row]),
                int(span.stop[row]),
                {name: plane[:, row] for name, plane in planes.items()},
                with_data[row],
                first_bad[row],
                span.scalars(row),
                span.notes(row),
            )
            for row in range(len(span))
        ]

    most = max(1, BATCH_VALUES // max(1, 3 * len(which) * (len(metrics) + 1)))
    for rows in each(timeline, begin, end, read, steps, most, given) if begin < end else ():
        yield from rows
