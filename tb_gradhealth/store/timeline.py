"""What is shown of a history: metrics and flags of its nodes in cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..rows import NEVER, Floats
from .cells import BAD, NO_GRADIENT, Cells, Grid, Reading, Spread, Tally
from .cover import Cover, within
from .format import FACTOR
from .history import History
from .levels import top, width
from .sessions import Lost, Session

T = TypeVar("T")
View = Literal["max", "mean", "min", "worst"]
PLANES = {"mean": 0, "min": 1, "max": 2}

LEAVES_AT_ONCE = 4096
#: Rows × nodes that are decoded together.
SPAN_CELLS = 1 << 20


class Timeline(History):
    """A history, and what is shown of it: metrics and flags of nodes in the cells of a grid."""

    _forgotten = 0  # how often parts turned out to be unreadable

    def read(self, metric: str, which: Index, begin: int, end: int, cells: int, view: View) -> Reading:
        """``metric`` of the nodes ``which`` over the steps ``[begin, end)``, in the cells of :meth:`fitting`. Raises
        KeyError for a metric that there is not."""
        grid = self.fitting(begin, end, cells)
        shown = self.worst(metric, which, grid) if view == "worst" else self.plane(metric, which, grid, view)
        return Reading(grid, shown, self.flags(which, grid))

    def fitting(self, begin: int, end: int, cells: int) -> Grid:
        """At most ``cells`` cells that hold the steps ``[begin, end)``.

        Cells are made of whole rows, fewer than make one of the next level, of the finest level where that is so; they
        may begin a little before ``begin`` and end after ``end``. Raises ValueError for an interval without steps.
        """
        if not begin < end or cells < 1:
            raise ValueError(f"expected steps [a, b) with a < b and a cell or more, got [{begin}, {end}) and {cells}")
        for level in range(top(self.cell) + 1):
            row = width(self.cell, level)
            first = begin // row
            count = -(-end // row) - first
            rows = -(-count // cells)  # in a cell
            if rows < FACTOR:
                break
        return Grid(first * row, rows * row, -(-count // rows))

    def cells(self, metric: str, which: Index, grid: Grid) -> Cells:
        """``metric`` of the nodes ``which``. A row that reaches over a cell's edge shows in each cell it touches."""
        return Cells(*(self.plane(metric, which, grid, view) for view in PLANES))

    def plane(self, metric: str, which: Index, grid: Grid, view: str) -> Floats:
        """Mean, min or max ``[node, cell]``; NaN where no step had the metric."""
        if view == "mean":
            return self._stable(lambda: self._mean(metric, which, grid))
        return self._stable(lambda: self._extreme(metric, which, grid, PLANES[view]))

    def _extreme(self, metric: str, which: Index, grid: Grid, kind: int) -> Floats:
        combine = np.fmin if kind == PLANES["min"] else np.fmax
        found = np.full((grid.count, len(which)), np.nan)

        def take(spread: Spread, session: Session, columns: Index) -> None:
            if metric in session.metrics:
                (plane,) = session.metric(metric, [kind], spread.rows, columns)
                spread.into(found, combine, plane)

        self._each(which, grid, take)
        shown: npt.NDArray[Any] = found.T
        return shown

    def _mean(self, metric: str, which: Index, grid: Grid) -> Floats:
        shape = (grid.count, len(which))
        total, steps = np.zeros(shape), np.zeros(shape)
        over = 0 if self.metrics[metric].over == "all" else 1

        def take(spread: Spread, session: Session, columns: Index) -> None:
            if metric in session.metrics:
                (mean,) = session.metric(metric, [0], spread.rows, columns)
                (weight,) = session.steps([over], spread.rows, columns)
                weight[np.isnan(mean)] = 0
                # 0 × ∞ would be NaN, and x × weight may be beyond what a float holds.
                mean[weight == 0] = 0
                with np.errstate(over="ignore"):
                    spread.into(total, np.add, mean * weight)
                spread.into(steps, np.add, weight)

        self._each(which, grid, take)
        with np.errstate(invalid="ignore", divide="ignore"):
            shown: Floats = (total / steps).T
        return shown

    def worst(self, metric: str, which: Index, grid: Grid) -> Floats:
        """Largest per-step value of ``metric`` in any tensor inside each node: ``[node, cell]``."""
        low, high = int(self.tree.start[which].min(initial=0)), int(self.tree.stop[which].max(initial=0))
        found = np.full((len(which), grid.count), np.nan)
        for first in range(low, high, LEAVES_AT_ONCE):
            leaves = self.plane(metric, self.tree.leaf_nodes[first : min(first + LEAVES_AT_ONCE, high)], grid, "max")
            for row, node in enumerate(which):
                inside = leaves[max(self.tree.start[node] - first, 0) : max(self.tree.stop[node] - first, 0)]
                if len(inside):
                    found[row] = np.fmax(found[row], np.fmax.reduce(inside, axis=0))
        return found

    def worst_row(self, metric: str, node: int, grid: Grid) -> tuple[int, int, int] | None:
        """Tensor inside ``node`` with the largest value of ``metric`` within ``grid``, and the recorded interval it
        is in: ``(node, start, stop)``; None when no tensor has any."""
        return self._stable(lambda: self._worst_row(metric, node, grid))

    def _worst_row(self, metric: str, node: int, grid: Grid) -> tuple[int, int, int] | None:
        leaves = self.tree.leaf_nodes[self.tree.start[node] : self.tree.stop[node]]
        found: list[tuple[float, Session, Index, int, Cover]] = []  # the first of each span with the largest value

        def take(spread: Spread, session: Session, columns: Index) -> None:
            if metric in session.metrics:
                row, leaf, most = _largest(session, metric, spread.rows, columns)
                if most > -np.inf:
                    rows = spread.rows.take(slice(row, row + 1))
                    found.append((most, session, columns[[leaf]], int(leaves[leaf]), rows))

        if len(leaves):  # a file may tell of no tensor at all
            self._each(leaves, grid, take)
        if not found:
            return None
        _, session, column, tensor, rows = max(found, key=itemgetter(0))
        # Found at the level that suits the grid; inside that row finer ones tell more exactly when, level by level.
        for level in range(int(rows.level[0]) - 1, -1, -1):
            finer = within(
                session.cover(width(session.schema.every, level)),
                max(int(rows.start[0]), grid.begin),
                min(int(rows.stop[0]), grid.end),
            )
            if not len(finer):  # the grid begins in a gap of the row
                break
            at = _largest(session, metric, finer, column)[0]
            rows = finer.take(slice(at, at + 1))
        return tensor, int(rows.begin[0]), int(rows.end[0])

    def flags(self, which: Index, grid: Grid) -> npt.NDArray[np.uint8]:
        """``[node, cell]``, sums of what is seen of :data:`BAD` and :data:`NO_GRADIENT`."""
        return self._stable(lambda: self._flags(which, grid))

    def _flags(self, which: Index, grid: Grid) -> npt.NDArray[np.uint8]:
        found = np.zeros((grid.count, len(which)), np.uint8)

        def take(spread: Spread, session: Session, columns: Index) -> None:
            steps, bad = session.seen(spread.rows, columns)
            seen = np.where(steps < spread.rows.recorded[:, None], NO_GRADIENT, 0).astype(np.uint8)
            kinds = {name: bit for name, bit in BAD.items() if name in session.schema.counts}
            rows = spread.rows.take(bad)
            planes = session.counts([session.schema.counts.index(name) for name in kinds], rows, columns)
            for plane, bit in zip(planes, kinds.values(), strict=True):
                seen[bad] |= np.where(plane > 0, bit, 0).astype(np.uint8)
            spread.into(found, np.bitwise_or, seen)

        self._each(which, grid, take)
        shown: npt.NDArray[Any] = found.T
        return shown

    def tally(self, which: Index, grid: Grid) -> Tally:
        """Steps and counts behind the cells of ``grid``."""
        return self._stable(lambda: self._tally(which, grid))

    def _tally(self, which: Index, grid: Grid) -> Tally:
        names = dict.fromkeys(name for session in self.sessions for name in session.schema.counts)
        shape = (grid.count, len(which))
        recorded, with_data = np.zeros((grid.count, 1), np.int64), np.zeros(shape, np.int64)
        first_bad = np.full(shape, NEVER)
        counts = {name: np.zeros(shape, np.int64) for name in names}

        def take(spread: Spread, session: Session, columns: Index) -> None:
            steps, bad = session.steps([0, 2], spread.rows, columns)
            spread.into(recorded, np.add, spread.rows.recorded[:, None])
            spread.into(with_data, np.add, steps)
            spread.into(first_bad, np.minimum, bad)
            own = session.schema.counts
            for name, plane in zip(own, session.counts(range(len(own)), spread.rows, columns), strict=True):
                spread.into(counts[name], np.add, plane)

        self._each(which, grid, take)
        return Tally(recorded[:, 0], with_data.T, first_bad.T, {name: plane.T for name, plane in counts.items()})

    def _each(self, which: Index, grid: Grid, take: Callable[[Spread, Session, Index], None]) -> None:
        """``take`` of the surviving rows that ``grid`` touches, a bounded number at a time. Raises Lost, but behind the
        last of them: then all parts that are unreadable are known, and covers made anew once, not once for each."""
        failed: Lost | None = None
        for session, until, columns in self.alive():
            own = columns[which]
            rows = within(session.cover(grid.width), grid.begin, min(until, grid.end))
            for some in _spans(rows, len(which)):
                try:
                    take(Spread(some, grid, min(until, grid.end)), session, own)
                except Lost as error:
                    failed = error
        if failed is not None:
            raise failed

    def settled(self, read: Callable[[], T]) -> T:
        """``read``, again if parts turned out to be unreadable meanwhile: what it gives is all of the same rows."""
        while True:
            before = self._forgotten
            found = read()
            if self._forgotten == before:
                return found

    def _stable(self, read: Callable[[], T]) -> T:
        """``read``, again and again while parts turn out to be unreadable; each time there are fewer."""
        while True:
            try:
                return read()
            except Lost:
                self.forget_lost()

    def forget_lost(self) -> None:
        """Do without the parts that turned out to be unreadable."""
        self._forgotten += 1
        for session in self.sessions:
            session.forget_lost()


def _largest(session: Session, metric: str, rows: Cover, columns: Index) -> tuple[int, int, float]:
    """Row and column of the largest value of ``metric``, and the value; -inf where there is none."""
    (most,) = session.metric(metric, [PLANES["max"]], rows, columns)
    most[np.isnan(most)] = -np.inf
    row, column = np.unravel_index(np.argmax(most), most.shape)
    return int(row), int(column), float(most[row, column])


def _spans(rows: Cover, nodes: int) -> Iterator[Cover]:
    at_once = max(1, SPAN_CELLS // max(1, nodes))
    for first in range(0, len(rows), at_once):
        yield rows.take(slice(first, first + at_once))
