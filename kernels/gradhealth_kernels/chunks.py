"""Tensors → the static chunk table that both kernels read: which program measures which part of which tensor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SMALLEST, LARGEST = 2**14, 2**16

Integers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Launch:
    """Chunks ``[start, stop)`` of one dtype: one launch of stage 1."""

    dtype: Hashable
    start: int
    stop: int


@dataclass(frozen=True)
class ChunkTable:
    """Chunks of ``size`` elements, those of one tensor side by side, tensors of one dtype side by side.

    tensor: ``[chunk]``, the tensor that a chunk belongs to.
    index: ``[chunk]``, its place there: it starts at element ``index * size``, which may exceed 2^31.
    starts, stops: ``[tensor]``, the chunks ``[start, stop)`` of a tensor; an empty tensor has none.
    """

    size: int
    tensor: Integers
    index: Integers
    starts: Integers
    stops: Integers
    launches: tuple[Launch, ...]


def chunk_size(elements: int, programs: int) -> int:
    """Elements per chunk, a power of two: the largest that still keeps ``programs`` programs busy.

    It is bounded above because one chunk is summed in float32, and below because a program has a fixed cost.
    """
    size = LARGEST
    while size > SMALLEST and elements < size * programs:
        size //= 2
    return size


def chunk_table(elements: Sequence[int], dtypes: Sequence[Hashable], size: int) -> ChunkTable:
    """Cuts tensors, given by element count and dtype, into chunks of ``size`` elements, the last one shorter."""
    kinds = list(dict.fromkeys(dtype for dtype, count in zip(dtypes, elements, strict=True) if count))
    rank = {kind: position for position, kind in enumerate(kinds)}
    order = np.array(sorted(range(len(elements)), key=lambda i: rank.get(dtypes[i], len(kinds))), np.int64)
    chunks = -(-np.array(elements, np.int64) // size)

    stops = np.zeros(len(elements), np.int64)
    stops[order] = np.cumsum(chunks[order])
    starts = stops - chunks
    tensor = np.repeat(order, chunks[order])
    index = np.arange(len(tensor)) - starts[tensor]

    launches = []
    for kind in kinds:
        members = [i for i, dtype in enumerate(dtypes) if dtype == kind and elements[i]]
        launches.append(Launch(kind, int(starts[members].min()), int(stops[members].max())))
    return ChunkTable(size, _narrow(tensor), _narrow(index), _narrow(starts), _narrow(stops), tuple(launches))


def _narrow(column: npt.NDArray[np.int64]) -> Integers:
    return column.astype(np.int32)
