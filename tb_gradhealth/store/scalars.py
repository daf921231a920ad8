"""What the loop logged, as rows keep it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..notes import MAX_NAME_BYTES

MAX_BYTES = 1 << 20  # of all scalars of a row
_FIGURES = struct.Struct("<Qddd")


@dataclass(frozen=True)
class Scalar:
    """Values that the loop handed over during an interval: how many, Σ, min and max."""

    count: int
    sum: float
    min: float
    max: float


def add(total: Scalar | None, more: Scalar) -> Scalar:
    """The TIME merge of logged values."""
    if total is None:
        return more
    # A NaN shows in the sum; the extremes are those of the numbers, whichever came first.
    low, high = float(np.fmin(total.min, more.min)), float(np.fmax(total.max, more.max))
    return Scalar(total.count + more.count, total.sum + more.sum, low, high)


def clean(name: str) -> str:
    """``name`` as a row can hold it: what is no text in UTF-8, or too long, must not cost the row that it stands in."""
    return name.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")


def encode(scalars: Mapping[str, Scalar]) -> bytes:
    """As many as there is room for; names are :func:`clean`."""
    parts = []
    left = MAX_BYTES
    for name, scalar in scalars.items():
        text = name.encode()
        figures = _FIGURES.pack(scalar.count, scalar.sum, scalar.min, scalar.max)
        parts.append(len(text).to_bytes(2, "little") + text + figures)
        left -= len(parts[-1])
        if left < 0:  # a loop that invents a name a step must not cost the row its statistics
            parts.pop()
            break
    return b"".join(parts)


def decode(data: bytes) -> dict[str, Scalar]:
    """Raises ValueError when ``data`` is not what :func:`encode` makes."""
    found, offset = {}, 0
    while offset < len(data):
        end = offset + 2 + int.from_bytes(data[offset : offset + 2], "little")
        if end + _FIGURES.size > len(data):
            raise ValueError("the scalars of a row end in the middle of one")
        found[data[offset + 2 : end].decode(errors="replace")] = Scalar(*_FIGURES.unpack_from(data, end))
        offset = end + _FIGURES.size
    return found
