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
    """What is escaped reads as NaN: its exact value stands elsewhere."""
    codes = CODES[kind].code(values)
    assert (codes.dtype, codes.shape) == (np.dtype(CODES[kind].codes), values.shape)
    return CODES[kind].values(codes)


@given(st.lists(SIZES, min_size=1, max_size=20).map(np.array))
def test_magnitudes_within_their_bound_and_escaped_outside_the_range(values: Floats) -> None:
    codes, back = CODES["magnitude"].code(values), there_and_back("magnitude", values)
    assert np.array_equal(codes == NO_DATA, np.isnan(values))
    assert np.array_equal(codes == INFINITE, np.isinf(values))
    assert np.array_equal(codes == 0, values == 0)
    outside = np.isfinite(values) & (values != 0) & ((values > 2.0**150) | (values < 2.0**-181))
    assert (codes[outside] == ESCAPED).all()
    inside = (values >= 2.0**-180) & (values <= 2.0**149)
    assert not (codes[inside] == ESCAPED).any()
    coded = np.isfinite(values) & (values != 0) & (codes != ESCAPED)
    assert (np.abs(back[coded] / values[coded] - 1) <= 0.0018).all()
    assert np.array_equal(back[np.isinf(values) | (values == 0)], values[np.isinf(values) | (values == 0)])


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
    values = (
        values if kind == "fraction" else np.concatenate([[0.0], np.geomspace(2.0**-180, 2.0**149, 100_000), [np.inf]])
    )
    assert (there_and_back(kind, values)[:-1] <= there_and_back(kind, values)[1:]).all()


def test_998_of_1000_is_not_all() -> None:
    back = there_and_back("fraction", np.array([0.998, 1 - 1e-12, 1e-12, 1.0, 0.0, 0.5]))
    assert back[0] == pytest.approx(0.998, abs=2e-6)
    assert back[1] < 1
    assert back[2] > 0
    assert back[3:].tolist() == [1.0, 0.0, pytest.approx(0.5)]


def test_the_reserved_codes_are_reserved() -> None:
    def codes(kind: str, values: list[float]) -> list[int]:
        return [int(code) for code in CODES[kind].code(np.array(values))]

    outside = codes("magnitude", [1e300, 1e-60, -1.0, -math.inf, 2.0**150, 5e-324])
    assert outside == [ESCAPED] * 6
    assert codes("magnitude", [0.0, -0.0, math.inf, math.nan]) == [0, 0, INFINITE, NO_DATA]
    assert codes("magnitude", [2.0**-180, 2.0**149, 1.0]) == [1, 1 + 329 * 199, 1 + 180 * 199]
    assert codes("fraction", [0.0, 1.0, math.nan, 0.5, 0.75]) == [0, ONE, NO_DATA, HALF, ONE - (HALF - 839)]


@given(st.lists(st.floats(), min_size=1, max_size=20).map(np.array))
def test_signed_values_within_their_bound_and_finite_if_they_were(values: Floats) -> None:
    back = there_and_back("signed", values)
    assert np.array_equal(np.isfinite(back), np.isfinite(values)), "what is finite stays so"
    assert np.array_equal(np.isnan(back), np.isnan(values))
    assert np.array_equal(np.sign(back[back != 0]), np.sign(values[back != 0]), equal_nan=True)
    least, most = 2.0**-126, (2 - 2.0**-12) * 2.0**127  # a float32 below the least has fewer bits
    normal = np.isfinite(values) & (np.abs(values) >= least) & (np.abs(values) <= most)
    assert (np.abs(back[normal] / values[normal] - 1) <= 0.000123).all()
    assert (np.abs(back[np.abs(values) < least]) <= least).all()
    assert (np.abs(back[np.isfinite(values) & (np.abs(values) > most)]) == most).all()
    assert (CODES["signed"].code(values)[~np.isnan(values)] & 0x7FF == 0).all(), "what deflates to nothing"


@pytest.mark.parametrize("bits", [0x7FF8 << 48, 0xFFF8 << 48, 0x7FFFFFFFE0000000, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("kind", list(CODES))
def test_any_nan_stays_one(kind: str, bits: int) -> None:
    """The third is what CUDA's float32 makes of none."""
    assert np.isnan(there_and_back(kind, np.array([bits], "<u8").view("<f8"))).all()


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=20))
def test_counts_are_exact(values: list[int]) -> None:
    assert there_and_back("count", np.array(values, np.float64)).astype(int).tolist() == values


@pytest.mark.parametrize("kind", list(CODES))
def test_codes_have_any_shape(kind: str) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (3, 4, 5))
    assert np.array_equal(there_and_back(kind, values), there_and_back(kind, values.ravel()).reshape(3, 4, 5))


@pytest.mark.parametrize("kind", ["magnitude", "fraction"])
def test_every_code_reads_and_is_made_of_what_it_reads(kind: str) -> None:
    codes = np.arange(0x10000).astype("<u2")
    values = CODES[kind].values(codes)
    known = ~np.isnan(values)
    assert known.sum() == 0x10000 - (2 if kind == "magnitude" else 0x10000 - 1 - ONE)
    again = CODES[kind].code(values[known])
    assert np.array_equal(again, codes[known]) or kind == "fraction"
    # Fractions next to 1 are apart by less than what float64 resolves there, but not in value.
    assert np.array_equal(CODES[kind].values(again), values[known])


@given(st.sampled_from(["<u2", "<u4", "<i8", "<f4", "<f8"]), st.integers(0, 9))
def test_shuffled_bytes_stand_plane_by_plane_little_endian(dtype: str, count: int) -> None:
    values = np.random.default_rng(count).integers(0, 2**31, count).astype(dtype)
    data = shuffle(values)
    width = values.itemsize
    raw = values.tobytes()
    assert data == b"".join(raw[byte::width] for byte in range(width))
    assert np.array_equal(unshuffle(data, dtype, count), values)
    assert shuffle(values.astype(values.dtype.newbyteorder(">"))) == data
