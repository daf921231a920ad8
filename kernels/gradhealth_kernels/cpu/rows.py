"""Which rows are alive, on the host: NumPy passes over blocks that stay in the cache, and over as few as it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..elements import WIDE, bits_from

#: Elements of a block.
BLOCK = 2**17
#: Up to this many elements a matrix is read at once: looking at one element of each row first takes as long.
SMALL = 2**13

Marks = npt.NDArray[np.uint8]


def mark_alive(values: torch.Tensor, marks: Marks, near_zero: float, inverse_scale: torch.Tensor | None) -> None:
    """Sets ``marks[row]`` to whether a row of ``values`` ``[row, element]``, times the scale, is alive."""
    dtype = values.dtype if values.dtype is torch.float64 or inverse_scale is None else torch.float32
    if dtype not in WIDE:
        dtype = torch.float32
    threshold = bits_from(near_zero, dtype)
    if dtype is values.dtype and inverse_scale is None:
        _search(_bits(values), marks, threshold)
        return
    step = _rows(values.shape[1])
    for start in range(0, len(values), step):
        part = values[start : start + step].to(dtype)
        if inverse_scale is not None:
            part = part * inverse_scale.to(dtype)
        _search(_bits(part), marks[start : start + step], threshold)


class _Memory:
    """Tells NumPy where a matrix lies. ``tensor.numpy()`` would forbid resizing its storage for good."""

    __slots__ = ("__array_interface__",)

    def __init__(self, matrix: torch.Tensor) -> None:
        size = matrix.itemsize
        self.__array_interface__ = {
            "version": 3,
            "data": (matrix.data_ptr(), True),
            "shape": tuple(matrix.shape),
            "strides": tuple([stride * size for stride in matrix.stride()]),
            "typestr": np.dtype(f"i{size}").str,
        }


def _bits(values: torch.Tensor) -> npt.NDArray[Any]:
    """The elements' patterns, as long as ``values`` is there."""
    return np.asarray(_Memory(values)) if values.numel() else np.empty(values.shape, f"i{values.itemsize}")


def _rows(width: int) -> int:
    """Rows of a block, at least one."""
    return max(1, BLOCK // width)


def _search(bits: npt.NDArray[Any], marks: Marks, threshold: int) -> None:
    """One element tells most rows that are alive: that in the middle, since what is at borders is blank more often."""
    width = bits.shape[1]
    if bits.size <= SMALL:
        marks[:] = _are_alive(bits, threshold)
        return
    marks[:] = _are_alive(bits[:, width // 2 : width // 2 + 1], threshold)
    left = np.flatnonzero(marks == 0)
    step = _rows(width)
    for start in range(0, len(left), step):
        some = left[start : start + step]
        first, last = int(some[0]), int(some[-1])
        if last - first < 2 * len(some):  # copying rows takes as long as reading the others beside them
            for at in range(first, last + 1, step):
                marks[at : min(at + step, last + 1)] = _are_alive(bits[at : min(at + step, last + 1)], threshold)
        else:
            marks[some] = _are_alive(bits[some], threshold)


def _are_alive(bits: npt.NDArray[Any], threshold: int) -> npt.NDArray[np.bool_]:
    """Bit patterns decide, so NaN is above all, and flushing subnormals to zero changes nothing."""
    magnitudes = np.bitwise_and(bits, np.iinfo(bits.dtype).max)
    alive: npt.NDArray[np.bool_] = np.maximum.reduce(magnitudes, axis=1) >= threshold
    return alive
