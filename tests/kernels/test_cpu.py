"""The CPU path against the oracle, and what it must leave alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import cpu, reference
from gradhealth_kernels.cpu import CpuMeter, batches
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.statistics import ENTRY_DTYPE, NEAR_ZERO, SIGNED_DTYPE, Entries

from .cases import DTYPES, INF, NAN, differences, eight_bit, normal, of_dtype, views, with_specials

ROOT = Path(__file__).parents[2]


def measured(
    *tensors: torch.Tensor,
    near_zero: float = NEAR_ZERO,
    inverse_scale: float | None = None,
    meter: CpuMeter | None = None,
    signed: bool = False,
) -> Entries:
    """Entries ``[tensor]``, written over garbage."""
    dtype = SIGNED_DTYPE if signed else ENTRY_DTYPE
    out: Entries = np.full((len(tensors), dtype.itemsize), 0xFF, np.uint8).view(dtype)[:, 0]
    items = [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]
    (meter or CpuMeter(near_zero)).measure(items, out, inverse_scale)
    return out


def wrong(cases: dict[str, torch.Tensor], near_zero: float = NEAR_ZERO, signed: bool = False) -> dict[str, list[str]]:
    found = measured(*cases.values(), near_zero=near_zero, signed=signed)
    compared = {
        name: differences(got, reference.measure(tensor, near_zero, signed=signed))
        for (name, tensor), got in zip(cases.items(), found, strict=True)
    }
    return {name: problems for name, problems in compared.items() if problems}


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_sizes_and_addresses(dtype: torch.dtype) -> None:
    assert wrong(of_dtype(dtype)) == {}


def test_views_complex_sparse_and_eight_bit() -> None:
    assert wrong(views()) == {}
    assert wrong(eight_bit()) == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [cpu.CONVERT + 1, cpu.BLOCK - 1, cpu.BLOCK, cpu.BLOCK + 1, 3 * cpu.BLOCK + 1500])
def test_sizes_around_blocks(dtype: torch.dtype, size: int) -> None:
    ordinary = normal(size, dtype)
    assert wrong({"ordinary": ordinary, "specials": with_specials(ordinary)}) == {}


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1.7e-5, 12345.678])
def test_a_constant_does_not_accumulate_rounding(value: float) -> None:
    assert wrong({"constant": torch.full((cpu.BLOCK + 777,), value)}) == {}


@pytest.mark.parametrize("near_zero", [1e-3, 1e-38, 2.0**-10, 7e4, 1e300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_thresholds(dtype: torch.dtype, near_zero: float) -> None:
    values = torch.tensor([near_zero], dtype=torch.float64).to(dtype)
    around = torch.cat([torch.nextafter(values, values * 0) if dtype.itemsize > 2 else values, values, values * 2])
    assert wrong({"around": around, "normal": normal(2000, dtype)}, near_zero) == {}


@given(st.lists(st.floats(width=32), max_size=50), st.integers(0, 3))
def test_any_float32(values: list[float], offset: int) -> None:
    tensor = torch.tensor([1.0] * offset + values)[offset:]
    assert wrong({"it": tensor}) == {}


@given(st.lists(st.floats(), max_size=50))
def test_any_float64(values: list[float]) -> None:
    assert wrong({"it": torch.tensor(values, dtype=torch.float64)}) == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_signed_extremes(dtype: torch.dtype) -> None:
    large = -normal(3 * cpu.BLOCK + 1500, dtype).abs() - 1
    cases = {"large": large, "specials": with_specials(large), "one NaN": large[:1] * NAN}
    assert wrong(of_dtype(dtype) | cases, signed=True) == {}
    assert wrong(views() | eight_bit(), signed=True) == {}


SMALL_ONES = [*views().values(), *eight_bit().values()]
SPECIALS = [0.0, -0.0, 1e-9, -1e-42, 60000.0, 1e30, NAN, INF, -INF]


@st.composite
def small_tensors(draw: st.DrawFn) -> torch.Tensor:
    """Of any dtype, off 16 bytes or not, ordinary or with a few elements that are not."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(SMALL_ONES))
    size = draw(st.one_of(st.integers(0, 40), st.sampled_from([256, 1000, batches.SMALL, batches.SMALL + 1])))
    offset = draw(st.integers(0, 3))
    tensor = normal(size + offset, draw(st.sampled_from(DTYPES)), draw(st.sampled_from([1.0, 1e-4, 1e-9])))[offset:]
    if size:
        for special in draw(st.lists(st.sampled_from(SPECIALS), max_size=3)):
            tensor[draw(st.integers(0, size - 1)) :: 5] = special
    return tensor


