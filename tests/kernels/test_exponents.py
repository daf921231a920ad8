"""The exponent histogram on the host, and its kernels in the interpreter, in a process of their own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import exponents
from gradhealth_kernels.elements import BITS, Unmeasurable, prepare
from gradhealth_kernels.exponent_table import BINS, EDGES, Counts
from gradhealth_kernels.exponents import ExponentHistograms, ExponentMeter, chunk_of
from tests.triton_processes import interpret, needs_triton

from .cases import DTYPES, eight_bit, normal, of_dtype, views, with_specials
from .waiting import no_waiting

CPU = torch.device("cpu")
GARBAGE = -(2**51) - 7
INVERSES = (1 / 3, 2.0**-20, 2.0**20, 3e-39, math.inf, math.nan)


def oracle(tensor: torch.Tensor, inverse: float | None = None) -> Counts:
    """Counts ``[bin]`` by :func:`numpy.frexp`, which takes |x| = m 2^e with m in [0.5, 1)."""
    dense = tensor.detach().to_dense().resolve_conj().resolve_neg()
    parts = torch.view_as_real(dense) if dense.is_complex() else dense
    values = (parts if parts.dtype is torch.float64 else parts.float()).numpy().ravel()
    with np.errstate(all="ignore"):
        if inverse is not None:
            values = values * values.dtype.type(np.float32(inverse))
        counted = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    _, exponent = np.frexp(counted)
    counts: Counts = np.bincount(np.clip(exponent - 1 + 127, 0, BINS - 1), minlength=BINS)
    return counts


def measured(meter: Any, tensors: list[torch.Tensor], inverse: float | None = None) -> Counts:
    out = torch.full((len(tensors), BINS), GARBAGE)
    items = [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]
    meter.measure(items, out, None if inverse is None else torch.tensor([inverse]))
    counts: Counts = out.numpy()
    return counts


def wrong(meter: Any, cases: dict[str, torch.Tensor], inverse: float | None = None) -> dict[str, str]:
    """What is not as the oracle has it: {case: bins and by how much}."""
    found = measured(meter, list(cases.values()), inverse)
    problems = {}
    for (name, tensor), got in zip(cases.items(), found, strict=True):
        difference = got - oracle(tensor, inverse)
        if difference.any():
            problems[name] = str({int(b): int(difference[b]) for b in np.flatnonzero(difference)})
    return problems


def wrong_on_the_host(cases: dict[str, torch.Tensor], inverse: float | None = None) -> dict[str, str]:
    return wrong(ExponentMeter(CPU, len(cases)), cases, inverse)


def patterns(dtype: torch.dtype) -> torch.Tensor:
    """Every value of a dtype of two bytes."""
    return torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype)


def edges(dtype: torch.dtype) -> torch.Tensor:
    """Powers of two of either sign, each with the values beside it."""
    powers = torch.tensor([math.ldexp(1.0, exponent) for exponent in range(-152, 132)], dtype=torch.float64).to(dtype)
    bits = powers.view(BITS[dtype.itemsize])
    values = torch.cat([bits - 1, bits, bits + 1]).view(dtype)
    values = values[~values.isnan()]
    return torch.cat([values, -values])


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the host take the path of a device without Triton."""
    monkeypatch.setattr(torch.Tensor, "is_cpu", property(lambda tensor: False), raising=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_sizes_and_addresses(dtype: torch.dtype) -> None:
    assert wrong_on_the_host(of_dtype(dtype)) == {}


def test_views_complex_sparse_and_eight_bit() -> None:
    assert wrong_on_the_host(views() | eight_bit()) == {}


@pytest.mark.parametrize("inverse", INVERSES)
def test_loss_scaled_values(inverse: float) -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()}
    assert wrong_on_the_host(cases | views() | eight_bit(), inverse) == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_value_of_two_bytes(dtype: torch.dtype) -> None:
    cases = {"as is": patterns(dtype)}
    assert wrong_on_the_host(cases) == {}
    assert wrong_on_the_host(cases, 1 / 3) == {}
    assert oracle(patterns(torch.float16))[[127 - 25, 127 - 24, 127 + 15, 127 + 16]].tolist() == [0, 2, 2048, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bins_are_half_open_and_begin_at_powers_of_two(dtype: torch.dtype) -> None:
    for value in edges(dtype):
        counts = measured(ExponentMeter(CPU, 1), [value])[0]
        magnitude = abs(value.item())
        if magnitude in (0.0, math.inf):
            assert not counts.any()
            continue
        (place,) = np.flatnonzero(counts)
        assert counts[place] == 1
        assert EDGES[place] <= magnitude < EDGES[place + 1]


@pytest.mark.usefixtures("elsewhere")
def test_the_path_of_a_device_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exponents, "PIECE", 1000)
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()}
    for inverse in (None, 1 / 3):
        assert wrong_on_the_host(cases | views() | eight_bit(), inverse) == {}


def test_tensors_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exponents, "HOST_PIECE", 1000)
    assert wrong_on_the_host({str(dtype): with_specials(normal(5001, dtype)) for dtype in DTYPES}) == {}


