"""The kernels of dead rows in Triton's interpreter. Run by ``test_dead_rows.py``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gradhealth_kernels.dead_rows import FusedRows, RowMeter, sample
from gradhealth_kernels.proof import Proof
from gradhealth_kernels.rows import rows_of
from gradhealth_kernels.statistics import NEAR_ZERO

from .cases import DTYPES, normal
from .test_dead_rows import CPU, contents, layouts, oracle, others, planted, shapes, wrong

PART = 256


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New buffers hold NaN, and the interpreter's NumPy may overflow where a GPU would, silently."""
    empty = torch.empty

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        made = empty(*arguments, **options)
        return made.fill_(math.nan) if made.is_floating_point() else made

    monkeypatch.setattr(torch, "empty", poisoned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def wrong_when_fused(
    cases: dict[str, torch.Tensor], inverse: float | None = None, near_zero: float = NEAR_ZERO
) -> dict[str, Any]:
    problems: dict[str, Any] = wrong(FusedRows(CPU, len(cases), near_zero, PART), cases, near_zero, inverse)
    return problems


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_contents_and_layouts(dtype: torch.dtype) -> None:
    assert wrong_when_fused(shapes(dtype, PART) | contents(dtype) | layouts(dtype)) == {}


def test_mixed_dtypes_sparse_complex_and_eight_bit() -> None:
    assert wrong_when_fused(others() | {str(dtype): planted(20, 24, dtype) for dtype in DTYPES}) == {}


@pytest.mark.parametrize("inverse", [1 / 3, 2.0**-16, 3e-39, math.inf, math.nan])
def test_loss_scaled_values(inverse: float) -> None:
    cases = {f"{name} in {dtype}": tensor for dtype in DTYPES for name, tensor in contents(dtype).items()}
    cases |= {f"as large as the scale in {dtype}": normal(60, dtype, 3e-8).reshape(20, 3) for dtype in DTYPES}
    cases |= {f"gaps in {dtype}": layouts(dtype)["offset 3, gaps of 8"] for dtype in DTYPES}
    assert wrong_when_fused(cases, inverse) == {}


def test_another_threshold() -> None:
    cases = {f"{w} in {d}": normal(80 * w, d, 1e-3).reshape(80, w) for d in DTYPES for w in (3, 8)}
    assert wrong_when_fused(cases, near_zero=1e-3) == {}


def test_absent_tensors_and_changed_ones_and_the_same_counts_each_time() -> None:
    meter = FusedRows(CPU, 4, NEAR_ZERO, PART)
    first, second, third = planted(40, 8, torch.half), planted(3, 300, torch.float32), planted(40, 8, torch.half, 0.9)
    for tensors in ({}, {1: first}, {1: first, 3: second}, {1: third, 3: second}, {3: second}):
        alive = torch.zeros(200, dtype=torch.uint8)
        items = [(index, rows_of(one).values, len(one), 50 * index) for index, one in tensors.items()]
        out = torch.full((4, 2), math.nan, dtype=torch.float64)
        meter.measure(items, alive, out)
        counts = {index: [len(one), len(oracle(one))] for index, one in tensors.items()}
        assert out.tolist() == [counts.get(index, [0, 0]) for index in range(4)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_beyond_2_to_the_31_elements(dtype: torch.dtype) -> None:
    """The last of very many rows, then the last part of a very long one; only these have memory."""
    tail = planted(1, 1024, dtype, 1.0)
    meter: Any = FusedRows(CPU, 1, NEAR_ZERO)
    vector, units = (2, 1024) if dtype is torch.float64 else (4, 256 * dtype.itemsize)
    made = meter.constants((dtype, vector), False)
    blocks = 6 * 10**9 // (16 * 1024)
    ahead = 16 * blocks
    address = tail.data_ptr() - ahead * 1024 * dtype.itemsize
    # Marks begin so that the last row's is the first byte here.
    many = [address, ahead + 1, units, units, -ahead, ahead + 1, 1], blocks
    long = [address, 1, (ahead + 1) * units, 0, 0, 1, ahead + 1], ahead
    for column, tile in (many, long):
        table = torch.tensor([column]).T.contiguous()
        places = torch.tensor([0, tile], dtype=torch.int32)
        alive = torch.zeros(1, dtype=torch.uint8)
        meter._kernels.mark_alive[(1,)](table, places[:1], places[1:], alive, None, 1, 0, units, **made)
        assert alive.item() == 1


def test_the_kernels_prove_themselves_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    meter: Any = RowMeter(CPU, 1)
    meter._proof = Proof(CPU, "find dead rows", meter._compare)
    tensor = planted(30, 20, torch.bfloat16)
    items = [(0, tensor, 30, 0)]
    for inverse, settled in ((None, set()), (None, {False}), (0.1, {False}), (0.1, {False, True})):
        scale = None if inverse is None else torch.tensor([inverse])
        alive, counts = meter.measure(items, 30, scale)
        assert (alive == 0).nonzero()[:, 0].tolist() == oracle(tensor, inverse=inverse).tolist()
        assert counts.tolist() == [[30, len(oracle(tensor))]]
        assert meter._proof.settled == settled
    monkeypatch.setattr(meter, "_plain", None)
    assert meter.measure(items, 30)[1].tolist() == [[30, len(oracle(tensor))]]


def test_kernels_that_are_wrong_or_fail_are_given_up_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    right = FusedRows.measure

    def disagree(self: Any, items: Any, alive: torch.Tensor, out: torch.Tensor, inverse_scale: Any = None) -> None:
        right(self, items, alive, out, inverse_scale)
        alive[-1] = 1 - alive[-1]

    def fail(self: Any, items: Any, alive: Any, out: Any, inverse_scale: Any = None) -> None:
        raise RuntimeError("no such device")

    tensor = planted(10, 4, torch.float32)
    for replacement, text in ((disagree, "disagree with plain torch"), (fail, r"RuntimeError: no such device")):
        monkeypatch.setattr(FusedRows, "measure", replacement)
        meter: Any = RowMeter(CPU, 1)
        meter._proof = Proof(CPU, "find dead rows", meter._compare)
        with pytest.warns(RuntimeWarning, match=text) as caught:
            for _ in range(3):
                assert meter.measure([(0, tensor, 10, 0)], 10)[1].tolist() == [[10, len(oracle(tensor))]]
        assert len([warning for warning in caught if "tb_gradhealth" in str(warning.message)]) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_have_rows_on_both_sides_of_the_threshold(dtype: torch.dtype) -> None:
    for inverse in (None, 0.3):
        assert 0 < len(oracle(sample(dtype, 77, CPU), inverse=inverse)) < 49
