"""How a number becomes bytes, by kind of metric; ``docs/format.md`` has the same in words.

magnitude  u16: log2 in steps of 1/199 octave over [2^-180, 2^149], at most 0.18 % relative error; exact 0, +Inf and
           "no data"; what lies outside the range goes into an escape list of exact float64.
fraction   u16: log2 in steps of 1/839 octave, of f below 1/2 and of 1 - f above, at most 0.05 % of f or of 1 - f;
           exact 0 and 1.
signed     float32 with 12 bits of mantissa, at most 0.0123 % relative error; finite stays finite.
count      float64: whole numbers are exact up to 2^53.

NaN always means "no data".
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[Any]  # unsigned integers

NO_DATA = 0xFFFF
INFINITE = 0xFFFE
ESCAPED = 0xFFFD
MAGNITUDE_LOW = -180  # log2 of code 1
MAGNITUDE_STEPS = 199  # codes an octave
HALF = 0x7FF0  # the code of 1/2; as many codes stand for fractions above it
FRACTION_STEPS = 839  # codes an octave, so code 1 stands for 2^-40.03
ONE = 2 * HALF + 1
_FRACTION_LEAST = 2 ** ((1 - HALF) / FRACTION_STEPS - 1)  # what code 1 stands for
_NAN = 0x7FC00000
_SIGNED_MAX = (2 - 2.0**-12) * 2.0**127  # the largest float32 with 12 bits of mantissa


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


class Code(Protocol):
    """Floats ``[...]`` ↔ codes of the same shape, unsigned integers of the type ``codes``."""

    codes: str

    def code(self, values: Floats) -> Codes: ...

    def values(self, codes: Codes) -> Floats: ...


class Magnitude:
    """What is :data:`ESCAPED` reads as NaN, and is to be had elsewhere."""

    codes = "<u2"

    def code(self, values: Floats) -> Codes:
        with np.errstate(divide="ignore", invalid="ignore"):
            code = np.log2(values)
            code -= MAGNITUDE_LOW
            code *= MAGNITUDE_STEPS
            np.rint(code, out=code)
            code += 1
            code[~((code >= 1) & (code < ESCAPED))] = ESCAPED
            codes = code.astype("<u2")
        codes[values == 0] = 0
        codes[values == np.inf] = INFINITE
        codes[np.isnan(values)] = NO_DATA
        return codes

    def values(self, codes: Codes) -> Floats:
        values: Floats = _MAGNITUDES[codes]
        return values


class Fraction:
    codes = "<u2"

    def code(self, values: Floats) -> Codes:
        with np.errstate(invalid="ignore"):
            # No logarithm of 0, which takes several times as long.
            nearest = np.maximum(np.minimum(values, 1 - values), _FRACTION_LEAST)
            half = np.minimum(np.rint((np.log2(nearest) + 1) * FRACTION_STEPS) + HALF, HALF)
            codes = np.where(values <= 0.5, half, ONE - half)
        codes[values <= 0] = 0
        codes[values >= 1] = ONE
        codes[np.isnan(values)] = NO_DATA
        coded: Codes = codes.astype("<u2")
        return coded

    def values(self, codes: Codes) -> Floats:
        values: Floats = _FRACTIONS[codes]
        return values


class Signed:
    """float32 whose last 11 of 23 bits of mantissa are rounded off, so that they cost no bytes."""

    codes = "<u4"

    def code(self, values: Floats) -> Codes:
        kept = np.where(np.isfinite(values), np.clip(values, -_SIGNED_MAX, _SIGNED_MAX), values)  # finite stays finite
        bits = kept.astype("<f4").view("<u4")
        rounded: Codes = (bits + np.uint32(0x3FF) + ((bits >> np.uint32(11)) & np.uint32(1))) & np.uint32(0xFFFFF800)
        rounded[np.isnan(values)] = _NAN  # of which there are some that rounding would make a number
        return rounded

    def values(self, codes: Codes) -> Floats:
        values: Floats = codes.view("<f4").astype(np.float64)
        return values


class Count:
    codes = "<u8"

    def code(self, values: Floats) -> Codes:
        codes: Codes = values.astype("<f8").view("<u8")
        return codes

    def values(self, codes: Codes) -> Floats:
        values: Floats = codes.view("<f8").astype(np.float64)
        return values


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
    "signed": Signed(),
    "count": Count(),
}
