"""One session: the rows of one writer's life, in two tiers and several levels, read a chunk at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..notes import Note
from ..rows import NEVER, Floats, Ints
from .cache import CACHE
from .columns import columns
from .cover import Cover, by_level, surviving
from .format import FACTOR, FormatError, Schema
from .levels import top, width
from .part import Part
from .rowgroup import HAS_NOTES, HAS_SCALARS, NO_STEP, Chunk, RowGroup, values
from .scalars import Scalar

Codes = npt.NDArray[Any]
Report = Callable[[int, str, Exception], None]
"""First step of the rows, what of them, and why."""
STEPS, COUNTS = 0, 1  # columns; metrics follow


class Lost(Exception):
    """Parts turned out unreadable: what was to be read of them must be had elsewhere. Ask again."""


class _Known:
    """Rows by level, and the covers made of them so far."""

    def __init__(self, parts: Sequence[Part], lost: Container[Part]) -> None:
        self.levels = by_level(parts, lost)
        self.covers: dict[int, Cover] = {}


class Session:
    """``parts``: the better copy of a row first. At least one is not in ``lost``, those known to be unreadable and why;
    ``report`` is told each new one of these, its first step and what the matter is."""

    #: A later session replaced the steps from here on; set before any row is asked for.
    until: int = np.iinfo(np.int64).max

    def __init__(self, schema: Schema, parts: Sequence[Part], lost: dict[Part, Exception], report: Report) -> None:
        self.schema = schema
        self.columns = columns(schema)
        self.metrics = {metric.name: position for position, metric in enumerate(schema.metrics)}
        self._parts, self._lost, self._report = parts, lost, report
        self._known = _Known(parts, lost)
        every = self._known.levels.values()
        self.start = min(int(rows.start[0]) for rows in every)
        self.stop = max(int(rows.stop[rows.recorded > 0].max(initial=self.start + 1)) for rows in every)

    def forget_lost(self) -> None:
        """Do without the parts that are lost."""
        self._known = _Known(self._parts, self._lost)

    def cover(self, steps: float) -> Cover:
        """The surviving rows that show intervals of so many steps: the coarsest that fit in them, finer or coarser ones
        where these are not there. Only the last may reach over :attr:`until`."""
        level, known = self.level_of(steps), self._known
        if level not in known.covers:
            known.covers[level] = surviving(known.levels, level, self.until)
        return known.covers[level]

    def level_of(self, steps: float) -> int:
        """The coarsest level whose rows fit in so many steps."""
        level, most = 0, top(self.schema.every)
        while level < most and width(self.schema.every, level + 1) <= steps:
            level += 1
        return level

    def complete_until(self, steps: float) -> int:
        """The step up to which the rows of :meth:`cover` stay as they are while the session is being written: behind it
        may be some that a full one will replace."""
        rows = self.cover(steps)
        full = self.schema.every * FACTOR ** np.maximum(rows.level, self.level_of(steps))
        ends = rows.stop[rows.stop % full == 0]
        return int(ends[-1]) if len(ends) else self.start

    def is_closed(self) -> bool:
        """Whether the rows that were under way have been cut, as a writer does when it ends. A killed one does not.

        Before, none but a tail ends elsewhere than a full row of its level. That is of one level, and of a tier whose
        level 0 does not come so far.
        """
        last = {
            level: self._parts[rows.part[np.flatnonzero(rows.stop == self.stop)[-1]]]
            for level, rows in self._known.levels.items()
            if (rows.stop == self.stop).any()
        }
        cut = [level for level in last if level and self.stop % width(self.schema.every, level)]
        return len(cut) > 1 or (bool(cut) and 0 in last and last[0].in_memory == last[cut[0]].in_memory)

    def is_full(self) -> bool:
        """Whether all surviving steps are there at full resolution."""
        return not (self.cover(0).level > 0).any()

    def planes(self, column: int, which: Sequence[int], rows: Cover, nodes: Index) -> list[Codes]:
        """Planes ``which`` of a column as ``[row, node]``: codes, or float64 for a metric with escaped values; 0 for a
        node of -1. Raises Lost, once all parts have been tried."""
        about = self.columns[column]
        shape = (len(rows), len(nodes))
        found: list[Codes] = [np.zeros(shape, about.dtype) for _ in which]
        failed: Lost | None = None
        ends = np.flatnonzero(np.diff(rows.part, append=-1)) + 1
        for first, end in zip([0, *ends.tolist()], ends.tolist(), strict=False):
            part = self._parts[rows.part[first]]
            rows_here = _sliced(rows.row[first:end])
            try:
                for chunk, columns_here, within in self._chunks(part, column, which, nodes):
                    for index, stored in enumerate(chunk.planes):
                        if stored is None:
                            continue
                        if stored.dtype == np.float64 and found[index].dtype != np.float64:
                            found[index] = values(about, found[index])
                        some = stored[rows_here][:, within]
                        if found[index].dtype == np.float64 and some.dtype != np.float64:
                            some = values(about, some)
                        found[index][first:end, columns_here] = some
            except Lost as error:
                failed = error
        if failed is not None:
            raise failed
        return found

    def metric(self, name: str, which: Sequence[int], rows: Cover, nodes: Index) -> list[Floats]:
        """Of mean, min and max (0, 1, 2) those in ``which``, ``[row, node]``; NaN where no step had the metric."""
        column = 2 + self.metrics[name]
        found = [values(self.columns[column], plane) for plane in self.planes(column, which, rows, nodes)]
        for plane in found:
            plane[:, nodes < 0] = np.nan
        return found

    def steps(self, which: Sequence[int], rows: Cover, nodes: Index) -> list[Ints]:
        """Of steps with data, with finite data and the first bad step (0, 1, 2) those in ``which``, ``[row, node]``.

        Of a row that is shown in part, what its steps lack is taken to be lacking there, so that it is not overlooked;
        and a first bad step counts only if it is one of those shown.
        """
        wanted = sorted({0 if one == 1 else one for one in which} | set(which))
        planes = dict(zip(wanted, self.planes(STEPS, wanted, rows, nodes), strict=True))
        planes = {one: plane.astype(np.int64) for one, plane in planes.items()}
        if 1 in planes:
            planes[1] = planes[0] - planes[1]
        if 2 in planes:
            bad = planes[2]
            first = np.where(bad == 0, NEVER, rows.begin[:, None] + NO_STEP - bad)
            shown = (rows.start[:, None] <= first) & (first < rows.stop[:, None])
            planes[2] = np.where(shown, first, NEVER)
        return [planes[one] if one == 2 else _shown(planes[one], rows) for one in which]

    def seen(self, rows: Cover, nodes: Index) -> tuple[Ints, Index]:
        """Steps with data ``[row, node]``, and which of the rows may have a bad step, so that the counts of the others
        need not be read. The first bad step alone does not tell: it may be one that is not shown."""
        steps, bad = self.planes(STEPS, [0, 2], rows, nodes)
        return _shown(steps.astype(np.int64), rows), np.flatnonzero(bad.any(axis=1))

    def counts(self, which: Sequence[int], rows: Cover, nodes: Index) -> list[Ints]:
        """Totals of the counts ``which``, ``[row, node]``."""
        return [plane.view(np.int64) for plane in self.planes(COUNTS, which, rows, nodes)]

    def notes(self, rows: Cover, index: int) -> list[Note]:
        """What happened during a row; nothing, and a report, where that cannot be read."""
        if not rows.flags[index] & HAS_NOTES:
            return []
        try:
            notes = self._opened(self._parts[rows.part[index]]).notes(int(rows.row[index]))
            return [note for note in notes if note.step >= rows.start[index]]
        except (FormatError, OSError) as error:
            self._report(int(rows.start[index]), "its notes: ", error)
        except Lost:  # reported where it was found
            pass
        return []

    def scalars(self, rows: Cover, index: int) -> dict[str, Scalar]:
        """What the loop logged during a row; nothing, and a report, where that cannot be read. Raises Lost."""
        part = self._parts[rows.part[index]]
        if not rows.flags[index] & HAS_SCALARS:
            return {}
        try:
            return self._opened(part).scalars(int(rows.row[index]))
        except (FormatError, OSError) as error:
            self._report(int(rows.start[index]), "what was logged: ", error)
            return {}

    def _opened(self, part: Part) -> RowGroup:
        if part in self._lost:
            raise Lost
        try:
            return part.open() if part.in_memory else CACHE.get(part.token, part.open)
        except (FormatError, OSError) as error:
            raise self._losing(part, error) from error

    def _chunks(self, part: Part, column: int, which: Sequence[int], nodes: Index) -> Iterator[tuple[Chunk, Any, Any]]:
        """The chunks that hold ``nodes``, of each the planes ``which``; where their nodes go, and which of theirs these
        are."""
        group = self._opened(part)
        for number, goes, within in _by_chunk(nodes, group.width):
            key = part.token, column, number, *which
            try:
                chunk = CACHE.get(key, functools.partial(group.chunk, column, number, which))
            except (FormatError, OSError) as error:
                raise self._losing(part, error) from error
            yield chunk, goes, within

    def _losing(self, part: Part, error: Exception) -> Lost:
        self._lost[part] = error
        # A file that is not there is no damage: a journal whose rows are in a segment by now, or a segment that was
        # deleted to make room.
        if not isinstance(error, FileNotFoundError):
            self._report(int(part.table["start"][0]), "", error)
        return Lost()


def _shown(steps: Ints, rows: Cover) -> Ints:
    return np.maximum(steps - (rows.total - rows.recorded)[:, None], 0)


def _consecutive(picked: Index) -> bool:
    return int(picked[-1]) - int(picked[0]) + 1 == len(picked) and bool((np.diff(picked) == 1).all())


@functools.lru_cache(maxsize=256)
def _chunks_of(nodes: bytes, width: int) -> tuple[tuple[int, Any, Any], ...]:
    wanted = np.frombuffer(nodes, np.intp)
    found = []
    for number in np.unique(wanted[wanted >= 0] // width).tolist():
        here = np.flatnonzero((wanted >= 0) & (wanted // width == number))
        found.append((number, _sliced(here), _sliced(wanted[here] - number * width)))
    return tuple(found)


def _by_chunk(nodes: Index, width: int) -> tuple[tuple[int, Any, Any], ...]:
    """For each chunk of ``width`` nodes: its number, where its nodes go, and which of its nodes these are."""
    return _chunks_of(nodes.astype(np.intp).tobytes(), width)


def _sliced(index: Index) -> Any:
    return slice(int(index[0]), int(index[-1]) + 1) if _consecutive(index) else index
