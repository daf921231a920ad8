"""A recorded run → the rows that the engine is fed, from where an earlier replay ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..reading.choose import row_steps
from ..reading.frames import RowOfNodes, rows_of_nodes
from ..reading.opened import OpenRun
from ..store.timeline import Timeline
from .row import Frame, Row, Tensors
from .together import frame_of, nodes_of, tensors_in, together

#: A longer run is looked at in coarser rows.
MOST_ROWS = 100_000
#: Of the rows that were given, so many are compared with what there is later.
COMPARED_ROWS = 64

Wanted = Mapping[str, Sequence[str]]
"""Metrics by stream; those that were not recorded are left out."""


@dataclass
class Place:
    """How far a run was replayed, and what must not change for going on from there."""

    steps: int = 0  # of a row
    taken: dict[str, int] = field(default_factory=dict)  # stream, the first one first → end of its rows given
    tensors: dict[str, Tensors] = field(default_factory=dict)  # by stream
    metrics: dict[str, list[str]] = field(default_factory=dict)  # by stream
    begins: dict[tuple[float, str], int] = field(default_factory=dict)  # of the sessions known then
    last: list[int] = field(default_factory=list)  # where the last rows begin

    @property
    def end(self) -> int:
        """Of the rows given; 0 before the first one."""
        return next(iter(self.taken.values()), 0)

    def copy(self) -> Place:
        return replace(self, taken=dict(self.taken), tensors=dict(self.tensors), last=list(self.last))

    def rewound(self, run: OpenRun) -> int | None:
        """The first of the steps given that a session has recorded anew, if one has."""
        begins = run.timeline().begins
        return min(
            (first for key, first in begins.items() if key not in self.begins and first < self.end), default=None
        )

    def fits(self, run: OpenRun, wanted: Wanted) -> bool:
        """Whether a replay of the run as it is now would begin with the rows given. That of some of them only coarser
        ones are left is no reason to say no."""
        if not self.taken:
            return True
        names = run.streams
        if names[:1] != list(self.taken)[:1] or row_width(run) != self.steps or self.rewound(run) is not None:
            return False
        for name in self.taken:
            if name not in names:
                return False
            timeline = run.timeline(name)
            if tensors_of(timeline, self.tensors[name]) is not self.tensors[name]:
                return False
            if _known(timeline, wanted.get(name, ())) != self.metrics[name]:
                return False
        now = [step for span in run.timeline().rows(self.last[0], self.end, self.steps) for step in span.start.tolist()]
        others = [name for name in names[1:] if name in wanted]
        return len(now) <= len(self.last) and not any(self._is_late(run.timeline(name), name) for name in others)

    def _is_late(self, timeline: Timeline, name: str) -> bool:
        """Whether a sample came that belongs to one of the rows given."""
        taken = self.taken.get(name, timeline.first)
        spans = timeline.rows(taken, self.end, self.steps)
        return any((np.maximum(span.start, taken)[span.stop > taken] < self.end).any() for span in spans)


def row_width(run: OpenRun, most: int | None = None) -> int:
    """Steps of the rows that a run is looked at in, so that they are no more than ``most`` (:data:`MOST_ROWS`)."""
    timeline = run.timeline()
    if timeline.end <= timeline.first:
        return 1
    return row_steps(timeline.cell, timeline.first, timeline.end, MOST_ROWS if most is None else most, None)


def replay(
    run: OpenRun, wanted: Wanted, place: Place | None = None, until: int | None = None, most: int | None = None
) -> Iterator[Row]:
    """Rows of the run's first stream, each with what the others have of its steps: those behind ``place``, which moves
    on with them, that end by the step ``until``."""
    names = run.streams
    if not names:
        return
    place = Place() if place is None else place
    place.steps = row_width(run, most)
    lead = names[0]
    place.begins = dict(run.timeline(lead).begins)
    own = _Stream(run, lead, wanted, place)
    others = {name: _Stream(run, name, wanted, place) for name in names[1:] if name in wanted}
    while (row := own.next_before(None)) is not None and (until is None or row.stop <= until):
        place.last = [*place.last[1 - COMPARED_ROWS :], row.start]
        yield together(lead, own.frame(row), row, others)


class _Stream:
    """The rows of one stream, as far as they were taken."""

    def __init__(self, run: OpenRun, name: str, wanted: Wanted, place: Place) -> None:
        timeline, given = run.timeline(name), place.taken.get(name, 0)
        self._name, self._place = name, place
        place.tensors[name] = self._tensors = tensors_of(timeline, place.tensors.get(name))
        place.metrics[name] = known = _known(timeline, wanted.get(name, ()))
        first, end, nodes = max(given, timeline.first), timeline.end, nodes_of(timeline.tree)
        self._rows = rows_of_nodes(timeline, known, nodes, first, end, place.steps, given)
        self._next = next(self._rows, None)

    def next_before(self, step: int | None) -> RowOfNodes | None:
        """The next row, if it begins before ``step``."""
        found = self._next
        if found is None or (step is not None and found.start >= step):
            return None
        self._next = next(self._rows, None)
        return found

    def frame(self, row: RowOfNodes) -> Frame:
        """``row``, which is given with this, as are those before it."""
        self._place.taken[self._name] = row.stop
        return frame_of(self._tensors, row)


def tensors_of(timeline: Timeline, known: Tensors | None = None) -> Tensors:
    """Those of a stream; ``known`` ones if they are the same."""
    found = tensors_in(timeline.tree, timeline.tensors)
    return known if known is not None and vars(known) == vars(found) else found


def _known(timeline: Timeline, metrics: Sequence[str]) -> list[str]:
    return [name for name in metrics if name in timeline.metrics]
