"""Many small tensors at once: gathered one after the other, then one NumPy pass per entry for all of them.

Each tensor is a segment of every pass, reduced for itself: what comes out for it does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..statistics import Entries, neutral
from .blocks import BlockMeter
from .scratch import CONVERT, Scratch, Values

#: Up to this many elements a tensor is gathered: beyond, the calls that this saves weigh less than slower sums.
SMALL = 2**13
#: Elements and tensors that a batch may hold, which bounds the memory that it takes.
BATCH, TENSORS = CONVERT, 2**10

_Starts = npt.NDArray[np.intp]


class BatchMeter:
    """Measures 1 to TENSORS tensors of one dtype at a time, none of them empty, BATCH elements at most.

    Beside the scratch it takes 0.3 KiB per tensor of the batch while it measures.
    """

    def __init__(self, scratch: Scratch, blocks: BlockMeter) -> None:
        self._scratch = scratch
        self._blocks = blocks

    def measure(
        self, tensors: Sequence[torch.Tensor], sizes: Sequence[int], inverse_scale: float | None, signed: bool
    ) -> Entries:
        """Entries ``[tensor]``, with ``signed`` ones or without; ``sizes`` are the tensors' numbers of elements."""
        scratch = self._scratch
        values = scratch.gather(tensors, inverse_scale)
        saturated_from = scratch.saturated_from(tensors[0].dtype)
        stops = np.cumsum(sizes, dtype=np.intp)
        starts = stops - sizes
        bits, flags = scratch.bits[: values.size], scratch.flags[: values.size]
        np.bitwise_and(values.view(scratch.integer), scratch.magnitude_mask, bits)
        largest = np.maximum.reduceat(bits, starts)
        found = neutral((len(tensors),), signed)
        found["count"] = sizes
        if self._flagged(np.less(bits, scratch.near_zero, flags), starts, found["near_zero"]):
            self._flagged(np.equal(bits, scratch.zero, flags), starts, found["zero"])
        if np.maximum.reduce(largest) >= saturated_from:
            self._flagged(np.greater_equal(bits, saturated_from, flags), starts, found["saturated"])
        extreme = ((largest < scratch.low) & (largest != 0)) | (largest >= scratch.high)
        if scratch.small is not None:
            below = np.zeros(len(tensors), np.int64)
            self._flagged(np.less(bits, scratch.small, flags), starts, below)
            extreme |= below != found["zero"]
        self._sums(values, starts, found)
        found["abs_max"] = largest.view(scratch.floating)
        if signed:
            found["minimum"] = np.minimum.reduceat(values, starts)
            found["maximum"] = np.maximum.reduceat(values, starts)
        # Last, since a block of its own overwrites the bits of all.
        for place in np.flatnonzero(extreme).tolist():
            found[place] = self._blocks.measure(values[starts[place] : stops[place]], saturated_from, signed)
        return found

    def _flagged(self, flags: npt.NDArray[np.bool_], starts: _Starts, counts: npt.NDArray[np.int64]) -> bool:
        """Writes how many flags each segment has to ``counts``, which are 0; whether there are any."""
        if not np.count_nonzero(flags):
            return False
        numbers = self._scratch.numbers[: flags.size]
        # Sums of booleans are several times slower than this copy and sums of the copy's own type.
        np.copyto(numbers, flags)
        counts[:] = np.add.reduceat(numbers, starts, dtype=numbers.dtype)
        return True

    def _sums(self, values: Values, starts: _Starts, found: npt.NDArray[Any]) -> None:
        """NumPy adds pairwise within a segment: no element goes through more than 32 additions in its precision."""
        scratch = self._scratch
        squares = scratch.numbers[: values.size].view(scratch.floating)
        np.multiply(values, values, squares)
        found["sum"] = np.add.reduceat(values, starts)
        found["sum_abs"] = np.add.reduceat(scratch.magnitudes[: values.size], starts)
        found["sum_sq"] = np.add.reduceat(squares, starts)
