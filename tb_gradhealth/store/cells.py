"""What is shown of a history: cells of a grid, rows one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..notes import Note
from ..rows import Floats, Ints
from .cover import Cover
from .scalars import Scalar
from .sessions import Session

#: What a cell may be flagged with: an element of that kind at some step; some or all steps without gradient.
BAD = {"nan": 1, "pos_inf": 2, "neg_inf": 4}
NO_GRADIENT = 8


@dataclass(frozen=True)
class Grid:
    """``count`` equal intervals of ``width`` steps from ``begin`` on: the columns of a heatmap."""

    begin: int
    width: int
    count: int

    @property
    def end(self) -> int:
        return self.begin + self.width * self.count

    @property
    def edges(self) -> Ints:
        """``[cell + 1]``, steps."""
        return self.begin + self.width * np.arange(self.count + 1, dtype=np.int64)


@dataclass
class Cells:
    """What a grid shows of some nodes; NaN where no step had the metric."""

    mean: Floats  # [node, cell]
    min: Floats  # [node, cell]
    max: Floats  # [node, cell]


@dataclass
class Reading:
    """One view of a metric."""

    grid: Grid
    values: Floats  # [node, cell], NaN where no step had the metric
    flags: npt.NDArray[np.uint8]  # [node, cell], sums of BAD and NO_GRADIENT

    @property
    def edges(self) -> Ints:
        """``[cell + 1]``, steps."""
        return self.grid.edges


@dataclass
class Tally:
    """Steps and counts of the rows that a cell touches."""

    recorded: Ints  # [cell], steps of these rows
    with_data: Ints  # [node, cell], steps in which the node had a gradient
    first_bad: Ints  # [node, cell], NEVER if none
    counts: dict[str, Ints]  # name → [node, cell], totals


class Spread:
    """Rows over the cells of a grid that they touch, up to the step ``until``."""

    def __init__(self, rows: Cover, grid: Grid, until: int) -> None:
        self.rows = rows
        first = (np.maximum(rows.start, grid.begin) - grid.begin) // grid.width
        last = (np.minimum(rows.stop, until) - 1 - grid.begin) // grid.width
        touched = last - first + 1
        self._repeat: Index | None = None
        if (touched > 1).any():
            self._repeat = np.repeat(np.arange(len(rows)), touched)
            first = (
                np.repeat(first, touched)
                + np.arange(len(self._repeat))
                - np.repeat(np.cumsum(touched) - touched, touched)
            )
        self._groups = np.flatnonzero(np.diff(first, prepend=-1))
        self._cells = first[self._groups]

    def into(self, found: npt.NDArray[Any], combine: np.ufunc, plane: npt.NDArray[Any]) -> None:
        """Merges ``plane [row, node]`` over TIME into the cells ``found [cell, node]``."""
        if self._repeat is not None:
            plane = plane[self._repeat]
        merged = combine.reduceat(plane, self._groups, axis=0) if len(self._groups) < len(plane) else plane
        found[self._cells] = combine(found[self._cells], merged)


class RowSpan:
    """Some consecutive rows, one by one; nodes are those of the timeline.

    What reads of the rows raises Lost where they turn out unreadable: ask the timeline for its rows again.
    """

    def __init__(self, session: Session, rows: Cover, columns: Index, until: int) -> None:
        self._session, self._rows, self._columns, self._until = session, rows, columns, until

    def __len__(self) -> int:
        return len(self._rows)

    def after(self, step: int) -> RowSpan:
        """The same rows without their steps before ``step``, which other rows have shown. Of the rest at most so many
        as :attr:`recorded` says were measured: nobody knows which of a row's steps are missing."""
        start = np.maximum(self._rows.start, step)
        recorded = np.minimum(self._rows.recorded, self._rows.stop - start)
        rows = replace(self._rows, start=start, recorded=recorded)
        return RowSpan(self._session, rows, self._columns, self._until)

    @property
    def start(self) -> Ints:
        """``[row]``, steps."""
        return self._rows.start

    @property
    def stop(self) -> Ints:
        """``[row]``, steps; where a later session replaced the end of a row, it ends there."""
        return np.minimum(self._rows.stop, self._until)

    @property
    def recorded(self) -> Ints:
        """``[row]``, steps measured."""
        return self._rows.recorded

    @property
    def figures_of(self) -> Ints:
        """``[row, 2]``, steps that metrics and counts are of: more than are shown where a row is shown in part."""
        return np.stack([self._rows.begin, self._rows.end], axis=1)

    @property
    def count_names(self) -> Sequence[str]:
        return self._session.schema.counts

    def metric(self, name: str, which: Index) -> Floats:
        """``[mean min max, row, node]``; NaN where no step had the metric."""
        if name not in self._session.metrics:
            return np.full((3, len(self), len(which)), np.nan)
        return np.stack(self._session.metric(name, range(3), self._rows, self._columns[which]))

    def steps(self, which: Index) -> Ints:
        """``[3, row, node]``: steps with data, with finite data, first bad step (NEVER if none)."""
        return np.stack(self._session.steps(range(3), self._rows, self._columns[which]))

    def counts(self, which: Index) -> Ints:
        """``[count, row, node]``, totals in the order of :attr:`count_names`."""
        names = self._session.schema.counts
        return np.stack(self._session.counts(range(len(names)), self._rows, self._columns[which]))

    def flags(self, which: Index) -> npt.NDArray[np.uint8]:
        """``[row, node]``, sums of what is seen of :data:`BAD` and :data:`NO_GRADIENT`."""
        counts = dict(zip(self.count_names, self.counts(which), strict=True))
        flags = np.where(self.steps(which)[0] < self._rows.recorded[:, None], NO_GRADIENT, 0).astype(np.uint8)
        for name, bit in BAD.items():
            if name in counts:
                flags |= np.where(counts[name] > 0, bit, 0).astype(np.uint8)
        return flags

    def scalars(self, index: int) -> dict[str, Scalar]:
        """What the loop logged during a row."""
        return self._session.scalars(self._rows, index)

    def notes(self, index: int) -> list[Note]:
        """What happened during a row."""
        return self._session.notes(self._rows, index)
