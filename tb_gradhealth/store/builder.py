"""Blocks of measured steps → rows of level 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradhealth_kernels.metrics import Metric
from gradhealth_kernels.statistics import COUNTS, neutral
from gradhealth_kernels.statistics import merge as merge_space

from .. import rows as interval
from ..nodes import Tree
from ..notes import Note, bounded
from ..rows import Rows
from . import scalars as logged_scalars
from .blocks import Block, Number, notes_of
from .pending import PendingRow
from .scalars import Scalar

MAX_BLOCK_STEPS = 32


class RowBuilder:
    """Collects blocks until a row is full; rows end at multiples of ``every``.

    A block of a ``sampled`` stream is one step, that stands for those behind it up to the end of its row.
    """

    def __init__(self, tree: Tree, metrics: Sequence[Metric], every: int, sampled: bool = False) -> None:
        self._tree, self._metrics, self._every, self._sampled = tree, metrics, every, sampled
        self._open: PendingRow | None = None
        self._notes: list[Note] = []  # of steps that have no row yet
        self._names = tree.tensor_names
        #: Memory that a row and a block take, about.
        self.row_bytes = len(tree) * 8 * (3 + len(COUNTS) + 3 * len(metrics))
        self.block_bytes = len(self._names) * min(every, MAX_BLOCK_STEPS) * neutral((0,)).itemsize

    def add(self, block: Block) -> list[PendingRow]:
        """The rows that ``block`` completes, in step order."""
        entries, attempts = block.read()
        self._notes = bounded([*self._notes, *notes_of(block, entries, attempts, self._names)])
        if block.dropped:
            return []
        logged = [*block.logged, *(("loss_scale", a.loss_scale) for a in attempts if a.loss_scale is not None)]
        nodes = merge_space(entries.take(self._tree.leaf_order, axis=1), self._tree.start, self._tree.stop)
        steps = interval.from_steps(block.first_step, nodes, self._metrics)
        number = steps.start // self._every
        if self._sampled:
            steps = replace(steps, stop=(number + 1) * self._every)
        groups = [i for i in range(len(steps)) if i == 0 or number[i] != number[i - 1]]
        merged = interval.merge(steps, groups)
        done = []
        for i in range(len(merged)):
            one = PendingRow(interval.take(merged, i), _scalars(logged) if i == len(merged) - 1 else {})
            one.notes, self._notes = _until(self._notes, one.rows)
            if self._open is not None and int(self._open.rows.start[0]) // self._every != int(number[groups[i]]):
                done += self._end()  # steps are missing up to the end of the open row
            self._open = one if self._open is None else self._open.merged(one)
            # Another optimizer's sample of the same row may follow.
            if not self._sampled and int(self._open.rows.stop[0]) % self._every == 0:
                done.append(self._open)
                self._open = None
        return done

    @property
    def sample(self) -> PendingRow | None:
        """What is known of the row under construction, of a sampled stream; its steps are those up to the row's end."""
        return self._open if self._sampled else None

    def cut(self) -> list[PendingRow]:
        """The row under construction, ended early, and a row without a step for the notes that no other can take."""
        done = self._end()
        if self._notes:
            step = max(note.step for note in self._notes)
            nothing = interval.from_steps(step, neutral((1, len(self._tree))), self._metrics)
            empty = PendingRow(replace(nothing, recorded=np.zeros(1, np.int64)), {})
            empty.notes, self._notes = _until(self._notes, empty.rows)
            done.append(empty)
        return done

    def _end(self) -> list[PendingRow]:
        """The row under construction, ended early, with the notes of what came after its last step."""
        row, self._open = self._open, None
        if row is None:
            return []
        row.notes = bounded([*row.notes, *(note for note in self._notes if note.step <= row.stop)])
        self._notes = [note for note in self._notes if note.step > row.stop]
        return [row]


def _until(notes: Sequence[Note], rows: Rows) -> tuple[list[Note], list[Note]]:
    """Notes up to the end of a row, and the others. Those of steps that no row has go with the next one."""
    start, stop = int(rows.start[0]), int(rows.stop[0])
    before = [replace(note, step=max(note.step, start)) for note in notes if note.step < stop]
    return before, [note for note in notes if note.step >= stop]


def _scalars(logged: Sequence[tuple[str, Number]]) -> dict[str, Scalar]:
    totals: dict[str, Scalar] = {}
    for name, value in logged:
        try:
            number = float(value() if callable(value) else value)
        except Exception:  # a value that its device did not give back costs itself alone
            continue
        text = logged_scalars.clean(name)
        totals[text] = logged_scalars.add(totals.get(text), Scalar(1, number, number, number))
    return totals
