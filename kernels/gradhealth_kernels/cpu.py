"""The CPU path: one read into cache per block, then NumPy passes over the cached block.

Counts compare integer bit patterns, which is exact and does not depend on a user's flush-to-zero mode. Sums are dot
products over rows too short for any BLAS to thread, joined in float64 in a fixed order: results are the same for every
thread count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .elements import OF_ZERO, Item, bits_from, infinity_bits, saturated_from
from .statistics import BIG_FROM, BIG_SCALE, ENTRIES, NEAR_ZERO, SMALL_BELOW, SMALL_SCALE, Entries

# 9 bytes of block and scratch per float32 element: within the last-level cache, and long enough for 20 NumPy calls.
BLOCK = 2**17
# torch copies this many elements in the calling thread, whatever its thread count.
CONVERT = 2**15
# Short enough for one thread in every BLAS, and for 32 additions per SIMD lane in float32.
ROW = 2**10

# Between these magnitudes a block's float32 squares neither overflow nor vanish, even where denormal results are
# flushed to zero: what vanishes is below 2^-31 of the largest square.
LOW, HIGH = 2.0**-40, 2.0**50

Values = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.signedinteger[Any]]
Record = tuple[float, ...]
"""One number per entry, in the table's order."""

_NATIVE = {torch.float32: np.dtype(np.float32).str, torch.float64: np.dtype(np.float64).str}
_COMBINE = tuple(add if entry.combine == "+" else max for entry in ENTRIES)
_OF_ZERO = tuple(int(entry.name in OF_ZERO) for entry in ENTRIES)
_NEUTRAL: Record = tuple(entry.neutral for entry in ENTRIES)


class CpuMeter:
    """Measures CPU tensors one after the other. It holds the scratch memory, so one thread at a time may use it."""

    def __init__(self, near_zero: float = NEAR_ZERO) -> None:
        self._single = _Blocks(torch.float32, near_zero)
        self._double = _Blocks(torch.float64, near_zero)
        self._saturated: dict[torch.dtype, int] = {}
        self._staged = np.zeros(BLOCK, np.float32)
        # A tensor made in inference mode could not be written outside it.
        with torch.inference_mode(False):
            self._staged_tensor = torch.from_numpy(self._staged)

    def measure(self, items: Iterable[Item], out: Entries, inverse_scale: float | None = None) -> None:
        """Writes the entries of each item, times ``inverse_scale`` if given, to ``out[index]``; other records stay.

        ``inverse_scale`` is a float32 value.
        """
        with np.errstate(all="ignore"):
            for index, tensor, implicit in items:
                record = self._tensor(tensor, inverse_scale)
                if implicit:
                    record = _merge(record, tuple([implicit * added for added in _OF_ZERO]))
                out[index] = record

    def _tensor(self, tensor: torch.Tensor, inverse_scale: float | None) -> Record:
        size = tensor.numel()
        if not size:
            return _NEUTRAL
        dtype = tensor.dtype
        blocks = self._double if dtype is torch.float64 else self._single
        saturated = self._saturated.get(dtype)
        if saturated is None:
            saturated = self._saturated[dtype] = bits_from(saturated_from(dtype), blocks.dtype)
        read = self._reader(tensor)
        if inverse_scale is not None:
            read = blocks.unscaled(read, inverse_scale)
        record = blocks.measure(read(0), saturated)
        for start in range(BLOCK, size, BLOCK):
            record = _merge(record, blocks.measure(read(start), saturated))
        return record

    def _reader(self, tensor: torch.Tensor) -> Callable[[int], Values]:
        """The block from a given element on: a view for float32 and float64, else converted into the scratch."""
        if tensor.dtype in _NATIVE:
            values: Values = np.asarray(_Memory(tensor))
            return lambda start: values[start : start + BLOCK]
        size, flat, staged = tensor.numel(), tensor.view(-1), self._staged_tensor

        def convert(start: int) -> Values:
            stop = min(start + BLOCK, size)
            if size <= CONVERT:
                staged.as_strided((size,), (1,)).copy_(flat)  # half the time of a slice
            else:
                for first in range(start, stop, CONVERT):
                    last = min(first + CONVERT, stop)
                    staged[first - start : last - start].copy_(flat[first:last])
            return self._staged[: stop - start]

        return convert


class _Memory:
    """Tells NumPy where a tensor lies. ``tensor.numpy()`` would forbid resizing its storage for good."""

    __slots__ = ("__array_interface__",)

    def __init__(self, tensor: torch.Tensor) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (tensor.data_ptr(), True),
            "shape": (tensor.numel(),),
            "typestr": _NATIVE[tensor.dtype],
        }


