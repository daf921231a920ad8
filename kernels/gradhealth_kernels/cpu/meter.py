"""The CPU path: large tensors block by block, small ones many at a time, in one thread and bounded memory.

How a tensor is cut and in which order its pieces merge depends on its size alone, so results are the same bit for bit
for every thread count, and whatever else is measured beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
import torch

from ..elements import OF_ZERO, Item
from ..statistics import NEAR_ZERO, SIGNED_DTYPE, Entries, neutral, table
from .batches import BATCH, SMALL, TENSORS, BatchMeter
from .blocks import BlockMeter, Record, merged
from .scratch import BLOCK, Scratch

_OF_ZERO: Record = tuple(int(entry.name in OF_ZERO) for entry in table(signed=True))


class CpuMeter:
    """Measures CPU tensors, one call at a time.

    Keeps 1.3 MiB of scratch memory, and 2.4 MiB more once there was a float64 tensor. A call takes up to 0.5 MiB on top
    for batches of small tensors, and 7 MiB for a block with elements that are not finite or extreme.
    """

    def __init__(self, near_zero: float = NEAR_ZERO) -> None:
        self._near_zero = near_zero

    def measure(self, items: Iterable[Item], out: Entries, inverse_scale: float | None = None) -> None:
        """Writes the entries of each item, times ``inverse_scale`` if given, to ``out[index]``; other records stay.

        ``out`` has the signed entries or not. ``inverse_scale`` is a float32 value.
        """
        signed = out.dtype == SIGNED_DTYPE
        filling: dict[torch.dtype, _Batch] = {}
        beside: list[tuple[int, int]] = []
        with np.errstate(all="ignore"):
            for index, tensor, implicit in items:
                size, dtype = tensor.numel(), tensor.dtype
                if implicit:
                    beside.append((index, implicit))
                if not size:
                    out[index] = neutral((1,), signed)[0]
                elif size > SMALL:
                    out[index] = self._precision(dtype).measure(tensor, inverse_scale, signed)
                else:
                    batch = filling.get(dtype)
                    if batch is None or not batch.takes(size):
                        if batch is not None:
                            self._measure(batch, out, inverse_scale)
                        batch = filling[dtype] = _Batch()
                    batch.add(index, tensor, size)
            for batch in filling.values():
                self._measure(batch, out, inverse_scale)
        for index, implicit in beside:
            zeros = tuple([implicit * added for added in _OF_ZERO])
            out[index] = merged(out[index].item(), zeros)

    def _measure(self, batch: _Batch, out: Entries, inverse_scale: float | None) -> None:
        batches = self._precision(batch.tensors[0].dtype).batches
        out[batch.indices] = batches.measure(batch.tensors, batch.sizes, inverse_scale, out.dtype == SIGNED_DTYPE)

    def _precision(self, dtype: torch.dtype) -> _Precision:
        return self._double if dtype is torch.float64 else self._single

    @cached_property
    def _single(self) -> _Precision:
        return _Precision(torch.float32, self._near_zero)

    @cached_property
    def _double(self) -> _Precision:
        return _Precision(torch.float64, self._near_zero)


@dataclass(slots=True)
class _Batch:
    """Small tensors of one dtype, none of them empty, and the records that are theirs."""

    indices: list[int] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    elements: int = 0

    def takes(self, size: int) -> bool:
        return self.elements + size <= BATCH and len(self.tensors) < TENSORS

    def add(self, index: int, tensor: torch.Tensor, size: int) -> None:
        self.indices.append(index)
        self.tensors.append(tensor)
        self.sizes.append(size)
        self.elements += size


class _Precision:
    """What float64 tensors are measured with, or all others, which are read as float32."""

    def __init__(self, dtype: torch.dtype, near_zero: float) -> None:
        self._scratch = Scratch(dtype, near_zero)
        self._blocks = BlockMeter(self._scratch)
        self.batches = BatchMeter(self._scratch, self._blocks)

    def measure(self, tensor: torch.Tensor, inverse_scale: float | None, signed: bool) -> Record:
        """Entries of one tensor that is not empty."""
        size, saturated_from = tensor.numel(), self._scratch.saturated_from(tensor.dtype)
        source = self._scratch.source(tensor)

        def block(start: int) -> Record:
            values = self._scratch.block(source, start, min(start + BLOCK, size), inverse_scale)
            return self._blocks.measure(values, saturated_from, signed)

        return reduce(merged, map(block, range(0, size, BLOCK)))
