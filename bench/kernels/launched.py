"""Contenders in Triton, host side: the pure read over our chunk table, and a squared norm, a launch per tensor."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gradhealth_kernels.chunks import ChunkTable, chunk_size, chunk_table
from gradhealth_kernels.pinned import programs

from .contender import Prepared, Unavailable, column
from .gate import Results
from .timing import clock_for

#: (rows of 16 bytes per tile, warps) of the pure read: the fastest on each case is the roof.
SHAPES: tuple[tuple[int, int], ...] = ((128, 4), (256, 4), (512, 4), (256, 8), (512, 8), (1024, 8))
#: Elements per program of the squared norm.
BLOCK = 4096


def _kernels() -> Any:
    if importlib.util.find_spec("triton") is None:
        raise Unavailable("needs Triton: install the release that this torch was built with")
    from . import read_kernels

    return read_kernels


class PureRead:
    """Reads every chunk and keeps one word of it."""

    def __init__(self, tensors: Sequence[torch.Tensor], chunk: int | None = None) -> None:
        self._kernels = _kernels()
        self._device, self._bytes = tensors[0].device, tensors[0].itemsize
        sizes = [x.numel() for x in tensors]
        size = chunk or chunk_size(sum(sizes), programs(self._device))
        self.layout: ChunkTable = chunk_table(sizes, [x.dtype for x in tensors], size)
        self._table = torch.tensor([[x.data_ptr() for x in tensors], sizes], device=self._device)
        self._tensor, self._index = (
            torch.from_numpy(column).to(self._device) for column in (self.layout.tensor, self.layout.index)
        )
        self._words = torch.full((len(self.layout.tensor),), -1, dtype=torch.int64, device=self._device)

    def run(self, rows: int, warps: int) -> torch.Tensor:
        for launch in self.layout.launches:
            self._kernels.fold_chunks[(launch.stop - launch.start,)](
                self._table,
                self._tensor,
                self._index,
                self._words,
                self._table.shape[1],
                launch.start,
                BYTES=self._bytes,
                CHUNK=self.layout.size,
                ROWS=rows,
                num_warps=warps,
            )
        return self._words

    def read(self, words: torch.Tensor) -> Results:
        """Sums modulo 2^32 ``[tensor]`` from the words ``[chunk]``."""
        host = words.cpu().numpy() % 2**32
        starts, stops = self.layout.starts, self.layout.stops
        sums = [host[start:stop].sum() % 2**32 for start, stop in zip(starts, stops, strict=True)]
        return {"words": np.array(sums, np.float64)}


def pure_read(tensors: Sequence[torch.Tensor]) -> Prepared:
    reader = PureRead(tensors)
    rows, warps = _fastest(reader) if tensors[0].is_cuda else SHAPES[0]
    # What the choice has left is right; the gate must see what is written from here on.
    reader._words.fill_(-1)
    return Prepared(lambda: reader.run(rows, warps), reader.read)


def _fastest(reader: PureRead) -> tuple[int, int]:
    clock = clock_for(reader._device)

    def seconds(shape: tuple[int, int]) -> float:
        return statistics.median(clock.seconds(lambda: reader.run(*shape)) for _ in range(7))

    return min(SHAPES, key=seconds)


def atomic_norm(tensors: Sequence[torch.Tensor]) -> Prepared:
    """The sum of squares alone: a launch per tensor, masked loads, partial sums added atomically."""
    kernels = _kernels()
    out = torch.zeros(len(tensors), dtype=torch.float32, device=tensors[0].device)
    places, flat = out.split(1), [x.view(-1) for x in tensors]

    def run() -> torch.Tensor:
        out.zero_()
        for x, place in zip(flat, places, strict=True):
            kernels.add_sum_sq[(-(-x.numel() // BLOCK),)](x, place, x.numel(), BLOCK=BLOCK)
        return out

    return Prepared(run, lambda sums: column("total_sq", sums))