def test_flushing_subnormals_to_zero_changes_nothing() -> None:
    cases = {str(dtype): normal(3000, dtype, 1e-39) for dtype in (torch.float32, torch.bfloat16)}
    cases["float16"] = normal(3000, torch.float16, 1e-6)
    expected = [oracle(tensor) for tensor in cases.values()]
    assert all(counts.any() for counts in expected)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormals")
    try:
        assert (measured(ExponentMeter(CPU, 3), list(cases.values())) == expected).all()
    finally:
        torch.set_flush_denormal(False)


@given(st.binary(max_size=160), st.integers(0, 20), st.sampled_from(DTYPES), st.sampled_from([None, 0.3]))
def test_parts_add_up_to_the_whole(content: bytes, cut: int, dtype: torch.dtype, inverse: float | None) -> None:
    content = content[: len(content) // 8 * 8]
    whole = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
    parts = [whole[:cut].clone(), whole[cut:].clone(), whole]
    first, second, both = measured(ExponentMeter(CPU, 3), parts, inverse)
    assert (first + second == both).all()
    assert (both == oracle(whole, inverse)).all()
    if inverse is None:
        assert both.sum() == (whole.isfinite() & (whole != 0)).sum()


def test_absent_tensors_have_empty_bins_and_others_keep_their_rows() -> None:
    meter = ExponentMeter(CPU, 3)
    out = torch.full((3, BINS), GARBAGE)
    meter.measure([(2, torch.tensor([1.0, -3.0]), 5)], out)
    assert out.nonzero().tolist() == [[2, 127], [2, 128]]
    meter.measure([], out)
    assert not out.any()


def test_it_works_under_inference_mode_and_leaves_tensors_resizable() -> None:
    tensor, out = torch.ones(3), torch.empty((2, BINS), dtype=torch.int64)
    with torch.inference_mode():
        ExponentMeter(CPU, 2).measure([(0, tensor, 0), (1, torch.ones(5).bfloat16(), 0)], out)
    assert out[:, 127].tolist() == [3, 5]
    tensor.resize_(1000)


@pytest.mark.parametrize(
    ("out", "text"),
    [
        (torch.empty((3, BINS), dtype=torch.int64), r"shape \(2, 256\) .* got torch.int64 of shape \(3, 256\)"),
        (torch.empty((2, BINS), dtype=torch.int32), "int64 tensor .* got torch.int32"),
        (torch.empty((BINS, 2), dtype=torch.int64).T, r"contiguous .* strides \(1, 2\); pass one row per tensor"),
    ],
)
def test_misuse_is_told(out: torch.Tensor, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ExponentMeter(CPU, 2).measure([], out)
    with pytest.raises(Unmeasurable, match="int64"):
        prepare(torch.arange(3))


def test_the_door_takes_tensors_as_they_come() -> None:
    histograms = ExponentHistograms(4)
    last = normal(50, torch.float64)
    tensors = [normal(900, torch.float32).reshape(30, 30)[:, ::2], None, torch.arange(3), last]
    taken = histograms.measure(tensors)
    expected = [oracle(t) if t is not None and t.is_floating_point() else np.zeros(BINS) for t in tensors]
    last.zero_()
    assert taken.ready()
    assert (taken.counts() == np.stack(expected)).all()
    scaled = histograms.measure(tensors, torch.tensor(0.25)).counts()
    assert (scaled[0, :-2] == taken.counts()[0, 2:]).all()
    assert not histograms.measure([None] * 4).counts().any()
    with pytest.raises(ValueError, match="expected 4 tensors, got 1; pass None"):
        histograms.measure(tensors[:1])


@given(st.integers(0, 2**40), st.integers(1, 10_000))
def test_chunks_keep_programs_busy_and_are_few(elements: int, programs: int) -> None:
    size = chunk_of(elements, programs)
    assert size >= 2**14
    assert size & (size - 1) == 0
    assert -(-elements // size) <= programs
    assert size == 2**14 or 2 * elements > size * programs


@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted_exponents.py"))


def on_cuda(meter: ExponentMeter, tensors: list[torch.Tensor], inverse_scale: torch.Tensor | None) -> torch.Tensor:
    out = torch.full((len(tensors), BINS), GARBAGE, device="cuda")
    meter.measure([(index, *prepare(tensor)) for index, tensor in enumerate(tensors)], out, inverse_scale)
    return out


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_device_first_plain_then_fused() -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()}
    cases |= {f"long {dtype}": normal(3_000_001, dtype) for dtype in DTYPES} | eight_bit() | views()
    tensors = [tensor.detach().cuda() for tensor in cases.values()]
    meter = ExponentMeter(torch.device("cuda", torch.cuda.current_device()), len(tensors))
    for inverse in (None, 1 / 3):
        expected = np.stack([oracle(tensor, inverse) for tensor in cases.values()])
        for settled in (False, True, True):
            scale = None if inverse is None else torch.tensor([inverse], device="cuda")
            assert (on_cuda(meter, tensors, scale).cpu().numpy() == expected).all()
            torch.cuda.synchronize()
            assert ((inverse is not None) in meter._proof.settled) == settled


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device() -> None:
    tensors = [torch.ones(100_000, device="cuda", dtype=dtype) for dtype in DTYPES]
    meter = ExponentMeter(torch.device("cuda", torch.cuda.current_device()), len(tensors))
    with no_waiting():
        for inverse_scale in (None, torch.ones(1, device="cuda")) * 3:
            on_cuda(meter, tensors, inverse_scale)
