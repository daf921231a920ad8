"""Entries of loss-scaled tensors: those of torch's own unscaling, which stays undone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import cpu, launch, reference
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.device_ring import DeviceRing, Taken
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.reference import as_double
from gradhealth_kernels.statistics import NEAR_ZERO, Entries, neutral

from .cases import DTYPES, differences, eight_bit, normal, of_dtype, views, with_specials

SCALES = (2.0**20, 65536.0, 3000.0, 1e-5, 2.0**126, 1.0)


def inverse_of(scale: float) -> torch.Tensor:
    """As GradScaler computes it."""
    return torch.tensor([scale]).double().reciprocal().float()


def wrong(
    cases: dict[str, torch.Tensor], inverse_scale: torch.Tensor, near_zero: float = NEAR_ZERO
) -> dict[str, list[str]]:
    ring = StepRing(len(cases), 1, near_zero)
    ring.measure(0, list(cases.values()), inverse_scale)
    return compared(cases, inverse_scale, ring.take(1).entries()[0], near_zero)


def compared(
    cases: dict[str, torch.Tensor], inverse_scale: torch.Tensor, found: Entries, near_zero: float = NEAR_ZERO
) -> dict[str, list[str]]:
    problems = {
        name: differences(got, reference.measure(tensor, near_zero, inverse_scale))
        for (name, tensor), got in zip(cases.items(), found, strict=True)
    }
    return {name: said for name, said in problems.items() if said}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_oracle_multiplies_as_torch_unscales(dtype: torch.dtype, scale: float) -> None:
    """Narrower dtypes are rounded again by torch, which writes them back; the product before that is what counts."""
    inverse_scale, bad = inverse_of(scale), torch.zeros(1)
    for tensor in of_dtype(dtype).values():
        unscaled = tensor.clone()
        torch._amp_foreach_non_finite_check_and_unscale_([unscaled], bad, inverse_scale)
        torch.testing.assert_close(as_double(tensor, inverse_scale), unscaled.double(), rtol=0, atol=0, equal_nan=True)


def test_the_oracle_of_a_product_in_figures() -> None:
    """Saturation is the dtype's own, near zero means the product, and a product below float32 is 0."""
    tensor = torch.tensor([60000.0, 6e-8, 0.0, -2.0], dtype=torch.float16)
    found = reference.measure(tensor, NEAR_ZERO, torch.tensor(0.5))
    assert (found["count"], found["zero"], found["near_zero"], found["saturated"]) == (4, 1, 1, 1)
    assert found["abs_max"] == 30000.0
    found = reference.measure(tensor, NEAR_ZERO, inverse_of(2.0**20))
    assert (found["zero"], found["near_zero"], found["saturated"]) == (1, 2, 0)
    found = reference.measure(torch.tensor([1e-30]), NEAR_ZERO, torch.tensor(1e-20))
    assert (found["zero"], found["sum_abs"]) == (1, 0.0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_sizes_and_addresses_on_the_host(dtype: torch.dtype, scale: float) -> None:
    assert wrong(of_dtype(dtype), inverse_of(scale)) == {}


@pytest.mark.parametrize("scale", [2.0**20, 3000.0])
def test_views_complex_sparse_and_eight_bit_on_the_host(scale: float) -> None:
    assert wrong(views() | eight_bit(), inverse_of(scale)) == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_blocks(dtype: torch.dtype) -> None:
    ordinary = normal(2 * cpu.BLOCK + 1500, dtype, 1000.0)
    assert wrong({"ordinary": ordinary, "specials": with_specials(ordinary)}, inverse_of(3000.0)) == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inverse", [0.0, -0.5, math.inf, math.nan, 1e-40, 3e38])
def test_any_inverse_scale(dtype: torch.dtype, inverse: float) -> None:
    cases = {name: of_dtype(dtype)[name] for name in ("0 elements", "1025 elements", "specials", "subnormal", "edges")}
    assert wrong(cases, torch.tensor(inverse)) == {}


@given(st.lists(st.floats(width=32), max_size=50), st.floats(width=32))
def test_any_float32(values: list[float], inverse: float) -> None:
    assert wrong({"it": torch.tensor(values)}, torch.tensor(inverse), near_zero=1e-3) == {}


def test_plain_torch_multiplies_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradhealth_kernels.device.PIECE", 1000)
    cases = {str(dtype): with_specials(normal(5001, dtype)) for dtype in DTYPES}
    cases |= of_dtype(torch.float16) | views() | eight_bit()
    inverse_scale = inverse_of(3000.0)
    ring = DeviceRing(torch.device("cpu"), len(cases), 1, NEAR_ZERO)
    items = [(index, *launch.prepare(tensor)) for index, tensor in enumerate(cases.values())]
    ring.measure(0, items, inverse_scale)
    entries = Taken(neutral((1, len(cases))), [ring.copy(1)]).entries()[0]
    assert compared(cases, inverse_scale, entries) == {}


def test_nothing_is_written() -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()} | eight_bit()
    before = {name: (tensor.clone(), tensor._version) for name, tensor in cases.items()}
    inverse_scale = inverse_of(3000.0)
    wrong(cases, inverse_scale)
    words = torch.zeros((1, 13), dtype=torch.int64)
    for name, tensor in cases.items():
        PlainMeter(NEAR_ZERO).measure([(0, tensor, 0)], words, inverse_scale)
        copy, version = before[name]
        assert torch.equal(copy.view(torch.uint8), tensor.view(torch.uint8))
        assert tensor._version == version
    assert inverse_scale.item() == np.float32(1 / 3000)


def test_a_scale_that_needs_a_gradient_and_steps_without_one() -> None:
    ring = StepRing(1, 3)
    tensor = torch.full((5,), 8.0, requires_grad=True)
    for slot, inverse in enumerate((None, torch.tensor(0.25, requires_grad=True), None)):
        ring.measure(slot, [tensor], inverse)
    assert ring.take(3).entries()["abs_max"][:, 0].tolist() == [8.0, 2.0, 8.0]


@pytest.mark.parametrize(
    ("inverse_scale", "text"),
    [
        (torch.ones(2), r"one float32 element, got torch\.float32 of shape \(2,\); pass scale\.double"),
        (torch.ones((), dtype=torch.float64), r"got torch\.float64 of shape \(\)"),
    ],
)
def test_another_scale_is_refused(inverse_scale: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        StepRing(1, 1).measure(0, [torch.ones(1)], inverse_scale)
