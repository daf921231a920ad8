"""The histogram kernels in Triton's interpreter. Run by ``test_exponents.py``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels.exponent_table import BINS
from gradhealth_kernels.exponents import ExponentMeter, FusedExponents, sample
from gradhealth_kernels.proof import Proof

from .cases import DTYPES, eight_bit, normal, of_dtype, views, with_specials
from .test_exponents import CPU, GARBAGE, INVERSES, edges, measured, oracle, patterns, wrong

CHUNK = 2048


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New buffers of integers hold garbage, and the interpreter's NumPy may overflow where a GPU would, silently."""
    empty = torch.empty

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        made = empty(*arguments, **options)
        return made.fill_(-77) if made.dtype in (torch.int32, torch.int64) else made

    monkeypatch.setattr(torch, "empty", poisoned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def wrong_when_fused(
    cases: dict[str, torch.Tensor], inverse: float | None = None, chunk: int | None = CHUNK
) -> dict[str, str]:
    return wrong(FusedExponents(CPU, len(cases), chunk), cases, inverse)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_sizes_and_addresses(dtype: torch.dtype) -> None:
    around_chunks = {f"{size} elements": normal(size, dtype) for size in (CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK)}
    assert wrong_when_fused(of_dtype(dtype) | around_chunks | {"edges of bins": edges(dtype)}) == {}


def test_mixed_dtypes_views_complex_sparse_and_eight_bit() -> None:
    assert wrong_when_fused(views() | eight_bit()) == {}
    assert wrong_when_fused(views() | eight_bit(), 1 / 3000) == {}


@pytest.mark.parametrize("inverse", [None, 1 / 3])
def test_every_value_of_two_bytes_and_every_exponent_of_others(inverse: float | None) -> None:
    cases = {str(dtype): patterns(dtype) for dtype in (torch.float16, torch.bfloat16)}
    cases |= {f"sample of {dtype}": sample(dtype, CPU) for dtype in (torch.float32, torch.float64)}
    assert wrong_when_fused(cases, inverse, chunk=None) == {}


@pytest.mark.parametrize("inverse", INVERSES)
def test_loss_scaled_values(inverse: float) -> None:
    cases = {f"specials in {dtype}": with_specials(normal(1025, dtype)) for dtype in DTYPES}
    cases |= {f"edges in {dtype}": edges(dtype)[3:] for dtype in DTYPES}
    assert wrong_when_fused(cases, inverse) == {}


def test_absent_and_empty_tensors_and_the_same_counts_each_time() -> None:
    meter = FusedExponents(CPU, 4, CHUNK)
    out = torch.full((4, BINS), GARBAGE)
    for items in ([], [(1, torch.empty(0), 0)], [(3, normal(5000, torch.float32), 2), (0, normal(9, torch.half), 0)]):
        meter.measure(items, out)
        expected = np.zeros((4, BINS), np.int64)
        for index, tensor, _ in items:
            expected[index] = oracle(tensor)
        assert (out.numpy() == expected).all()


def test_many_chunks_add_up_beyond_int32() -> None:
    generator = np.random.default_rng(0)
    chunks = generator.integers(0, 2**31, (70, BINS), dtype=np.int32)
    bounds = np.array([[20, 3, 0], [70, 3, 19]], np.int32)
    out = torch.full((3, BINS), GARBAGE)
    kernels: Any = FusedExponents(CPU, 3)._kernels
    starts, stops = torch.from_numpy(bounds)
    kernels.tensor_exponents[(3,)](starts, stops, torch.from_numpy(chunks), out, BINS=BINS, BLOCK=16)
    for got, start, stop in zip(out.numpy(), *bounds, strict=True):
        assert (got == chunks[start:stop].sum(0, dtype=np.int64)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_beyond_2_to_the_31_elements(dtype: torch.dtype) -> None:
    """The last chunk of a tensor of 6e9 elements, of which only that chunk has memory."""
    tail = normal(1500, dtype)
    chunk = 6 * 10**9 // CHUNK
    table = torch.tensor([[tail.data_ptr() - chunk * CHUNK * dtype.itemsize], [chunk * CHUNK + len(tail)]])
    places = torch.tensor([0, chunk], dtype=torch.int32)
    counts = torch.full((1, BINS), -77, dtype=torch.int32)
    meter: Any = FusedExponents(CPU, 1)
    constants = meter.constants(dtype, False)
    meter._kernels.chunk_exponents[(1,)](table, places[:1], places[1:], counts, None, 1, 0, CHUNK, **constants)
    assert (counts.numpy()[0] == oracle(tail)).all()


def test_the_kernels_prove_themselves_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    meter: Any = ExponentMeter(CPU, 2)
    meter._proof = Proof(CPU, "count exponents", meter._compare)
    tensors = [normal(2000, torch.bfloat16), normal(300, torch.float64)]
    for inverse, settled in ((None, set()), (None, {False}), (0.1, {False}), (0.1, {False, True})):
        assert (measured(meter, tensors, inverse) == [oracle(tensor, inverse) for tensor in tensors]).all()
        assert meter._proof.settled == settled
    monkeypatch.setattr(meter, "_plain", None)
    assert (measured(meter, tensors) == [oracle(tensor) for tensor in tensors]).all()


def test_kernels_that_are_wrong_or_fail_are_given_up_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    right = FusedExponents.measure

    def disagree(self: Any, items: Any, out: torch.Tensor, inverse_scale: Any = None) -> None:
        right(self, items, out, inverse_scale)
        out[-1, 3] += 1

    def fail(self: Any, items: Any, out: Any, inverse_scale: Any = None) -> None:
        raise RuntimeError("no such device")

    tensor = normal(100, torch.float32)
    for replacement, text in ((disagree, "disagree with plain torch"), (fail, r"RuntimeError: no such device")):
        monkeypatch.setattr(FusedExponents, "measure", replacement)
        meter: Any = ExponentMeter(CPU, 1)
        meter._proof = Proof(CPU, "count exponents", meter._compare)
        with pytest.warns(RuntimeWarning, match=text) as caught:
            for inverse in (None, None, None, math.pi):
                assert (measured(meter, [tensor], inverse)[0] == oracle(tensor, inverse)).all()
        assert len([warning for warning in caught if "tb_gradhealth" in str(warning.message)]) == 1
