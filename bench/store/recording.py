"""Steps of a training → rows of level 0, as the writer's :class:`RowBuilder` makes them, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gradhealth_kernels.statistics import merge as merge_space
from tb_gradhealth import rows as interval
from tb_gradhealth.nodes import Tree
from tb_gradhealth.rows import Rows
from tb_gradhealth.store.pending import PendingRow

from .training import Training, logged


def steps(training: Training, tree: Tree, first: int, stop: int) -> Rows:
    """One row for each of the steps ``[first, stop)``."""
    entries = training.entries(first, stop)
    return interval.from_steps(first, merge_space(entries[:, tree.leaf_order], tree.start, tree.stop))


def merged(training: Training, tree: Tree, first: int, stop: int, width: int) -> Rows:
    """The steps ``[first, stop)`` in rows of ``width``."""
    each = steps(training, tree, first, stop)
    return interval.merge(each, np.arange(0, len(each), width))


def every_row(training: Training, tree: Tree, every: int) -> Iterator[PendingRow]:
    """All rows of level 0; ``every`` divides the training's chunk."""
    for first in range(0, training.steps, training.chunk):
        rows = merged(training, tree, first, min(first + training.chunk, training.steps), every)
        for index in range(len(rows)):
            row = interval.take(rows, index)
            yield PendingRow(row, logged(training, int(row.start[0]), int(row.stop[0])))


def sampled_rows(training: Training, tree: Tree, first: int, stop: int, width: int) -> Iterator[PendingRow]:
    """Rows of ``width`` steps, in each of which a single one was measured: the training's step ``start // width``."""
    for start in range(first, stop, width):
        end = min(start + width, stop)
        row = steps(training, tree, start // width, start // width + 1)
        bad = np.where(row.first_bad == interval.NEVER, interval.NEVER, start)
        whole = replace(row, start=np.array([start]), stop=np.array([end]), first_bad=bad)
        yield PendingRow(whole, logged(training, start, start + 1))
