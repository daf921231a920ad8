"""Memory that one thread measures in, and how elements get there: in place, converted, multiplied, gathered."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..elements import bits_from, infinity_bits, saturated_from
from ..statistics import BIG_FROM, SMALL_BELOW

#: Elements of a block: within the last-level cache, and long enough for 20 NumPy calls.
BLOCK = 2**17
#: torch copies this many elements in the calling thread, whatever its thread count.
CONVERT = 2**15

# Between these magnitudes a block's float32 squares neither overflow nor vanish, even where denormal results are
# flushed to zero: what vanishes is below 2^-31 of the largest square.
LOW, HIGH = 2.0**-40, 2.0**50

Values = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.signedinteger[Any]]
Source = npt.NDArray[Any] | torch.Tensor
"""Elements in flat order: of this precision or the bits of bfloat16 in place, or a tensor of another dtype."""

_HALVES = np.dtype(np.uint16)

# ctypes.memmove lets go of the GIL for every call, and a busy thread would keep it for 5 ms each time.
_copy = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
    ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0
)


class Scratch:
    """Room for BLOCK elements of one precision, float32 or float64, and thresholds as its bit patterns.

    Takes 1.3 MiB in float32 and 2.4 MiB in float64, whatever is measured.
    """

    def __init__(self, dtype: torch.dtype, near_zero: float) -> None:
        single = dtype is torch.float32
        self.dtype = dtype
        self.floating = np.dtype(np.float32 if single else np.float64)
        self.integer = np.dtype(np.int32 if single else np.int64)
        self.infinity = infinity_bits(dtype)
        self.low = bits_from(LOW if single else SMALL_BELOW, dtype)
        self.high = bits_from(HIGH if single else BIG_FROM, dtype)
        # float64 alone can hold elements in the range of sum_sq_small next to ordinary ones.
        self.small = None if single else np.array(self.low, self.integer)
        # NumPy takes arrays of no dimension faster than Python integers.
        self.magnitude_mask = np.array(np.iinfo(self.integer).max, self.integer)
        self.near_zero = np.array(bits_from(near_zero, dtype), self.integer)
        self.zero = np.array(0, self.integer)
        self.bits = np.zeros(BLOCK, self.integer)
        self.magnitudes = self.bits.view(self.floating)
        self.flags = np.zeros(BLOCK, np.bool_)
        self.numbers = np.zeros(CONVERT, self.integer)
        self._saturated: dict[torch.dtype, int] = {}
        self._staged = np.zeros(BLOCK, self.floating)
        # Tensors made in inference mode could not be written outside it.
        with torch.inference_mode(False):
            self._raw_tensor = torch.from_numpy(self.bits)
            self._staged_pieces = torch.from_numpy(self._staged).split(CONVERT)
        self._raw_address = self._raw_tensor.data_ptr()
        self._staged_address = self._staged_pieces[0].data_ptr()

    def saturated_from(self, dtype: torch.dtype) -> int:
        """Bit pattern in this precision from which on an element that came from ``dtype`` is saturated."""
        bits = self._saturated.get(dtype)
        if bits is None:
            bits = self._saturated[dtype] = bits_from(saturated_from(dtype), self.dtype)
        return bits

    def source(self, tensor: torch.Tensor) -> Source:
        """What :meth:`block` reads the tensor's elements from, in flat order."""
        if tensor.dtype is self.dtype:
            return np.asarray(_Memory(tensor, self.floating))
        if tensor.dtype is torch.bfloat16:
            return np.asarray(_Memory(tensor, _HALVES))
        return tensor.view(-1)

    def block(self, source: Source, start: int, stop: int, inverse_scale: float | None) -> Values:
        """Elements [start, stop), BLOCK at most, times ``inverse_scale`` if given.

        A view of the tensor where that will do, and else memory that the next block overwrites.
        """
        values: Values = self._staged[: stop - start]
        if isinstance(source, torch.Tensor):
            for first, piece in zip(range(start, stop, CONVERT), self._staged_pieces, strict=False):
                last = min(first + CONVERT, stop)
                piece[: last - first].copy_(source[first:last])
        elif source.dtype == _HALVES:
            _widen(source[start:stop], values)
        else:
            values = source[start:stop]
        return self._unscaled(values, inverse_scale)

    def gather(self, tensors: Sequence[torch.Tensor], inverse_scale: float | None) -> Values:
        """All elements of tensors of one dtype, one tensor after the other; CONVERT at most."""
        dtype = tensors[0].dtype
        native, width = dtype is self.dtype, dtype.itemsize
        begin = end = self._staged_address if native else self._raw_address
        for tensor in tensors:
            size = tensor.numel() * width
            _copy(end, tensor.data_ptr(), size)
            end += size
        elements = (end - begin) // width
        staged: Values = self._staged[:elements]
        if dtype is torch.bfloat16:
            _widen(self.bits.view(_HALVES)[:elements], staged)
        elif not native:
            self._staged_pieces[0][:elements].copy_(self._raw_tensor.view(dtype)[:elements])
        return self._unscaled(staged, inverse_scale)

    def _unscaled(self, values: Values, inverse_scale: float | None) -> Values:
        if inverse_scale is None:
            return values
        product: Values = np.multiply(values, np.array(inverse_scale, self.floating), self._staged[: values.size])
        return product


def _widen(halves: npt.NDArray[np.uint16], staged: Values) -> None:
    """bfloat16 → float32, whose upper half it is, in one call and one thread; torch needs a call per CONVERT."""
    np.left_shift(halves, 16, staged.view(np.uint32), dtype=np.uint32)


class _Memory:
    """Tells NumPy where a tensor lies. ``tensor.numpy()`` would forbid resizing its storage for good."""

    __slots__ = ("__array_interface__",)

    def __init__(self, tensor: torch.Tensor, dtype: np.dtype[Any]) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (tensor.data_ptr(), True),
            "shape": (tensor.numel(),),
            "typestr": dtype.str,
        }
