"""Rows of two runs side by side: on the coarsest grid that the rows of both fit in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..nodes import Index
from ..notes import Note
from ..reading.spans import each
from ..rows import Floats, Ints
from ..store import scalars
from ..store.cells import RowSpan
from ..store.scalars import Scalar
from ..store.timeline import Timeline
from .parting import Mask

#: Values in memory together, of one run; what was logged in a row counts as so many.
BATCH, LOGGED = 1 << 22, 1 << 12
DATA = "steps with data"
_SAID = ("scalars", "notes")


@dataclass(frozen=True)
class Asked:
    """What is read of one run."""

    timeline: Timeline
    which: Index
    metrics: Sequence[str]
    counts: Sequence[str]
    logged: bool  # what the loop logged, too

    @property
    def width(self) -> int:
        """Values of a row, about."""
        return (LOGGED if self.logged else 1) + len(self.which) * (3 * len(self.metrics) + len(self.counts) + 1)

    def extents(self, steps: int) -> Ints:
        """``[row, 2]``: the steps of the rows that show intervals of so many ``steps``, without reading them."""
        spans = self.timeline.rows(self.timeline.first, self.timeline.end, steps)
        parts = [np.zeros((0, 2), np.int64), *(np.stack([span.start, span.stop], axis=1) for span in spans)]
        return np.concatenate(parts)

    def covered(self, steps: int, first: int, end: int) -> int:
        """Of the steps ``[first, end)`` those that are in any row."""
        extents = np.clip(self.extents(steps), first, end)
        return int((extents[:, 1] - extents[:, 0]).sum())

    def rows(self, begin: int, end: int, steps: int) -> Rows | None:
        most = max(1, BATCH // self.width)
        parts = list(each(self.timeline, begin, end, self._read, steps, most))
        return Rows.joined(parts) if parts else None

    def _read(self, span: RowSpan) -> Rows:
        counts = dict(zip(span.count_names, span.counts(self.which), strict=True)) if self.counts else {}
        none = np.zeros((len(span), len(self.which)), np.int64)
        return Rows(
            span.start,
            span.stop,
            (span.figures_of == np.stack([span.start, span.stop], axis=1)).all(axis=1),
            np.ones(len(span), np.bool_),
            {name: span.metric(name, self.which) for name in self.metrics},
            {DATA: span.steps(self.which)[0], **{name: counts.get(name, none) for name in self.counts}},
            [span.scalars(row) for row in range(len(span))] if self.logged else [],
            [span.notes(row) for row in range(len(span))] if self.logged else [],
        )


@dataclass(frozen=True)
class Rows:
    """Rows of the steps ``[start, stop)``; those that are not ``whole`` have figures of more steps than these, and
    those that are not ``alone`` are made of several, of which the mean is that of the first."""

    start: Ints  # [row]
    stop: Ints  # [row]
    whole: Mask  # [row]
    alone: Mask  # [row]
    metrics: Mapping[str, Floats]  # [mean min max, row, node]
    counts: Mapping[str, Ints]  # [row, node]
    scalars: Sequence[Mapping[str, Scalar]]
    notes: Sequence[Sequence[Note]]

    @property
    def edges(self) -> Ints:
        """``[edge]``: where a row begins or ends, rising."""
        return np.unique(np.concatenate([self.start, self.stop]))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        if len(parts) == 1:
            return parts[0]
        start, stop, whole, alone = (
            np.concatenate([getattr(one, name) for one in parts]) for name in ("start", "stop", "whole", "alone")
        )
        metrics = {name: np.concatenate([one.metrics[name] for one in parts], axis=1) for name in parts[0].metrics}
        counts = {name: np.concatenate([one.counts[name] for one in parts]) for name in parts[0].counts}
        scalars, notes = ([*itertools.chain.from_iterable(getattr(one, name) for one in parts)] for name in _SAID)
        return cls(start, stop, whole, alone, metrics, counts, scalars, notes)

    def merged(self, edges: Ints) -> Rows:
        """One row for each interval of ``edges [cell + 1]`` that has any."""
        place = np.searchsorted(edges, self.start, "right") - 1
        inside = np.flatnonzero((place >= 0) & (self.stop <= edges[-1]))
        rows, place = self.take(inside), place[inside]
        firsts = np.flatnonzero(np.diff(place, prepend=-1))
        if len(firsts) == len(place):
            return rows
        ends = [*firsts[1:].tolist(), len(place)]
        bounds = list(zip(firsts.tolist(), ends, strict=True))
        metrics = {
            name: np.stack(
                [mean[firsts], np.fmin.reduceat(low, firsts, axis=0), np.fmax.reduceat(high, firsts, axis=0)]
            )
            for name, (mean, low, high) in rows.metrics.items()
        }
        return Rows(
            rows.start[firsts],
            np.maximum.reduceat(rows.stop, firsts),
            np.logical_and.reduceat(rows.whole, firsts),
            np.diff(firsts, append=len(place)) == 1,
            metrics,
            {name: np.add.reduceat(plane, firsts, axis=0) for name, plane in rows.counts.items()},
            [_together(rows.scalars[first:end]) for first, end in bounds] if rows.scalars else [],
            [[*itertools.chain.from_iterable(rows.notes[first:end])] for first, end in bounds] if rows.notes else [],
        )

    def take(self, which: Index) -> Rows:
        if len(which) == len(self.start):
            return self
        return Rows(
            self.start[which],
            self.stop[which],
            self.whole[which],
            self.alone[which],
            {name: planes[:, which] for name, planes in self.metrics.items()},
            {name: plane[which] for name, plane in self.counts.items()},
            [self.scalars[row] for row in which.tolist()] if self.scalars else [],
            [self.notes[row] for row in which.tolist()] if self.notes else [],
        )


def _together(rows: Sequence[Mapping[str, Scalar]]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for row in rows:
        for name, one in row.items():
            found[name] = scalars.add(found.get(name), one)
    return found


def side_by_side(a: Asked, b: Asked, steps: int, between: tuple[int, int] | None = None) -> Iterator[tuple[Rows, Rows]]:
    """The rows of both, in step order, merged so far that row by row they are of the same steps; ``between`` bounds
    them. Rows that one of them lacks, or shows in part only, are left out."""
    own = np.unique(a.extents(steps)), np.unique(b.extents(steps))
    common = np.intersect1d(own[0], own[1])
    if between is not None:
        common = common[(common >= between[0]) & (common <= between[1])]
    before = [np.searchsorted(edges, common) for edges in own]  # rows up to there, about
    at = 0
    while at + 1 < len(common):
        until = min(
            int(np.searchsorted(rows, rows[at] + max(1, BATCH // one.width), "right")) - 1
            for one, rows in zip((a, b), before, strict=True)
        )
        begin, at = int(common[at]), max(at + 1, until)
        end = int(common[at])
        mine, theirs = a.rows(begin, end, steps), b.rows(begin, end, steps)
        if mine is None or theirs is None:
            continue
        # Of the rows that were read: some may have turned out to be unreadable, and coarser ones stand for them.
        edges = np.intersect1d(mine.edges, theirs.edges)
        edges = edges[(edges >= begin) & (edges <= end)]
        if len(edges) < 2:
            continue
        mine, theirs = mine.merged(edges), theirs.merged(edges)
        _, here, there = np.intersect1d(mine.start, theirs.start, return_indices=True)
        both = (mine.stop[here] == theirs.stop[there]) & mine.whole[here] & theirs.whole[there]
        if both.any():
            yield mine.take(here[both]), theirs.take(there[both])
