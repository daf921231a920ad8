"""Sessions of one stream stitched into one history, and the cells that a heatmap shows of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import nodes
from ..nodes import Index, Tree
from ..notes import Note
from ..rows import NEVER, Floats, Ints
from .format import MetricInfo, NodeInfo
from .sessions import Session

LEAVES_AT_ONCE = 4096


@dataclass(frozen=True)
class Grid:
    """``count`` equal intervals of ``width`` steps from ``begin`` on: the columns of a heatmap."""

    begin: int
    width: int
    count: int

    @property
    def end(self) -> int:
        return self.begin + self.width * self.count


@dataclass
class Cells:
    """What a grid shows of some nodes; NaN where no step had the metric."""

    mean: Floats  # [node, cell]
    min: Floats  # [node, cell]
    max: Floats  # [node, cell]


@dataclass
class Tally:
    """Steps and counts of the rows that a cell touches."""

    recorded: Ints  # [cell], steps of these rows
    with_data: Ints  # [node, cell], steps in which the node had a gradient
    first_bad: Ints  # [node, cell], NEVER if none
    counts: dict[str, Ints]  # name → [node, cell], totals


class Timeline:
    """The history of one stream that survived: a later session replaces everything from its first step on.

    A timeline with a ``lead``, the run's first stream, has the steps, cells, metrics and nodes of that one, so that a
    node and a cell mean the same in all streams, and loses the steps that sessions of the lead replaced. Nothing may be
    left of it then: ``sessions`` is empty.
    """

    cell: int
    first: int
    end: int
    metrics: dict[str, MetricInfo]
    tree: Tree
    tensors: dict[str, NodeInfo]

    def __init__(self, sessions: list[Session], lead: Timeline | None = None) -> None:
        self.sessions: list[Session] = []
        self.until: list[int] = []  # steps of session i that survive end here
        #: First step of each session, also of those of which nothing survives, by wall time and id.
        self.begins: dict[tuple[float, str], int] = dict(lead.begins) if lead is not None else {}
        known = {(session.schema.wall_time, session.schema.session): session for session in sessions}
        for key, session in known.items():
            first = min(session.schema.start_step, int(session.start[0]))
            self.begins[key] = min(self.begins.get(key, first), first)
        end = np.iinfo(np.int64).max
        for key in sorted(self.begins, reverse=True):
            if key in known and int(known[key].start[0]) < end:  # otherwise nothing of it survives, its tensors neither
                self.sessions.insert(0, known[key])
                self.until.insert(0, end)
            end = min(end, self.begins[key])
        if lead is not None:
            self.cell, self.first, self.end = lead.cell, lead.first, lead.end
            self.metrics, self.tree, self.tensors = lead.metrics, lead.tree, lead.tensors
        else:
            self._measure()
        self.label = self.sessions[-1].schema.label if self.sessions else ""
        place = {key: i for i, key in enumerate(zip(self.tree.names, self.tree.kinds, strict=True))}
        # For each session, the column of each node of the tree; -1 where the session does not have it.
        self._columns: list[Index] = []
        for session in self.sessions:
            columns = np.full(len(self.tree), -1, np.intp)
            for column, node in enumerate(session.schema.nodes):
                index = place.get((node.name, node.kind))
                if index is not None:
                    columns[index] = column
            self._columns.append(columns)

    def _measure(self) -> None:
        """Steps, cells, metrics and nodes of the sessions that survive; a later session's come first."""
        self.cell = min(session.schema.every for session in self.sessions)
        self.first = min(int(session.start[0]) for session in self.sessions)
        self.end = max(
            min(int(session.stop[-1]), until) for session, until in zip(self.sessions, self.until, strict=True)
        )
        self.metrics = {}
        infos: dict[str, NodeInfo] = {}
        for session in reversed(self.sessions):
            for metric in session.schema.metrics:
                self.metrics.setdefault(metric.name, metric)
            recorded = session.schema.nodes
            tensors = {node.name: node for node in recorded if node.kind == "tensor"}
            for name in nodes.model_order([node.name for node in recorded], [node.kind for node in recorded]):
                infos.setdefault(name, tensors[name])
        self.tree = nodes.build(list(infos))
        self.tensors = infos

    def cells(self, metric: str, which: Index, grid: Grid) -> Cells:
        """``metric`` of the nodes ``which``. A row that reaches over a cell's edge shows in each cell it touches."""
        shape = (len(which), grid.count)
        total, steps = np.zeros(shape), np.zeros(shape)
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        over = 0 if self.metrics[metric].over == "all" else 1
        for piece in self._pieces(which, grid):
            if metric not in piece.session.metrics:
                continue
            mean, least, most = piece.read(metric)
            weight = np.where(np.isnan(mean), 0, piece.read("steps")[over])
            weighted = np.where(weight > 0, mean, 0.0) * weight
            at = piece.cells
            total[:, at] += piece.merge(np.add, weighted)
            steps[:, at] += piece.merge(np.add, weight)
            low[:, at] = np.fmin(low[:, at], piece.merge(np.fmin, least))
            high[:, at] = np.fmax(high[:, at], piece.merge(np.fmax, most))
        with np.errstate(invalid="ignore", divide="ignore"):
            return Cells(*(np.where(steps == 0, np.nan, plane) for plane in (total / steps, low, high)))

    def worst(self, metric: str, which: Index, grid: Grid) -> Floats:
        """Largest per-step value of ``metric`` in any tensor inside each node: ``[node, cell]``."""
        low, high = int(self.tree.start[which].min(initial=0)), int(self.tree.stop[which].max(initial=0))
        found = np.full((len(which), grid.count), np.nan)
        for first in range(low, high, LEAVES_AT_ONCE):
            leaves = self.cells(metric, self.tree.leaf_nodes[first : min(first + LEAVES_AT_ONCE, high)], grid).max
            for row, node in enumerate(which):
                inside = leaves[max(self.tree.start[node] - first, 0) : max(self.tree.stop[node] - first, 0)]
                if len(inside):
                    found[row] = np.fmax(found[row], np.fmax.reduce(inside, axis=0))
        return found

    def worst_row(self, metric: str, node: int, grid: Grid) -> tuple[int, int, int] | None:
        """Tensor inside ``node`` with the largest value of ``metric`` within ``grid``, and the recorded interval it
        is in: ``(node, start, stop)``; None when no tensor has any."""
        leaves = self.tree.leaf_nodes[self.tree.start[node] : self.tree.stop[node]]
        best, found = -np.inf, None
        for piece in self._pieces(leaves, grid):
            if metric not in piece.session.metrics:
                continue
            most = piece.read(metric)[2]
            most = np.where(np.isnan(most), -np.inf, most)
            row, leaf = np.unravel_index(np.argmax(most), most.shape)
            if most[row, leaf] > best:
                best, index = most[row, leaf], piece.rows[row]
                found = int(leaves[leaf]), int(piece.session.start[index]), int(piece.session.stop[index])
        return found

    def tally(self, which: Index, grid: Grid) -> Tally:
        """Steps and counts behind the cells of ``grid``."""
        shape = (len(which), grid.count)
        names = dict.fromkeys(name for session in self.sessions for name in session.schema.counts)
        tally = Tally(
            np.zeros(grid.count, np.int64),
            np.zeros(shape, np.int64),
            np.full(shape, NEVER),
            {name: np.zeros(shape, np.int64) for name in names},
        )
        for piece in self._pieces(which, grid):
            at, steps = piece.cells, piece.read("steps")
            tally.recorded[at] += np.add.reduceat(
                piece.session.stop[piece.rows] - piece.session.start[piece.rows], piece.groups
            )
            tally.with_data[:, at] += piece.merge(np.add, steps[0])
            bad = np.where(piece.columns < 0, NEVER, steps[2])
            tally.first_bad[:, at] = np.minimum(tally.first_bad[:, at], piece.merge(np.minimum, bad))
            for name, plane in zip(piece.session.schema.counts, piece.read("counts"), strict=True):
                tally.counts[name][:, at] += piece.merge(np.add, plane)
        return tally

    def covered(self, grid: Grid) -> tuple[int, int] | None:
        """First and end step of the rows that ``grid`` touches; None when there is none."""
        pieces = list(self._pieces(np.zeros(1, np.intp), grid))
        if not pieces:
            return None
        starts = min(int(piece.session.start[piece.rows].min()) for piece in pieces)
        return starts, max(int(piece.session.stop[piece.rows].max()) for piece in pieces)

    def notes(self, begin: int, end: int, limit: int) -> tuple[list[Note], bool]:
        """The first ``limit`` notes of the steps ``[begin, end)``, in step order, and whether these are all."""
        alive = zip(self.sessions, self.until, strict=True)  # in step order, none reaching into the next one
        found = itertools.chain.from_iterable(one.notes(begin, end, until) for one, until in alive)
        notes = list(itertools.islice(found, limit))
        return notes, next(found, None) is None

    def _pieces(self, which: Index, grid: Grid) -> Iterator[_Piece]:
        """The surviving rows that ``grid`` touches, a decoded block at a time."""
        for session, until, columns in zip(self.sessions, self.until, self._columns, strict=True):
            alive = (session.start < min(until, grid.end)) & (np.minimum(session.stop, until) > grid.begin)
            rows = np.flatnonzero(alive)
            for part in np.split(rows, np.flatnonzero(np.diff(rows // session.block_rows)) + 1):
                if len(part):
                    yield _piece(session, part, columns[which], grid, min(until, grid.end))


@dataclass
class _Piece:
    """Rows of one block, repeated for each cell that they touch, in the order of the cells."""

    session: Session
    rows: Index  # [pair], row within the session
    columns: Index  # [node], column within the session's rows, -1 for none
    cells: Index  # [group], the grid's cells touched
    groups: Index  # [group], first pair of each

    def read(self, section: str) -> npt.NDArray[Any]:
        """``[plane, pair, node]`` of a section; nodes that the session lacks are NaN, or 0 for integers."""
        number = int(self.rows[0]) // self.session.block_rows
        block = self.session.block(section, number)
        picked = block[:, (self.rows - number * self.session.block_rows)[:, None], self.columns]
        picked[:, :, self.columns < 0] = np.nan if picked.dtype.kind == "f" else 0
        return picked

    def merge(self, combine: np.ufunc, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``[pair, node]`` merged over TIME into ``[node, group]``."""
        merged: npt.NDArray[Any] = combine.reduceat(plane, self.groups, axis=0).T
        return merged


def _piece(session: Session, rows: Index, columns: Index, grid: Grid, until: int) -> _Piece:
    first = (np.maximum(session.start[rows], grid.begin) - grid.begin) // grid.width
    last = (np.minimum(session.stop[rows], until) - 1 - grid.begin) // grid.width
    touched = last - first + 1
    within = np.arange(touched.sum()) - np.repeat(np.cumsum(touched) - touched, touched)
    cell = np.repeat(first, touched) + within
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    groups = np.flatnonzero(np.diff(cell, prepend=-1))
    return _Piece(session, np.repeat(rows, touched)[order], columns, cell[groups], groups)
