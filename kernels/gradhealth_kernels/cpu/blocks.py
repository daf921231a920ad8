"""One block of one tensor: NumPy passes over elements that the first of them brought into the cache.

Counts compare integer bit patterns, which is exact and does not depend on a user's flush-to-zero mode. Sums are dot
products over rows too short for any BLAS to thread, added up in a fixed order: results are the same for every thread
count. Blocks are joined in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from typing import Any

import numpy as np

from ..statistics import BIG_FROM, BIG_SCALE, SMALL_BELOW, SMALL_SCALE, table
from .scratch import BLOCK, Integers, Scratch, Values

# Short enough for one thread in every BLAS, and for 32 additions per SIMD lane in float32.
ROW = 2**10

Record = tuple[float, ...]
"""One number per entry, in the table's order."""

_OF_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {"+": add, "min": min, "max": max}
_COMBINE = tuple(_OF_NUMBERS[entry.combine] for entry in table(signed=True))


def merged(left: Record, right: Record) -> Record:
    """Of two records, both with or both without the signed entries."""
    return tuple([combine(a, b) for combine, a, b in zip(_COMBINE, left, right, strict=False)])


class BlockMeter:
    """Measures 1 to BLOCK elements at a time."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._ones = np.ones(ROW, scratch.floating)
        self._column = self._ones.reshape(ROW, 1)
        self._rows = np.zeros((3, BLOCK // ROW, 1, 1), scratch.floating)

    def measure(self, block: Values, saturated_from: int, signed: bool) -> Record:
        """Entries of the block, with ``signed`` ones or without.

        Magnitudes with bit patterns from ``saturated_from`` on are saturated.
        """
        scratch, size = self._scratch, block.size
        bits, flags = scratch.bits[:size], scratch.flags[:size]
        np.bitwise_and(block.view(scratch.integer), scratch.magnitude_mask, bits)
        largest_bits = np.maximum.reduce(bits)
        largest = int(largest_bits)
        np.less(bits, scratch.near_zero, flags)
        near_zero = int(np.count_nonzero(flags))
        zero = saturated = 0
        if near_zero:
            np.equal(bits, scratch.zero, flags)
            zero = int(np.count_nonzero(flags))
        if largest >= saturated_from:
            np.greater_equal(bits, saturated_from, flags)
            saturated = int(np.count_nonzero(flags))
        ordinary = scratch.low <= largest < scratch.high or not largest
        if ordinary and scratch.small is not None:
            np.less(bits, scratch.small, flags)
            ordinary = np.count_nonzero(flags) == zero
        if ordinary:
            abs_max = float(largest_bits.view(scratch.floating))
            record = (size, zero, near_zero, saturated, 0, 0, 0, *self._sums(block), 0.0, 0.0, abs_max)
            return (*record, float(np.minimum.reduce(block)), float(np.maximum.reduce(block))) if signed else record
        return self._careful(block, bits, zero, near_zero, saturated, signed)

    def _sums(self, block: Values) -> tuple[float, float, float]:
        """Sums of x, |x| and x^2: of the rest that fills no row, then of the rows."""
        size, ones, magnitudes = block.size, self._ones, self._scratch.magnitudes
        body = size - size % ROW
        total = total_abs = total_sq = 0.0
        if body < size:
            rest, rest_ones = block[body:], ones[: size - body]
            total = float(rest.dot(rest_ones))
            total_abs = float(magnitudes[body:size].dot(rest_ones))
            total_sq = float(rest.dot(rest))
        if body:
            rows = self._rows[:, : body // ROW]
            # A stack of products row x column is one dot product per row.
            values, columns = block[:body].reshape(-1, 1, ROW), block[:body].reshape(-1, ROW, 1)
            np.matmul(values, self._column, rows[0])
            np.matmul(magnitudes[:body].reshape(-1, 1, ROW), self._column, rows[1])
            np.matmul(values, columns, rows[2])
            of_values, of_magnitudes, of_squares = np.add.reduce(rows, axis=(1, 2, 3)).tolist()
            total += of_values
            total_abs += of_magnitudes
            total_sq += of_squares
        return total, total_abs, total_sq

    def _careful(
        self, block: Values, bits: Integers, zero: int, near_zero: int, saturated: int, signed: bool
    ) -> Record:
        """Rare: NaN, infinity or an extreme magnitude in the block. All in float64, in new memory (7 MiB)."""
        infinity = self._scratch.infinity
        nan = int(np.count_nonzero(bits > infinity))
        infinite = bits == infinity
        pos_inf = int(np.count_nonzero(block[infinite] > 0))
        neg_inf = int(np.count_nonzero(infinite)) - pos_inf
        kept = np.where(bits < infinity, block, 0.0).astype(np.float64)
        magnitudes = np.abs(kept)
        big, small = magnitudes > BIG_FROM, magnitudes < SMALL_BELOW
        parts = (
            kept,
            magnitudes,
            np.square(np.where(big | small, 0.0, kept)),
            np.square(np.where(big, kept * BIG_SCALE, 0.0)),
            np.square(np.where(small, kept * SMALL_SCALE, 0.0)),
        )
        sums = (float(np.add.reduce(part)) for part in parts)
        abs_max = float(np.maximum.reduce(magnitudes))
        record = (block.size, zero, near_zero, saturated - nan, nan, pos_inf, neg_inf, *sums, abs_max)
        if not signed:
            return record
        finite = block[bits < infinity]
        return (*record, float(np.min(finite, initial=np.inf)), float(np.max(finite, initial=-np.inf)))
