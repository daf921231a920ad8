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
from gradhealth_kernels.cpu import CpuMeter
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.statistics import ENTRY_DTYPE, NEAR_ZERO, Entries

from .cases import DTYPES, INF, NAN, differences, eight_bit, normal, of_dtype, views, with_specials

ROOT = Path(__file__).parents[2]


def measured(*tensors: torch.Tensor, near_zero: float = NEAR_ZERO) -> Entries:
    """Entries ``[tensor]``, written over garbage."""
    out: Entries = np.full((len(tensors), ENTRY_DTYPE.itemsize), 0xFF, np.uint8).view(ENTRY_DTYPE)[:, 0]
    CpuMeter(near_zero).measure([(index, *prepare(tensor)) for index, tensor in enumerate(tensors)], out)
    return out


def wrong(cases: dict[str, torch.Tensor], near_zero: float = NEAR_ZERO) -> dict[str, list[str]]:
    found = measured(*cases.values(), near_zero=near_zero)
    compared = {
        name: differences(got, reference.measure(tensor, near_zero))
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

    assert run("1") == run("2") == digested()


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


def test_later_steps_allocate_almost_nothing() -> None:
    tensors = [normal(300_000, dtype) for dtype in DTYPES]
    meter, out = CpuMeter(), np.zeros(len(tensors), ENTRY_DTYPE)
    items = [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]
    meter.measure(items, out)
    tracemalloc.start()
    try:
        meter.measure(items, out)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