@given(st.lists(small_tensors(), max_size=25), st.sampled_from([None, 2.0**-16, -1 / 3000, 0.0]), st.booleans())
def test_small_tensors_together_and_each_alone(
    tensors: list[torch.Tensor], inverse_scale: float | None, signed: bool
) -> None:
    """Right against the oracle, and the same bits whatever is measured beside a tensor."""
    scale = None if inverse_scale is None else torch.tensor(inverse_scale)
    inverse_scale = None if scale is None else scale.item()
    meter = CpuMeter()
    together = measured(*tensors, inverse_scale=inverse_scale, meter=meter, signed=signed)
    for tensor, found in zip(tensors, together, strict=True):
        assert differences(found, reference.measure(tensor, NEAR_ZERO, scale, signed)) == []
        alone = measured(tensor, inverse_scale=inverse_scale, meter=meter, signed=signed)
        assert alone[0].tobytes() == found.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_small_tensors_than_a_batch_holds(dtype: torch.dtype) -> None:
    values = normal(batches.TENSORS + 7 + 9 * batches.SMALL, dtype)
    values[3::701] = NAN
    single, rest = values[: batches.TENSORS + 7], values[batches.TENSORS + 7 :]
    tensors = [*single.split(1), *rest.split(batches.SMALL)]
    assert wrong({str(index): tensor for index, tensor in enumerate(tensors)}) == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_inference_mode(dtype: torch.dtype) -> None:
    """Inside it and outside, by a meter that was made on the other side."""
    outside = CpuMeter()
    with torch.inference_mode():
        inside = CpuMeter()
        tensors = [normal(size, dtype) for size in (1000, 50_000)]
        found = measured(*tensors, meter=outside)
    assert measured(*tensors, meter=inside).tobytes() == found.tobytes()
    assert [differences(got, reference.measure(it)) for got, it in zip(found, tensors, strict=True)] == [[], []]


def test_more_sums_than_float32_holds() -> None:
    """Counts and sums go beyond 2^24 across blocks."""
    size = 2**24 + 3
    found = measured(torch.ones(1).expand(size))[0]
    assert (found["count"], found["sum"], found["sum_sq"]) == (size, size, size)


DIGEST = """
import hashlib, sys
import numpy as np, torch
from tests.kernels.test_cpu import measured, digested
torch.set_num_threads(int(sys.argv[1]))
print(digested())
assert torch.get_num_threads() == int(sys.argv[1])
"""


def digested() -> str:
    tensors = [normal(size, dtype) for dtype in DTYPES for size in (1000, 40_000, 700_001)]
    return hashlib.sha256(measured(*tensors).tobytes()).hexdigest()


def test_the_same_bits_for_every_thread_count() -> None:
    def run(threads: str) -> str:
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        path = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
        environment = {**os.environ, **dict.fromkeys(variables, threads), "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, threads], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("2" if torch.get_num_threads() == 1 else "1") == digested()


def test_nothing_around_is_touched() -> None:
    gradient = with_specials(normal(5000, torch.float32))
    before, version = gradient.clone(), gradient._version
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    measured(gradient, gradient[::2], gradient.bfloat16())
    assert torch.equal(gradient.view(torch.int32), before.view(torch.int32))
    assert gradient._version == version
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert gradient.untyped_storage().resizable()


def test_a_user_who_flushes_denormals_or_raises_on_underflow_gets_the_same_counts() -> None:
    tensor = torch.cat([torch.full((1000,), 1e-42), torch.zeros(10), torch.tensor([1e30, INF, NAN])])
    ordinary = normal(3000, torch.float32, 1e-4)
    expected = [reference.measure(tensor), reference.measure(ordinary)]
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="raise"):
            found = measured(tensor, ordinary)
    finally:
        torch.set_flush_denormal(False)
    assert differences(found[0], expected[0]) == []
    assert differences(found[1], expected[1]) == []


def peak_of_second(tensors: list[torch.Tensor]) -> int:
    """Bytes that a meter takes at most to measure the tensors for the second time."""
    meter, out = CpuMeter(), np.zeros(len(tensors), ENTRY_DTYPE)
    items = [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]
    meter.measure(items, out)
    tracemalloc.start()
    try:
        meter.measure(items, out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_later_steps_allocate_almost_nothing() -> None:
    assert peak_of_second([normal(300_000, dtype) for dtype in DTYPES]) < 50_000


def test_memory_is_bounded_whatever_is_measured() -> None:
    assert peak_of_second([with_specials(normal(20 * cpu.BLOCK, torch.float32))]) < 7 * 2**20
    assert peak_of_second([*normal(8 * batches.TENSORS, torch.bfloat16).split(1)]) < 2**19
