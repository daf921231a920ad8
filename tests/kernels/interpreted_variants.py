"""The kernels' variants in Triton's interpreter: signed extremes, products in place, the total norm. Run by
``test_variants.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from gradhealth_kernels import reference
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import NEAR_ZERO, neutral

from .cases import DTYPES, differences, eight_bit, normal, of_dtype, views, with_specials
from .interpreted import CHUNK, CPU, GARBAGE, garbage, measured, poisoned_memory, records, wrong

__all__ = ["poisoned_memory"]  # a fixture of each test here, too


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_signed_extremes(dtype: torch.dtype) -> None:
    chosen = (
        "0 elements",
        "8 elements",
        "4097 elements",
        "misaligned by 3",
        "edges",
        "specials",
        "all NaN",
        "subnormal",
    )
    cases = {name: of_dtype(dtype)[name] for name in chosen}
    cases |= {"positive": normal(3001, dtype).abs() + 1, "negative": -normal(1999, dtype).abs() - 1}
    assert wrong(cases, signed=True) == {}
    assert wrong(cases, inverse_scale=torch.tensor(-1 / 3), signed=True) == {}


def test_the_signed_extremes_of_views_sparse_and_absent_tensors() -> None:
    assert wrong(views() | eight_bit(), signed=True) == {}
    pair = FusedPair(CPU, 2, NEAR_ZERO, CHUNK, signed=True)
    ones = torch.ones(10)
    assert measured(pair, [None, ones], signed=True)[0] == neutral((1,), True)[0]
    assert measured(pair, [ones, None], signed=True)[1] == neutral((1,), True)[0]
    assert (measured(pair, [None, None], signed=True) == neutral((2,), True)).all()


def scaled_by_torch(tensor: torch.Tensor, factor: float) -> torch.Tensor:
    as_factor = torch.tensor(factor, dtype=torch.float64 if tensor.dtype is torch.float64 else torch.float32)
    if tensor.dtype is torch.bfloat16:  # which the interpreter rounds towards zero, a GPU to nearest
        bits = (tensor.float() * as_factor).view(torch.int32)
        return ((bits >> 16) << 16).view(torch.float32).bfloat16()
    return torch._foreach_mul([tensor], as_factor)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [0.3, math.nan])
def test_in_place_products_are_torchs_and_so_are_their_entries(dtype: torch.dtype, factor: float) -> None:
    chosen = ("0 elements", "7 elements", "1025 elements", "edges", "specials", "the largest", "subnormal")
    cases = [(name, of_dtype(dtype)[name].clone()) for name in chosen]
    cases += [(f"misaligned by {k}", normal(9000, dtype)[k : 4200 + k]) for k in (1, 3, 5)]
    expected = [scaled_by_torch(tensor, factor) for _, tensor in cases]
    pair, out = FusedPair(CPU, len(cases), NEAR_ZERO, CHUNK), garbage(len(cases))
    pair.measure([(i, tensor, 0) for i, (_, tensor) in enumerate(cases)], out)
    pair.scale(out, torch.tensor(factor, dtype=torch.float64))
    for (name, tensor), right, got in zip(cases, expected, records(out), strict=True):
        # Nor does the interpreter get bfloat16's subnormal numbers right.
        atol = torch.finfo(dtype).smallest_normal if dtype is torch.bfloat16 else 0.0
        torch.testing.assert_close(tensor, right, rtol=0, atol=atol, equal_nan=True, msg=name)
        assert differences(got, reference.measure(tensor)) == [], name


def test_a_factor_of_one_reads_nothing_and_leaves_the_entries() -> None:
    tensors = [normal(5000, torch.bfloat16), normal(900, torch.float64), normal(70, torch.float32)]
    pair, out = FusedPair(CPU, 3, NEAR_ZERO, CHUNK), garbage(3)
    pair.measure([(i, tensor, 0) for i, tensor in enumerate(tensors)], out)
    before = out.clone()
    for tensor in tensors:
        tensor.fill_(7.0)  # were it read, the entries would tell
    pair.scale(out.fill_(GARBAGE), torch.ones((), dtype=torch.float64))
    assert out.tolist() == before.tolist()
    assert all((tensor == 7.0).all() for tensor in tensors)


def test_elements_around_a_scaled_tensor_are_not_touched() -> None:
    for dtype in DTYPES:
        memory = torch.ones(6000, dtype=dtype)
        inside = memory[3:5998]
        pair, out = FusedPair(CPU, 1, NEAR_ZERO, CHUNK), garbage(1)
        pair.measure([(0, inside, 0)], out)
        pair.scale(out, torch.tensor(0.5, dtype=torch.float64))
        assert (memory[:3] == 1).all()
        assert (memory[5998:] == 1).all()
        assert (inside == 0.5).all()


def total_norm(tensors: Sequence[torch.Tensor]) -> float:
    rows = np.array([reference.measure(tensor) for tensor in tensors]).view(np.int64)
    pair = FusedPair(CPU, len(tensors), NEAR_ZERO, CHUNK)
    return pair.total_norm(torch.from_numpy(rows).reshape(len(tensors), -1)).item()


def test_the_total_norm_is_that_of_all_tensors() -> None:
    tensors = [normal(3000, dtype, 10.0**k) for k, dtype in zip((2, 0, -3, 150), DTYPES, strict=True)]
    small = [normal(500, torch.float64, 1e-200), torch.zeros(5)]
    many = [torch.full((2,), float(i)) for i in range(300)]
    for chosen in (tensors[:3], tensors, small, tensors + small, many, [torch.zeros(3)], [torch.empty(0)]):
        expected = math.hypot(*(float(value) for tensor in chosen for value in tensor.tolist()))
        assert total_norm(chosen) == pytest.approx(expected, rel=1e-12, abs=0.0)


def test_a_total_norm_is_not_finite_if_an_element_is_not() -> None:
    for special, expected in ((math.inf, math.inf), (-math.inf, math.inf), (math.nan, math.nan)):
        tensor = torch.ones(100)
        tensor[50] = special
        assert total_norm([torch.ones(9), tensor]) == pytest.approx(expected, nan_ok=True)
    assert math.isnan(total_norm([torch.tensor(math.inf), torch.tensor(math.nan)]))


def test_plain_torch_has_the_signed_extremes_too() -> None:
    cases = {str(dtype): with_specials(normal(5001, dtype)) for dtype in DTYPES} | views() | eight_bit()
    out = garbage(len(cases), signed=True)
    PlainMeter(NEAR_ZERO, signed=True).measure([(i, *prepare(t)) for i, t in enumerate(cases.values())], out)
    for (name, tensor), got in zip(cases.items(), records(out), strict=True):
        assert differences(got, reference.measure(tensor, signed=True)) == [], name
