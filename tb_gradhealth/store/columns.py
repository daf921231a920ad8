"""One column of a row group, ``[plane, row, node]`` unsigned integers, as bytes; ``docs/format.md`` has it in words.

Three steps. *Predict*: what is stored is the difference from the row before, or of min and max from the mean, since
these are small. *Shuffle*: all lowest bytes of a plane, then all second bytes; those that are zero throughout are left
out, which is most of them. *Deflate*, where it helps.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from .codes import CODES, ESCAPED
from .format import FormatError, Schema

Codes = npt.NDArray[np.unsignedinteger]

#: Raw deflate data below this is not worth the call.
MIN_DEFLATED = 64
#: Kinds of columns by what deflate saves, None being steps and counts: half or more of those that are mostly zeros, or
#: few values; of magnitudes a third where the row before predicts them and a tenth where none does; of mantissas 15 %.
SPARSE_KINDS = (None, "fraction", "count")
PREDICTED_KINDS = (*SPARSE_KINDS, "magnitude")
ALL_KINDS = (*PREDICTED_KINDS, "signed")


@dataclass(frozen=True)
class Column:
    """How a column is stored. ``predict`` is "rows" (from the row before), "spread" (that for the mean, while min and
    max are from the mean) or "none"."""

    name: str
    planes: int
    dtype: str
    predict: Literal["rows", "spread", "none"]
    kind: str | None = None  # of a metric

    @property
    def escapes(self) -> bool:
        """Whether exact values may stand behind the codes."""
        return self.kind == "magnitude"

    def most_bytes(self, cells: int) -> int:
        """What a chunk of ``cells`` rows × nodes may have inflated."""
        return self.planes * (1 + cells * (np.dtype(self.dtype).itemsize + (8 if self.escapes else 0)))


_PREDICT: dict[str, Literal["spread", "none"]] = {
    "magnitude": "spread",
    "fraction": "spread",
    "signed": "none",
    "count": "none",
}


def columns(schema: Schema) -> tuple[Column, ...]:
    """The columns of a row group: steps, counts, then one for each metric."""
    return _columns(len(schema.counts), tuple((metric.name, metric.kind) for metric in schema.metrics))


@lru_cache(maxsize=64)
def _columns(counts: int, metrics: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    return (
        Column("steps", 3, "<u4", "rows"),
        Column("counts", counts, "<u8", "rows"),
        *(Column(name, 3, CODES[kind].codes, _PREDICT[kind], kind) for name, kind in metrics),
    )


def pack(columns: Sequence[Column], values: Codes) -> list[bytes]:
    """``values [column, plane, row, node]`` as the bytes of a chunk for each of ``columns``, which are all of one type
    and predicted in one way: a model's few nodes would hardly pay for the calls one by one."""
    stored = _predicted(columns[0], np.ascontiguousarray(values, columns[0].dtype))
    count, planes, *_ = stored.shape
    item = stored.dtype.itemsize
    flat = stored.reshape(count * planes, -1)
    # One OR over a plane tells which of its bytes are used.
    used = np.bitwise_or.reduce(flat, axis=1).view(np.uint8).reshape(count, planes, item) != 0
    masks = np.packbits(used, axis=2, bitorder="little")
    shuffled = flat.view(np.uint8).reshape(count, planes, -1, item).swapaxes(2, 3)
    return [mask.tobytes() + plane[some].tobytes() for mask, plane, some in zip(masks, shuffled, used, strict=True)]


def deflate(raw: bytes) -> tuple[bytes, bool]:
    """``raw`` and False, or, where that is smaller, its raw deflate data (RFC 1951) and True."""
    if len(raw) < MIN_DEFLATED:
        return raw, False
    # Run lengths suffice, and cost half the time: what repeats here are zeros.
    deflater = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_RLE)
    small = deflater.compress(raw) + deflater.flush()
    return (small, True) if len(small) < len(raw) else (raw, False)


