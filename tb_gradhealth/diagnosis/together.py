"""Streams that are recorded at paces of their own → the rows that the engine is fed, live and from a file alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

import numpy as np

from ..nodes import Index, Tree
from ..reading.frames import RowOfNodes
from ..store.format import NodeInfo
from .row import Frame, Row, Tensors

S = TypeVar("S")


def nodes_of(tree: Tree) -> Index:
    """The nodes that are looked at: the whole, then each tensor."""
    return np.concatenate([np.zeros(1, np.intp), tree.leaf_nodes])


def tensors_in(tree: Tree, infos: Mapping[str, NodeInfo]) -> Tensors:
    names = tuple(tree.names[node] for node in tree.leaf_nodes)
    shapes = tuple(infos[name].shape or () for name in names)
    return Tensors(names, shapes, tuple(infos[name].dtype or "" for name in names))


def frame_of(tensors: Tensors, row: RowOfNodes) -> Frame:
    """``row`` has the nodes of :func:`nodes_of`."""
    return Frame(
        tensors,
        {name: plane[:, 1:] for name, plane in row.values.items()},
        {name: plane[:, 0] for name, plane in row.values.items()},
        row.with_data[1:],
        row.first_bad[1:],
    )


class Samples(Protocol[S]):
    """The rows of a stream that were not taken yet, in step order."""

    def next_before(self, step: int) -> S | None:
        """Takes the next one, if it begins before ``step``."""
        ...

    def frame(self, sample: S) -> Frame: ...


def together(lead: str, own: Frame, row: RowOfNodes, others: Mapping[str, Samples[S]]) -> Row:
    """A row of the stream ``lead`` with what the others have of its steps. A sample belongs to the row that its step is
    in, which is the first of the sampled stream's own row, however long that is."""
    frames = {lead: own}
    for name, stream in others.items():
        latest = None
        while (sample := stream.next_before(row.stop)) is not None:
            latest = sample
        if latest is not None:
            frames[name] = stream.frame(latest)
    return Row(row.start, row.stop, frames, row.logged, row.notes)
