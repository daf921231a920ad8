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
    stored = _predicted(columns[0], np.asarray(values, columns[0].dtype))
    count, planes, *_ = stored.shape
    item = stored.dtype.itemsize
    flat = np.ascontiguousarray(stored).reshape(count * planes, -1)
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
    column: Column, raw: bytes, rows: int, nodes: int
) -> tuple[list[Codes | None], npt.NDArray[np.float64] | None]:
    """Planes ``[row, node]`` of a chunk, None for one of zeros, and the escaped values in the order of their codes.

    Raises FormatError when ``raw`` is not what :func:`pack` makes.
    """
    cells = rows * nodes
    item = np.dtype(column.dtype).itemsize
    masks = raw[: column.planes]
    if len(masks) < column.planes or any(mask >> item for mask in masks):
        raise FormatError(f"expected {column.planes} masks of {item} bits before column {column.name!r}")
    at = column.planes
    end = at + sum(mask.bit_count() for mask in masks) * cells
    if end > len(raw):
        raise FormatError(f"column {column.name!r} has {len(raw)} bytes, its masks tell of {end}")
    planes: list[Codes | None] = []
    for mask in masks:
        plane = np.zeros((cells, item), np.uint8) if mask else None
        for byte in range(item):
            if plane is not None and mask >> byte & 1:
                plane[:, byte] = np.frombuffer(raw, np.uint8, cells, at)
                at += cells
        planes.append(None if plane is None else plane.view(column.dtype).reshape(rows, nodes))
    planes = _restored(column, planes)
    escaped = 0
    if column.escapes:
        escaped = sum(int(np.count_nonzero(plane == ESCAPED)) for plane in planes if plane is not None)
    if len(raw) != end + 8 * escaped:
        raise FormatError(f"column {column.name!r} has {len(raw)} bytes, expected {end + 8 * escaped}")
    return planes, np.frombuffer(raw, "<f8", escaped, end) if escaped else None


def _predicted(column: Column, values: Codes) -> Codes:
    """``values [..., plane, row, node]`` as differences that are small."""
    if column.predict == "none":
        return values
    if column.predict == "rows":
        return _differences(values)
    mean = values[..., :1, :, :]
    return np.concatenate([_differences(mean), mean - values[..., 1:2, :, :], values[..., 2:, :, :] - mean], axis=-3)


def _restored(column: Column, planes: list[Codes | None]) -> list[Codes | None]:
    if column.predict == "none":
        return planes
    if column.predict == "rows":
        return [_sums(plane) for plane in planes]
    mean, low, high = planes
    mean = _sums(mean)
    if mean is None:
        return [None, None if low is None else np.zeros_like(low) - low, high]
    return [mean, mean if low is None else mean - low, mean if high is None else mean + high]


def _differences(values: Codes) -> Codes:
    """From the row before, wrapped around; zigzag brings the sign into the lowest bit, so small ones have few bytes."""
    step = values.copy()
    step[..., 1:, :] -= values[..., :-1, :]
    signed = step.view(step.dtype.str.replace("u", "i"))
    folded: Codes = ((signed << 1) ^ (signed >> (8 * signed.itemsize - 1))).view(step.dtype)
    return folded


def _sums(folded: Codes | None) -> Codes | None:
    if folded is None:
        return None
    one = folded.dtype.type(1)
    step = (folded >> one) ^ (np.zeros_like(folded) - (folded & one))
    restored: Codes = np.cumsum(step, axis=0, dtype=folded.dtype)
    return restored
