"""The oracle itself, against closed forms and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import figures
from gradhealth_kernels.reference import measure
from gradhealth_kernels.statistics import COUNTS, ENTRIES, Entries, merge

from .cases import DTYPES, INF, NAN, differences

SUMS = [entry.name for entry in ENTRIES if entry.name.startswith("sum")]


def test_a_tensor_with_one_of_everything() -> None:
    found = measure(torch.tensor([3.0, -4.0, 0.0, -0.0, 1e-9, NAN, NAN, INF, INF, INF, -INF, 1e38]))
    counts = {"count": 12, "zero": 2, "near_zero": 3, "saturated": 5, "nan": 2, "pos_inf": 3, "neg_inf": 1}
    assert {name: found[name] for name in COUNTS} == counts
    assert found["abs_max"] == float(np.float32(1e38))
    assert found["sum_sq"] == pytest.approx(25 + 1e76)
    assert found["sum_sq_big"] == found["sum_sq_small"] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_give_their_closed_forms(dtype: torch.dtype) -> None:
    found = measure(torch.arange(-20, 101).to(dtype))
    assert (found["count"], found["zero"], found["near_zero"], found["saturated"]) == (121, 1, 1, 0)
    assert (found["sum"], found["sum_abs"], found["abs_max"]) == (5050 - 210, 5050 + 210, 100)
    assert found["sum_sq"] == 100 * 101 * 201 / 6 + 20 * 21 * 41 / 6


def test_nothing_and_nothing_finite() -> None:
    assert measure(torch.empty(0)).tolist() == (0,) * len(ENTRIES)
    found = measure(torch.tensor([NAN, -INF]))
    assert [found[name] for name in (*SUMS, "abs_max")] == [0.0] * (len(SUMS) + 1)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e200, 1e300])
def test_the_norm_of_extreme_float64_neither_overflows_nor_vanishes(scale: float) -> None:
    found = measure(torch.tensor([3.0, 4.0], dtype=torch.float64) * scale)
    assert figures.norm(np.asarray(found)) == pytest.approx(5 * scale, rel=1e-3 if scale < 1e-300 else 1e-15)


def test_thresholds_are_compared_in_real_arithmetic() -> None:
    """float32(1e-8) lies below 1e-8, and float16 has nothing between 0 and 6e-8."""
    assert measure(torch.tensor([1e-8]))["near_zero"] == 1
    assert measure(torch.tensor([1e-8], dtype=torch.float64))["near_zero"] == 0
    assert measure(torch.tensor([6e-8], dtype=torch.float16))["near_zero"] == 0
    assert measure(torch.tensor([1e-3, 0.9e-3]), near_zero=1e-3)["near_zero"] == 1
    eighth = torch.finfo(torch.bfloat16).max / 8
    assert measure(torch.tensor([eighth, eighth * 0.99], dtype=torch.bfloat16))["saturated"] == 1


def test_a_complex_element_is_two_and_an_implicit_zero_is_one() -> None:
    found = measure(torch.tensor([3 + 4j, 0 - 1j]).conj())
    assert (found["count"], found["zero"], found["sum"], found["sum_sq"]) == (4, 1, 0.0, 26.0)
    found = measure(
        torch.sparse_coo_tensor(torch.tensor([[1, 1]]), torch.tensor([2.0, 1.0]), (10,), check_invariants=True)
    )
    assert (found["count"], found["zero"], found["sum_sq"], found["abs_max"]) == (10, 9, 9.0, 3.0)


@given(st.lists(st.floats(width=32), max_size=60))
def test_any_floats_agree_with_exact_sums(values: list[float]) -> None:
    found = measure(torch.tensor(values, dtype=torch.float32))
    finite = [value for value in values if math.isfinite(value)]
    assert found["sum_abs"] == pytest.approx(math.fsum(map(abs, finite)))
    assert found["sum"] == pytest.approx(math.fsum(finite), abs=1e-12 * found["sum_abs"])
    assert found["sum_sq"] == pytest.approx(math.fsum(value * value for value in finite))
    assert found["nan"] == sum(map(math.isnan, values))
    assert found["zero"] == values.count(0.0)
    assert found["near_zero"] == sum(abs(value) < 1e-8 for value in values)


@given(st.lists(st.floats(), max_size=40), st.data())
def test_a_tensor_split_anywhere_merges_to_the_whole(values: list[float], data: st.DataObject) -> None:
    tensor = torch.tensor(values, dtype=torch.float64)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    pieces = [measure(piece) for piece in torch.tensor_split(tensor, cuts)]
    parts: Entries = np.array(pieces, pieces[0].dtype)
    assert differences(merge(parts, np.array([0]), np.array([len(parts)]))[0], measure(tensor)) == []
