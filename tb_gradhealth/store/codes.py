"""How a number becomes bytes, by kind of metric; ``docs/format.md`` has the same in words.

magnitude  u16: log2 in steps of 1/199 octave over [2^-180, 2^149], at most 0.18 % relative error; exact 0, +Inf and
           "no data"; what lies outside the range goes into an escape list of exact float64.
fraction   u16: log2 in steps of 1/839 octave, of f below 1/2 and of 1 - f above, at most 0.05 % of f or of 1 - f;
           exact 0 and 1.
signed     float32; finite stays finite.
count      float64: whole numbers are exact up to 2^53.

NaN always means "no data".
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NO_DATA = 0xFFFF
INFINITE = 0xFFFE
ESCAPED = 0xFFFD
MAGNITUDE_LOW = -180  # log2 of code 1
MAGNITUDE_STEPS = 199  # codes an octave
HALF = 0x7FF0  # the code of 1/2; as many codes stand for fractions above it
FRACTION_STEPS = 839  # codes an octave, so code 1 stands for 2^-40.03
ONE = 2 * HALF + 1


class Code(Protocol):
    """Floats ``[...]`` → bytes and back; ``item`` bytes a value, escapes come behind the fixed part."""

    item: int

    def encode(self, values: Floats) -> bytes: ...

    def decode(self, data: bytes, count: int) -> Floats:
        """Raises ValueError when ``data`` is shorter or longer than ``count`` values are."""
        ...


def shuffle(array: npt.NDArray[np.generic]) -> bytes:
    """Little-endian bytes of ``array``, all lowest bytes first: neighbours then compress well."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    planes: bytes = little.view(np.uint8).reshape(-1, little.dtype.itemsize).T.tobytes()
    return planes


def unshuffle(data: bytes, dtype: str, count: int) -> npt.NDArray[np.generic]:
    """``count`` values of ``dtype`` from the bytes of :func:`shuffle`."""
    kind = np.dtype(dtype)
    planes = np.frombuffer(data, np.uint8, count * kind.itemsize).reshape(kind.itemsize, count)
    return np.ascontiguousarray(planes.T).view(kind).reshape(count)


class Magnitude:
    item = 2

    def encode(self, values: Floats) -> bytes:
        flat = np.ravel(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            code = np.rint((np.log2(flat) - MAGNITUDE_LOW) * MAGNITUDE_STEPS) + 1
        inside = (code >= 1) & (code < ESCAPED)
        codes = np.where(inside, code, ESCAPED).astype("<u2")
        codes[flat == 0] = 0
        codes[flat == np.inf] = INFINITE
        codes[np.isnan(flat)] = NO_DATA
        exact: bytes = flat[codes == ESCAPED].astype("<f8").tobytes()
        return shuffle(codes) + exact

    def decode(self, data: bytes, count: int) -> Floats:
        codes = unshuffle(data, "<u2", count)
        values: Floats = _MAGNITUDES[codes]
        escaped = codes == ESCAPED
        exact = data[self.item * count :]
        _expect(len(exact), 8 * np.count_nonzero(escaped))
        values[escaped] = np.frombuffer(exact, "<f8")
        return values


class Fraction:
    item = 2

    def encode(self, values: Floats) -> bytes:
        flat = np.ravel(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            nearest = np.log2(np.minimum(flat, 1 - flat))
            half = np.clip(np.rint((nearest + 1) * FRACTION_STEPS) + HALF, 1, HALF)
        codes = np.where(flat <= 0.5, half, ONE - half)
        codes[flat <= 0] = 0
        codes[flat >= 1] = ONE
        codes[np.isnan(flat)] = NO_DATA
        return shuffle(codes.astype("<u2"))

    def decode(self, data: bytes, count: int) -> Floats:
        _expect(len(data), self.item * count)
        values: Floats = _FRACTIONS[unshuffle(data, "<u2", count)]
        return values


class Plain:
    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.item = np.dtype(dtype).itemsize

    def encode(self, values: Floats) -> bytes:
        limit = np.finfo(self.dtype).max
        kept = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)  # finite stays finite
        return shuffle(np.ravel(kept).astype(self.dtype))

    def decode(self, data: bytes, count: int) -> Floats:
        _expect(len(data), self.item * count)
        return unshuffle(data, self.dtype, count).astype(np.float64)


def _expect(came: int, size: int) -> None:
    if came != size:
        raise ValueError(f"expected {size} bytes, got {came}")


def _magnitudes() -> Floats:
    values: Floats = np.exp2((np.arange(0x10000) - 1) / MAGNITUDE_STEPS + MAGNITUDE_LOW)
    values[[0, ESCAPED, INFINITE, NO_DATA]] = [0.0, np.nan, np.inf, np.nan]
    return values


def _fractions() -> Floats:
    values = np.full(0x10000, np.nan)
    half = np.exp2((np.arange(1, HALF + 1) - HALF) / FRACTION_STEPS - 1)
    values[1 : HALF + 1] = half
    values[HALF + 1 : ONE] = 1 - half[::-1]
    values[[0, ONE]] = [0.0, 1.0]
    return values


_MAGNITUDES = _magnitudes()
_FRACTIONS = _fractions()

#: kind of a metric → its code.
CODES: dict[str, Code] = {
    "magnitude": Magnitude(),
    "fraction": Fraction(),
    "signed": Plain("<f4"),
    "count": Plain("<f8"),
}