def unpack(
    column: Column, raw: bytes, rows: int, nodes: int, which: Sequence[int] | None = None
) -> tuple[list[Codes | None], list[npt.NDArray[np.float64]] | None]:
    """Of a chunk the planes ``which``, all by default: ``[row, node]``, None for one of zeros; and for each of them the
    escaped values in the order of their codes, None where there are no such values in the chunk.

    Raises FormatError when ``raw`` is not what :func:`pack` makes, as far as that was looked at.
    """
    stored = _Stored(column, raw, rows, nodes)
    every = range(column.planes)
    which = every if which is None else which
    planes = [stored.plane(plane) for plane in which]
    if not column.escapes:
        if stored.rest:
            raise FormatError(f"column {column.name!r} has {stored.rest} bytes more than its masks tell of")
        return planes, None
    counted = every if stored.rest else which
    escaped = {plane: _count_escaped(stored.plane(plane)) for plane in counted}
    if stored.rest != 8 * sum(escaped.values()):
        raise FormatError(
            f"column {column.name!r} has {stored.rest} bytes behind its codes, expected {8 * sum(escaped.values())}"
        )
    if not stored.rest:
        return planes, None
    exact = np.split(np.frombuffer(raw, "<f8", stored.rest // 8, stored.end), np.cumsum(list(escaped.values()))[:-1])
    return planes, [exact[plane] for plane in which]


class _Stored:
    """A chunk whose planes are restored when they are asked for."""

    def __init__(self, column: Column, raw: bytes, rows: int, nodes: int) -> None:
        self._raw, self._shape, self._predict = raw, (rows, nodes), column.predict
        self._dtype = np.dtype(column.dtype)
        self._masks = raw[: column.planes]
        if len(self._masks) < column.planes or any(mask >> self._dtype.itemsize for mask in self._masks):
            raise FormatError(f"expected {column.planes} masks of {self._dtype.itemsize} bits before {column.name!r}")
        self._ends = [column.planes]  # of each plane, behind that of the masks
        for mask in self._masks:
            self._ends.append(self._ends[-1] + mask.bit_count() * rows * nodes)
        self.end = self._ends[-1]
        self.rest = len(raw) - self.end
        if self.rest < 0:
            raise FormatError(f"column {column.name!r} has {len(raw)} bytes, its masks tell of {self.end}")
        self._restored: dict[int, Codes | None] = {}

    def plane(self, index: int) -> Codes | None:
        if index not in self._restored:
            self._restored[index] = self._restore(index)
        return self._restored[index]

    def _restore(self, index: int) -> Codes | None:
        codes = self._codes(index)
        if self._predict == "none":
            return codes
        if self._predict == "rows" or index == 0:
            return None if codes is None else _sums(codes)
        mean = self.plane(0)
        if mean is None:
            return codes if index == 2 or codes is None else np.negative(codes, out=codes)
        if codes is None:
            return mean
        return np.subtract(mean, codes, out=codes) if index == 1 else np.add(mean, codes, out=codes)

    def _codes(self, index: int) -> Codes | None:
        mask, at = self._masks[index], self._ends[index]
        if not mask:
            return None
        cells = self._shape[0] * self._shape[1]
        # Every byte is written where all are used.
        plane = (np.empty if mask + 1 >> self._dtype.itemsize else np.zeros)((cells, self._dtype.itemsize), np.uint8)
        for byte in range(self._dtype.itemsize):
            if mask >> byte & 1:
                plane[:, byte] = np.frombuffer(self._raw, np.uint8, cells, at)
                at += cells
        codes: Codes = plane.view(self._dtype).reshape(self._shape)
        return codes


def _count_escaped(codes: Codes | None) -> int:
    return 0 if codes is None else int(np.count_nonzero(codes == ESCAPED))


def _predicted(column: Column, values: Codes) -> Codes:
    """``values [..., plane, row, node]`` as differences that are small."""
    if column.predict == "none":
        return values
    if column.predict == "rows":
        return _differences(values)
    mean, low, high = (values[..., plane, :, :] for plane in range(3))
    stored = np.empty_like(values)
    stored[..., 0, :, :] = _differences(mean)
    np.subtract(mean, low, out=stored[..., 1, :, :])
    np.subtract(high, mean, out=stored[..., 2, :, :])
    return stored


def _differences(values: Codes) -> Codes:
    """From the row before, wrapped around; zigzag brings the sign into the lowest bit, so small ones have few bytes."""
    step: Codes = values.copy()
    step[..., 1:, :] -= values[..., :-1, :]
    sign = step.view(step.dtype.str.replace("u", "i")) >> (8 * step.itemsize - 1)
    step <<= 1
    step ^= sign.view(step.dtype)
    return step


def _sums(folded: Codes) -> Codes:
    """What :func:`_differences` was made of, in its place."""
    sign = folded & folded.dtype.type(1)
    np.negative(sign, out=sign)
    folded >>= folded.dtype.type(1)
    folded ^= sign
    return np.add.accumulate(folded, axis=0, out=folded)
