"""Which rows of which level show a session best: no finer than asked for, and none of its steps left out."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..rows import Ints
from .part import Part


@dataclass(frozen=True)
class Cover:
    """Disjoint rows in step order. A row may be shown in part, since finer ones show the rest of it; its figures are
    those of all its steps ``[begin, end)`` even so."""

    level: Ints  # [row]
    start: Ints  # [row], steps shown
    stop: Ints  # [row], steps shown
    recorded: Ints  # [row], steps measured of those shown
    flags: Ints  # [row], as in rowgroup.ROW
    part: Index  # [row], position of the part
    row: Index  # [row], row within the part
    begin: Ints  # [row], steps
    end: Ints  # [row], steps
    total: Ints  # [row], steps measured in [begin, end)

    def __len__(self) -> int:
        return len(self.start)

    def take(self, which: Index | npt.NDArray[np.bool_] | slice) -> Cover:
        return Cover(**{name: value[which] for name, value in vars(self).items()})


def by_level(parts: Sequence[Part], lost: Container[Part] = frozenset()) -> dict[int, Cover]:
    """The rows of each level, but for those of parts that are ``lost``.

    Of rows that overlap the one that begins first counts, then the longer, then the one of the earlier part.
    """
    found = {}
    grouped: dict[int, list[tuple[int, Part]]] = {}
    for place, part in enumerate(parts):
        if part not in lost:
            grouped.setdefault(part.level, []).append((place, part))
    for level, of_level in grouped.items():
        table = np.concatenate([part.table for _, part in of_level])
        sizes = [len(part.table) for _, part in of_level]
        position = np.repeat([position for position, _ in of_level], sizes)
        row = np.concatenate([np.arange(size) for size in sizes])
        start, stop = table["start"].astype(np.int64), table["stop"].astype(np.int64)
        order = np.lexsort((position, -stop, start))
        furthest = np.maximum.accumulate(stop[order])
        order = order[np.concatenate([[True], start[order][1:] >= furthest[:-1]])]
        found[level] = Cover(
            np.full(len(order), level),
            start[order],
            stop[order],
            table["recorded"][order].astype(np.int64),
            table["flags"][order].astype(np.int64),
            position[order],
            row[order],
            start[order],
            stop[order],
            table["recorded"][order].astype(np.int64),
        )
    return found


def cover(levels: Mapping[int, Cover], wanted: int) -> Cover:
    """Rows of the level ``wanted``; finer ones where it has none, as where it is not finished; and of coarser ones the
    parts that these leave out."""
    chosen = levels.get(wanted) or _none()
    for level in sorted((level for level in levels if level < wanted), reverse=True):
        chosen = _joined([chosen, levels[level].take(_apart(levels[level], chosen))])
    for level in sorted(level for level in levels if level > wanted):
        coarser = levels[level]
        before = np.concatenate([[0], np.cumsum(chosen.recorded)])
        first, last = np.searchsorted(chosen.start, coarser.start), np.searchsorted(chosen.start, coarser.stop)
        needed = before[last] - before[first] < coarser.recorded
        # Rows lie within each other; those of a damaged file may not, and then what is there already counts.
        needed &= (first == 0) | (chosen.stop[np.maximum(first, 1) - 1] <= coarser.start) if len(chosen) else True
        partly = needed & (first < last)
        rest = [
            _rest(coarser.take(slice(row, row + 1)), chosen.take(slice(int(first[row]), int(last[row]))))
            for row in np.flatnonzero(partly).tolist()
        ]
        if needed.any():
            chosen = _joined([chosen, coarser.take(np.flatnonzero(needed & ~partly)), *rest])
    return chosen


def _rest(row: Cover, inside: Cover) -> Cover:
    """The parts of one row between the finer ones inside it.

    Where more than one is left, nobody knows how many of its recorded steps each has: one, as far as they go, and the
    others in the first parts that have room. What was noted and logged is in the last part alone, not to be told twice.
    """
    start, stop = np.concatenate([row.start, inside.stop]), np.concatenate([inside.start, row.stop])
    start, stop = start[start < stop], stop[start < stop]
    left = int(row.recorded[0] - inside.recorded.sum())
    one = (np.arange(len(start)) < left).astype(np.int64)
    room = stop - start - one
    more = np.clip(left - one.sum() - (np.cumsum(room) - room), 0, room)
    parts = row.take(np.zeros(len(start), np.intp))
    flags = np.where(np.arange(len(start)) == len(start) - 1, parts.flags, 0)
    return replace(parts, start=start, stop=stop, recorded=one + more, flags=flags)


def surviving(levels: Mapping[int, Cover], wanted: int, until: int) -> Cover:
    """The cover of the level ``wanted`` where a later session replaced the steps from ``until`` on: finer rows in place
    of one that reaches over ``until``, so that of what was replaced no more shows than the finest row there holds."""
    rows = cover(levels, wanted)
    rows = rows.take(rows.start < until)
    for level in range(wanted - 1, -1, -1):
        if not len(rows) or rows.stop[-1] <= until:
            break
        finer = cover(levels, level)
        finer = finer.take((finer.start >= rows.start[-1]) & (finer.start < until))
        if len(finer):  # none only where rows do not lie within each other
            rows = _joined([rows.take(slice(-1)), finer])
    return rows


def within(rows: Cover, begin: int, end: int) -> Cover:
    """Those that touch the steps ``[begin, end)``."""
    first = int(np.searchsorted(rows.stop, begin, side="right"))
    last = int(np.searchsorted(rows.start, end)) if begin < end else first
    return rows.take(slice(first, max(first, last)))


def _apart(rows: Cover, others: Cover) -> Index:
    """Those of ``rows`` that none of ``others`` touches."""
    after = np.searchsorted(others.stop, rows.start, side="right")  # the first that ends behind the row's start
    bound = np.concatenate([others.start, [np.iinfo(np.int64).max]])
    found: Index = np.flatnonzero(bound[after] >= rows.stop)
    return found


def _joined(parts: Sequence[Cover]) -> Cover:
    names = vars(parts[0])
    joined = Cover(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    return joined.take(np.argsort(joined.start, kind="stable"))


def _none() -> Cover:
    nothing = np.zeros(0, np.int64)
    return Cover(**{field.name: nothing for field in fields(Cover)})
