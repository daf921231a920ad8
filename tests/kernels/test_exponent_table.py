"""What follows from a histogram of exponents: which share of the elements another number format would lose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.exponent_table import BINS, EDGES, FORMATS, Format, share_below, share_from

from .test_exponents import oracle


@given(
    st.lists(st.floats(2.0**-160, 2.0**140), min_size=1, max_size=30),
    st.one_of(st.integers(-130, 130).map(lambda exponent: 2.0**exponent), st.floats(2.0**-150, 2.0**150)),
)
def test_shares_are_bounded_and_exact_at_the_edges_of_bins(values: list[float], magnitude: float) -> None:
    values = [*values, magnitude, 0.9 * magnitude, 1.1 * magnitude]
    tensor = torch.tensor([*values, 0.0, math.nan, -math.inf], dtype=torch.float64)
    counts = oracle(-tensor)
    true = sum(value < magnitude for value in values) / len(values)
    for (least, most), share in ((share_below(counts, magnitude), true), (share_from(counts, magnitude), 1 - true)):
        assert least - 1e-12 <= share <= most + 1e-12
        inside = counts[np.searchsorted(EDGES, magnitude, side="right") - 1]
        assert most - least == pytest.approx(0.0 if magnitude in EDGES else inside / len(values))


def test_shares_of_many_histograms_at_once() -> None:
    counts = np.stack([oracle(torch.tensor(values)) for values in ([1.0, 2.0, 4.0, 4.5], [0.5], [0.0, math.nan])])
    for least, most in (share_below(counts, 2.0), share_below(counts.reshape(3, 1, BINS), 2.0)):
        assert least.shape in ((3,), (3, 1))
        np.testing.assert_array_equal(least.ravel(), [0.25, 1.0, math.nan])
        np.testing.assert_array_equal(most, least)
    least, most = share_from(counts, 4.25)
    np.testing.assert_array_equal(least, [0.0, 0.0, math.nan])
    np.testing.assert_array_equal(most, [0.5, 0.0, math.nan])


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_the_table_of_formats_is_that_of_torch(kind: Format) -> None:
    dtype = getattr(torch, kind.name)
    info = torch.finfo(dtype)
    integer = torch.uint8 if dtype.itemsize == 1 else torch.int16
    smallest = torch.ones((), dtype=integer).view(dtype).item()
    assert kind == replace(kind, normal=info.smallest_normal, subnormal=smallest, largest=info.max)


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e4, 1e-38, 1e38])
def test_shares_foretell_what_a_cast_does(kind: Format, scale: float) -> None:
    """Values spread over 26 powers of two. torch casts what is too large to infinity, or to the largest value."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.exp2(26 * torch.rand(20_000, generator=generator, dtype=torch.float64) - 13)
    values = (spread * scale).float()
    values = values[values.isfinite()]
    counts = oracle(values)
    cast = values.to(getattr(torch, kind.name)).double()
    size = len(values)

    least, most = share_below(counts, kind.subnormal / 2)
    assert least <= (cast == 0).sum().item() / size <= most
    assert least == most or kind.name == "bfloat16"
    least, most = share_below(counts, kind.normal)
    assert least == most == (values.double() < kind.normal).sum().item() / size
    least, most = share_from(counts, kind.largest)
    overflown = ~cast.isfinite() | ((cast == kind.largest) & (values > kind.largest))
    assert least <= overflown.sum().item() / size <= most
