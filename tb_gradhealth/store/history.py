"""Sessions of one stream stitched into one history: which of their rows survive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from .. import nodes
from ..nodes import Index, Tree
from ..notes import Note
from .cells import Grid, RowSpan
from .cover import within
from .format import MetricInfo, NodeInfo
from .rowgroup import HAS_NOTES
from .sessions import Session

SPAN_ROWS = 256


class History:
    """The history of one stream that survived: a later session replaces everything from its first step on.

    A timeline with a ``lead``, the run's first stream, has the steps and cells of that one, so that a cell means the
    same in all streams, its nodes where it has no other tensors, and loses the steps that sessions of the lead
    replaced. Nothing may be left of it then: ``sessions`` is empty. ``known`` is an earlier timeline, whose tree is
    taken over if it fits.
    """

    cell: int
    first: int
    end: int
    metrics: dict[str, MetricInfo]
    tree: Tree
    tensors: dict[str, NodeInfo]

    def __init__(self, sessions: Sequence[Session], lead: History | None = None, known: History | None = None) -> None:
        self.sessions: list[Session] = []
        self.until: list[int] = []  # steps of session i that survive end here
        #: First step of each session, also of those of which nothing survives, by wall time and id.
        self.begins: dict[tuple[float, str], int] = dict(lead.begins) if lead is not None else {}
        present = {(session.schema.wall_time, session.schema.session): session for session in sessions}
        for key, session in present.items():
            first = min(session.schema.start_step, session.start)
            self.begins[key] = min(self.begins.get(key, first), first)
        end = np.iinfo(np.int64).max
        for key in sorted(self.begins, reverse=True):
            if key in present and present[key].start < end:  # otherwise nothing of it survives, its tensors neither
                present[key].until = end
                self.sessions.insert(0, present[key])
                self.until.insert(0, end)
            end = min(end, self.begins[key])
        if lead is not None:
            self.cell, self.first, self.end = lead.cell, lead.first, lead.end
        else:
            self._measure()
        self._describe(lead, known)
        schema = self.sessions[-1].schema if self.sessions else None
        self.label = schema.label if schema is not None else ""
        #: What one of the tensors is, for people; whether only some steps of each row were looked at.
        self.what, self.sampled = (schema.what, schema.sampled) if schema is not None else ("", False)
        fits = known is not None and self._same_nodes(known)
        self._columns: list[Index] = known._columns if known is not None and fits else self._find_columns()

    def _same_nodes(self, other: History) -> bool:
        return (
            self.tree is other.tree
            and len(self.sessions) == len(other.sessions)
            and all(a.schema is b.schema for a, b in zip(self.sessions, other.sessions, strict=True))
        )

    def _find_columns(self) -> list[Index]:
        """For each session, the column of each node of the tree; -1 where the session does not have it."""
        place = {key: i for i, key in enumerate(zip(self.tree.names, self.tree.kinds, strict=True))}
        found = []
        for session in self.sessions:
            columns = np.full(len(self.tree), -1, np.intp)
            for column, node in enumerate(session.schema.nodes):
                index = place.get((node.name, node.kind))
                if index is not None:
                    columns[index] = column
            found.append(columns)
        return found

    def _measure(self) -> None:
        """Steps and cells of the sessions that survive."""
        self.cell = min(session.schema.every for session in self.sessions)
        self.first = min(session.start for session in self.sessions)
        self.end = max(min(session.stop, until) for session, until in zip(self.sessions, self.until, strict=True))

    def _describe(self, lead: History | None, known: History | None) -> None:
        """Metrics and nodes of the sessions that survive; a later session's come first."""
        schemas = [session.schema for session in self.sessions]
        if known is not None and [id(schema) for schema in schemas] == [id(one.schema) for one in known.sessions]:
            self.metrics, self.tree, self.tensors = known.metrics, known.tree, known.tensors
            return
        self.metrics = {}
        infos: dict[str, NodeInfo] = {}
        for schema in reversed(schemas):
            for metric in schema.metrics:
                self.metrics.setdefault(metric.name, metric)
            tensors = {node.name: node for node in schema.nodes if node.kind == "tensor"}
            for name in nodes.model_order([node.name for node in schema.nodes], [node.kind for node in schema.nodes]):
                infos.setdefault(name, tensors[name])
        if lead is not None and infos.keys() <= lead.tensors.keys():
            self.tree, self.tensors = lead.tree, {**lead.tensors, **infos}
        else:
            self.tensors = infos
            self.tree = nodes.build(list(infos))

    @property
    def full(self) -> bool:
        """Whether every step that survives is there at full resolution, not only in an overview."""
        return all(session.is_full() for session in self.sessions)

    def complete_until(self, steps: int) -> int:
        """The step up to which rows that show intervals of so many steps stay as they are while the run is recorded."""
        return self.sessions[-1].complete_until(steps)

    def covered(self, grid: Grid) -> tuple[int, int] | None:
        """First and end step of the rows that ``grid`` touches; None when there is none."""
        found = [
            rows
            for session, until, _ in self.alive()
            if len(rows := within(session.cover(grid.width), grid.begin, min(until, grid.end)))
        ]
        if not found:
            return None
        return min(int(rows.begin.min()) for rows in found), max(int(rows.end.max()) for rows in found)

    def rows(self, begin: int, end: int, steps: int = 1) -> Iterator[RowSpan]:
        """The rows of the steps ``[begin, end)`` that survive, in step order, at most :data:`SPAN_ROWS` at a time: the
        finest, or for ``steps`` > 1 those of the level that shows intervals of so many."""
        for index, (session, until, columns) in enumerate(self.alive()):
            at = begin
            while True:
                # Asked for anew each time: a part that turns out unreadable is replaced by coarser rows.
                rows = within(session.cover(steps), at, min(end, until))
                if not len(rows):
                    break
                some = rows.take(slice(SPAN_ROWS))
                yield RowSpan(session, some, columns, self.until[index])
                at = int(some.stop[-1])

    def notes(self, begin: int, end: int, limit: int) -> tuple[list[Note], bool]:
        """The first ``limit`` notes of the steps ``[begin, end)``, in step order, and whether these are all."""
        found = itertools.chain.from_iterable(  # in step order, no session reaching into the next one
            _notes(session, begin, end, until) for session, until, _ in self.alive()
        )
        notes = list(itertools.islice(found, limit))
        return notes, next(found, None) is None

    def alive(self) -> Iterator[tuple[Session, int, Index]]:
        return iter(zip(self.sessions, self.until, self._columns, strict=True))


def _notes(session: Session, begin: int, end: int, until: int) -> Iterator[Note]:
    """Notes of the steps ``[begin, end)`` that survive a replacement from ``until`` on; rows without cost nothing."""
    rows = session.cover(1)
    noted = (rows.flags & HAS_NOTES > 0) & (rows.start < min(end, until)) & (rows.stop >= begin)
    for index in np.flatnonzero(noted).tolist():
        # A note at the end of a row that survives whole is of what came before that step.
        last = until if rows.stop[index] > until else until + 1
        yield from (note for note in session.notes(rows, index) if begin <= note.step < min(end, last))
