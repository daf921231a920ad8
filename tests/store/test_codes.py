"""Codes keep what docs/format.md promises: bounded error, exact 0, 1 and infinity, order, and nothing that reads as a
number where there was none."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradhealth.store.codes import CODES, ESCAPED, HALF, INFINITE, NO_DATA, ONE, shuffle, unshuffle

Floats = npt.NDArray[np.float64]

SIZES = st.floats().map(abs)
SHARES = st.one_of(
    st.floats(0, 1), st.integers(1, 2**40).map(lambda n: 1 / n), st.integers(1, 2**40).map(lambda n: 1 - 1 / n)
)


def there_and_back(kind: str, values: Floats) -> Floats:
    return CODES[kind].decode(CODES[kind].encode(values), values.size)


@given(st.lists(SIZES, min_size=1, max_size=20).map(np.array))
def test_magnitudes_within_their_bound_and_exact_outside_the_range(values: Floats) -> None:
    back = there_and_back("magnitude", values)
    assert np.array_equal(np.isnan(back), np.isnan(values))
    exact = (values == 0) | np.isinf(values) | (values > 2.0**150) | (values < 2.0**-181)
    assert np.array_equal(back[exact], values[exact])
    kept = ~exact & ~np.isnan(values)
    assert (np.abs(back[kept] / values[kept] - 1) <= 2 ** (0.5 / 199) - 1 + 1e-12).all()
    assert 2 ** (0.5 / 199) - 1 < 0.0018


@given(st.lists(SHARES, min_size=1, max_size=20).map(np.array))
def test_fractions_within_their_bound_of_the_nearer_end(values: Floats) -> None:
    back = there_and_back("fraction", values)
    assert np.array_equal(back == 0, values == 0)
    assert np.array_equal(back == 1, values == 1)
    nearer, kept = np.minimum(values, 1 - values), np.minimum(back, 1 - back)
    coded = nearer >= 2.0**-40
    assert (np.abs(kept[coded] / nearer[coded] - 1) <= 0.0005).all()
    assert ((back > 0.5) == (values > 0.5))[np.abs(values - 0.5) > 0.001].all()


@given(st.lists(SHARES, min_size=1, max_size=20).map(np.array))
def test_a_fraction_and_its_complement_keep_the_same_distance(values: Floats) -> None:
    exact = values[(1 - (1 - values)) == values]  # float64 itself loses the others
    there, complement = there_and_back("fraction", exact), there_and_back("fraction", 1 - exact)
    assert np.allclose(there, 1 - complement, rtol=0, atol=2**-50)


@pytest.mark.parametrize("kind", ["magnitude", "fraction"])
def test_order_is_kept(kind: str) -> None:
    ends = np.geomspace(1e-12, 0.5, 40_000)
    values = np.sort(np.concatenate([[0.0], ends, 1 - ends, [1.0]]))
    values = values if kind == "fraction" else np.concatenate([[0.0], np.geomspace(1e-300, 1e300, 100_000), [np.inf]])
    assert (np.diff(there_and_back(kind, values)[:-1]) >= 0).all()


def test_998_of_1000_is_not_all() -> None:
    back = there_and_back("fraction", np.array([0.998, 1 - 1e-12, 1e-12, 1.0, 0.0, 0.5]))
    assert back[0] == pytest.approx(0.998, abs=2e-6)
    assert back[1] < 1
    assert back[2] > 0
    assert back[3:].tolist() == [1.0, 0.0, pytest.approx(0.5)]


def test_the_reserved_codes_are_reserved() -> None:
    def codes(kind: str, values: list[float]) -> list[int]:
        return [int(code) for code in unshuffle(CODES[kind].encode(np.array(values)), "<u2", len(values))]

    assert codes("magnitude", [0.0, math.inf, math.nan, 1e300, 1e-60, -1.0]) == [
        0,
        INFINITE,
        NO_DATA,
        ESCAPED,
        ESCAPED,
        ESCAPED,
    ]
    assert codes("magnitude", [2.0**-180, 2.0**149, 1.0]) == [1, 1 + 329 * 199, 1 + 180 * 199]
    assert codes("fraction", [0.0, 1.0, math.nan, 0.5, 0.75]) == [0, ONE, NO_DATA, HALF, ONE - (HALF - 839)]


@given(st.lists(st.floats(), min_size=1, max_size=20).map(np.array))
def test_signed_values_are_rounded_to_float32(values: Floats) -> None:
    back = there_and_back("signed", values)
    assert np.array_equal(np.isfinite(back), np.isfinite(values)), "what is finite stays so"
    inside = ~(np.abs(values) > np.finfo(np.float32).max)
    assert np.array_equal(back[inside], values[inside].astype(np.float32), equal_nan=True)
    assert np.array_equal(np.sign(back[~inside]), np.sign(values[~inside]))


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=20))
def test_counts_are_exact(values: list[int]) -> None:
    assert there_and_back("count", np.array(values, np.float64)).astype(int).tolist() == values


@given(
    st.lists(st.sampled_from([1e300, 3e-90, 1.0, 0.0, math.nan]), max_size=20).map(lambda v: np.array(v, np.float64))
)
def test_escapes_stand_behind_in_order(values: Floats) -> None:
    data = CODES["magnitude"].encode(values)
    outside = values[(values > 1e100) | ((values < 1e-80) & (values > 0))]
    assert data[2 * values.size :] == outside.astype("<f8").tobytes()


@pytest.mark.parametrize("kind", list(CODES))
def test_too_few_and_too_many_bytes_are_an_error(kind: str) -> None:
    data = CODES[kind].encode(np.array([0.25, 1e300, 0.5]))
    for wrong in (data[:-1], data + b"\0", b"", data + data):
        with pytest.raises(ValueError, match=r"expected|smaller"):
            CODES[kind].decode(wrong, 3)


@given(st.sampled_from(["<u2", "<u4", "<i8", "<f4", "<f8"]), st.integers(0, 9))
def test_shuffled_bytes_stand_plane_by_plane_little_endian(dtype: str, count: int) -> None:
    values = np.random.default_rng(count).integers(0, 2**31, count).astype(dtype)
    data = shuffle(values)
    width = values.itemsize
    raw = values.tobytes()
    assert data == b"".join(raw[byte::width] for byte in range(width))
    assert np.array_equal(unshuffle(data, dtype, count), values)
    assert shuffle(values.astype(values.dtype.newbyteorder(">"))) == data
