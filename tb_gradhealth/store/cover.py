"""Which rows of which level show a session best: no finer than asked for, and none of its steps left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from ..nodes import Index
from ..rows import Ints
from .part import Part


@dataclass(frozen=True)
class Cover:
    """Disjoint rows in step order."""

    level: Ints  # [row]
    start: Ints  # [row], steps
    stop: Ints  # [row], steps
    recorded: Ints  # [row], steps measured
    flags: Ints  # [row], as in rowgroup.ROW
    part: Index  # [row], position of the part
    row: Index  # [row], row within the part

    def __len__(self) -> int:
        return len(self.start)

    def take(self, which: Index | slice) -> Cover:
        return Cover(**{name: value[which] for name, value in vars(self).items()})


def by_level(parts: Sequence[Part], lost: Set[Part] = frozenset()) -> dict[int, Cover]:
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
        )
    return found


def cover(levels: Mapping[int, Cover], wanted: int) -> Cover:
    """Rows of the level ``wanted``; finer ones where it has none, as where it is not finished; and coarser ones where
    these are not all there either."""
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
        if needed.any():
            added = coarser.take(np.flatnonzero(needed))
            chosen = _joined([added, chosen.take(_apart(chosen, added))])
    return chosen


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
    return Cover(*(np.zeros(0, np.int64) for _ in range(5)), *(np.zeros(0, np.intp) for _ in range(2)))