class _Blocks:
    """Measures blocks of 1 to BLOCK elements of float32 or float64."""

    def __init__(self, dtype: torch.dtype, near_zero: float) -> None:
        single = dtype is torch.float32
        self.dtype = dtype
        self._floating = np.dtype(np.float32 if single else np.float64)
        self._integer = np.dtype(np.int32 if single else np.int64)
        self._infinity = infinity_bits(dtype)
        self._low = bits_from(LOW if single else SMALL_BELOW, dtype)
        self._high = bits_from(HIGH if single else BIG_FROM, dtype)
        # float64 alone can hold elements in the range of sum_sq_small next to ordinary ones.
        self._small = None if single else np.array(self._low, self._integer)
        # NumPy takes arrays of no dimension faster than Python integers.
        self._magnitude_mask = np.array(np.iinfo(self._integer).max, self._integer)
        self._near_zero = np.array(bits_from(near_zero, dtype), self._integer)
        self._zero = np.array(0, self._integer)
        self._bits = np.zeros(BLOCK, self._integer)
        self._magnitudes = self._bits.view(self._floating)
        self._flags = np.zeros(BLOCK, np.bool_)
        self._ones = np.ones(ROW, self._floating)
        self._column = self._ones.reshape(ROW, 1)
        self._rows = np.zeros((3, BLOCK // ROW, 1, 1), self._floating)
        self._products: Values | None = None

    def unscaled(self, read: Callable[[int], Values], inverse_scale: float) -> Callable[[int], Values]:
        """``read``, but each block's products with the inverse scale, in memory that the next block overwrites."""
        if self._products is None:
            self._products = np.zeros(BLOCK, self._floating)
        products, factor = self._products, np.array(inverse_scale, self._floating)

        def multiply(start: int) -> Values:
            block = read(start)
            product: Values = np.multiply(block, factor, products[: block.size])
            return product

        return multiply

    def measure(self, block: Values, saturated_from: int) -> Record:
        size = block.size
        bits, flags = self._bits[:size], self._flags[:size]
        np.bitwise_and(block.view(self._integer), self._magnitude_mask, bits)
        largest_bits = np.maximum.reduce(bits)
        largest = int(largest_bits)
        np.less(bits, self._near_zero, flags)
        near_zero = int(np.count_nonzero(flags))
        zero = saturated = 0
        if near_zero:
            np.equal(bits, self._zero, flags)
            zero = int(np.count_nonzero(flags))
        if largest >= saturated_from:
            np.greater_equal(bits, saturated_from, flags)
            saturated = int(np.count_nonzero(flags))
        ordinary = self._low <= largest < self._high or not largest
        if ordinary and self._small is not None:
            np.less(bits, self._small, flags)
            ordinary = np.count_nonzero(flags) == zero
        if ordinary:
            abs_max = float(largest_bits.view(self._floating))
            return (size, zero, near_zero, saturated, 0, 0, 0, *self._sums(block), 0.0, 0.0, abs_max)
        return self._careful(block, bits, zero, near_zero, saturated)

    def _sums(self, block: Values) -> tuple[float, float, float]:
        """Sums of x, |x| and x^2: of the rest that fills no row, then of the rows."""
        size, ones = block.size, self._ones
        body = size - size % ROW
        rest, rest_ones = block[body:], ones[: size - body]
        total = float(rest.dot(rest_ones))
        total_abs = float(self._magnitudes[body:size].dot(rest_ones))
        total_sq = float(rest.dot(rest))
        if body:
            rows = self._rows[:, : body // ROW]
            # A stack of products row x column is one dot product per row.
            values, columns = block[:body].reshape(-1, 1, ROW), block[:body].reshape(-1, ROW, 1)
            np.matmul(values, self._column, rows[0])
            np.matmul(self._magnitudes[:body].reshape(-1, 1, ROW), self._column, rows[1])
            np.matmul(values, columns, rows[2])
            of_values, of_magnitudes, of_squares = np.add.reduce(rows, axis=(1, 2, 3)).tolist()
            total += of_values
            total_abs += of_magnitudes
            total_sq += of_squares
        return total, total_abs, total_sq

    def _careful(self, block: Values, bits: Integers, zero: int, near_zero: int, saturated: int) -> Record:
        """Rare: NaN, infinity or an extreme magnitude in the block. All in float64, in new memory."""
        nan = int(np.count_nonzero(bits > self._infinity))
        infinite = bits == self._infinity
        pos_inf = int(np.count_nonzero(block[infinite] > 0))
        neg_inf = int(np.count_nonzero(infinite)) - pos_inf
        kept = np.where(bits < self._infinity, block, 0.0).astype(np.float64)
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
        return (block.size, zero, near_zero, saturated - nan, nan, pos_inf, neg_inf, *sums, abs_max)


def _merge(left: Record, right: Record) -> Record:
    return tuple([combine(a, b) for combine, a, b in zip(_COMBINE, left, right, strict=True)])
