"""bf16 and folded fractions: rounded to the nearest, and nothing turns into zero, one, infinity or "no data"."""

from __future__ import annotations

import math
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradhealth.plugin.tiles import bf16, folded

SMALLEST, LARGEST = 2.0**-133, (2 - 2.0**-7) * 2.0**127


def value(bits: int) -> float:
    """What a reader makes of sixteen bits."""
    number: float = struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return number


def code(number: float) -> int:
    return int(bf16(np.array([number]))[0])


@settings(max_examples=500)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_other_bf16_is_nearer(number: float) -> None:
    bits = code(number)
    if number == 0:
        assert value(bits) == 0
    elif abs(number) >= LARGEST:
        assert value(bits) == math.copysign(LARGEST, number)
    elif abs(number) <= SMALLEST:
        assert value(bits) == math.copysign(SMALLEST, number)
    else:
        away = abs(value(bits) - number)
        # Rounding goes by way of float32, so a tie may be broken by what float32 could not hold.
        slack = abs(number) * 2.0**-24 + 2.0**-149
        assert all(away <= abs(value(bits + side) - number) + slack for side in (-1, 1))
        assert math.copysign(1, value(bits)) == math.copysign(1, number)


def test_every_bf16_stands_for_itself() -> None:
    bits = np.arange(0x10000, dtype=np.uint32)
    with np.errstate(invalid="ignore"):
        numbers = (bits << 16).view(np.float32).astype(np.float64)
    assert np.array_equal(bf16(numbers)[~np.isnan(numbers)], bits[~np.isnan(numbers)])


def test_ties_go_to_the_even_neighbour() -> None:
    assert code(1 + 2.0**-8) == code(1.0)
    assert code(1 + 3 * 2.0**-8) == code(1 + 4 * 2.0**-8)


def test_infinity_stays_and_nan_is_the_one_code_of_no_data() -> None:
    assert (code(math.inf), code(-math.inf), code(math.nan), code(-math.nan)) == (0x7F80, 0xFF80, 0x7FC0, 0x7FC0)


@given(st.one_of(st.floats(0, 1), st.integers(1, 2**40).map(lambda n: 1 - 1 / n)))
def test_fractions_keep_their_distance_from_both_ends(fraction: float) -> None:
    sent = value(code(float(folded(np.array([fraction]))[0])))
    back = 1 + sent if math.copysign(1, sent) < 0 else sent
    nearer = min(fraction, 1 - fraction)
    assert abs(sent) <= max(0.502, SMALLEST)
    assert (back == 1) == (fraction == 1) or 1 - fraction < 1e-15
    assert (sent == 0) == (nearer == 0)
    assert abs(abs(sent) - nearer) <= 2.0**-8 * nearer + SMALLEST


def test_the_ends_and_the_middle_are_exact() -> None:
    sent = folded(np.array([0.0, 1.0, 0.5, math.nan]))
    assert [code(v) for v in sent] == [0x0000, 0x8000, code(0.5), 0x7FC0]
