"""The fused kernels in Triton's interpreter, on CPU tensors. Run by ``test_fused.py`` in a process of its own.

TRITON_INTERPRET must be set before Triton is first imported, so this is no test module of the main process. The
interpreter takes 0.1 s per program, so launches are few and hold many tensors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels import device, launch, reference
from gradhealth_kernels.device import CheckedMeter
from gradhealth_kernels.elements import OF_ZERO, prepare
from gradhealth_kernels.launch import DeviceRing, Taken
from gradhealth_kernels.pair import MERGE_CONSTANTS, WORDS, FusedPair, chunk_constants
from gradhealth_kernels.statistics import ENTRIES, ENTRY_DTYPE, NEAR_ZERO, Entries, merge, neutral

from .cases import DTYPES, differences, eight_bit, normal, of_dtype, views, with_specials

CPU = torch.device("cpu")
CHUNK = 4096
GARBAGE = -(2**51) - 7  # a NaN when read as float64


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New buffers hold garbage, and the interpreter's NumPy may overflow where a GPU would, silently."""
    empty = torch.empty

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        made = empty(*arguments, **options)
        return made.fill_(GARBAGE) if made.dtype is torch.int64 else made

    monkeypatch.setattr(torch, "empty", poisoned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def measured(
    pair: FusedPair, tensors: Sequence[torch.Tensor | None], inverse_scale: torch.Tensor | None = None
) -> Entries:
    out = torch.full((len(tensors), WORDS), GARBAGE)
    items = [(i, *prepare(tensor)) for i, tensor in enumerate(tensors) if tensor is not None]
    pair.measure(items, out, inverse_scale)
    entries: Entries = out.numpy().view(ENTRY_DTYPE)[:, 0]
    return entries


def wrong(
    cases: dict[str, torch.Tensor], near_zero: float = NEAR_ZERO, inverse_scale: torch.Tensor | None = None
) -> dict[str, list[str]]:
    found = measured(FusedPair(CPU, len(cases), near_zero, CHUNK), list(cases.values()), inverse_scale)
    compared = {
        name: differences(got, reference.measure(tensor, near_zero, inverse_scale))
        for (name, tensor), got in zip(cases.items(), found, strict=True)
    }
    return {name: problems for name, problems in compared.items() if problems}


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_sizes_and_addresses(dtype: torch.dtype) -> None:
    assert wrong(of_dtype(dtype)) == {}


def test_mixed_dtypes_views_complex_sparse_and_eight_bit() -> None:
    assert wrong(views() | eight_bit()) == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_scaled_values(dtype: torch.dtype) -> None:
    cases = of_dtype(dtype)
    assert wrong(cases, inverse_scale=torch.tensor(1 / 3)) == {}
    fewer = {name: cases[name] for name in ("1025 elements", "misaligned by 3", "specials", "the largest", "subnormal")}
    for inverse in (2.0**-20, 2.0**20, 3e-39, math.inf, math.nan):
        assert wrong(fewer, inverse_scale=torch.tensor([inverse])) == {}, inverse


def test_loss_scaled_views_and_eight_bit() -> None:
    assert wrong(views() | eight_bit(), inverse_scale=torch.tensor(1 / 3000)) == {}


def test_steps_with_and_without_a_scale_share_tables() -> None:
    pair = FusedPair(CPU, 2, NEAR_ZERO, CHUNK)
    tensors = [normal(5000, torch.float16), normal(900, torch.float64)]
    for inverse_scale in (None, torch.tensor(0.1), None):
        for tensor, got in zip(tensors, measured(pair, tensors, inverse_scale), strict=True):
            assert differences(got, reference.measure(tensor, NEAR_ZERO, inverse_scale)) == []


def test_another_threshold() -> None:
    assert wrong({str(dtype): normal(3000, dtype) for dtype in DTYPES}, near_zero=1e-3) == {}


def test_steps_with_absent_and_changed_tensors_and_the_same_bits_each_time() -> None:
    pair = FusedPair(CPU, 4, NEAR_ZERO, CHUNK)
    first = [normal(5000, torch.float32), None, normal(5000, torch.bfloat16), with_specials(normal(900, torch.float32))]
    second = [None, normal(40, torch.float16), normal(6000, torch.bfloat16), None]
    runs = [measured(pair, tensors) for tensors in (first, second, first)]
    for tensors, found in zip((first, second), runs, strict=False):
        for tensor, got in zip(tensors, found, strict=True):
            assert differences(got, reference.measure(torch.empty(0) if tensor is None else tensor)) == []
    assert runs[2].tobytes() == runs[0].tobytes()
    assert (measured(pair, [None] * 4) == neutral((4,))).all()


def test_many_chunks_merge_as_the_table_says() -> None:
    generator = np.random.default_rng(0)
    chunks = neutral((200,))
    for entry in ENTRIES:
        chunks[entry.name] = generator.integers(0, 2**40, 200)
    starts, stops = np.array([70, 3, 0]), np.array([200, 3, 69])
    expected = merge(chunks, starts, stops)
    for name in OF_ZERO:
        expected[name][1] += 5
    words = torch.from_numpy(chunks.view(np.int64).reshape(200, WORDS))
    words[69] = GARBAGE
    table = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 5, 0]])
    out = torch.full((3, WORDS), GARBAGE)
    bounds = torch.from_numpy(np.array([starts, stops], np.int32))
    kernels: Any = FusedPair(CPU, 3, NEAR_ZERO)._kernels
    kernels.tensor_entries[(3,)](table, bounds[0], bounds[1], words, out, 3, **MERGE_CONSTANTS)
    assert (out.numpy().view(ENTRY_DTYPE)[:, 0] == expected).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_beyond_2_to_the_31_elements(dtype: torch.dtype) -> None:
    """The last chunk of a tensor of 6e9 elements, of which only that chunk has memory."""
    tail = normal(1500, dtype)
    chunk = 6 * 10**9 // CHUNK
    table = torch.tensor([[tail.data_ptr() - chunk * CHUNK * dtype.itemsize], [chunk * CHUNK + len(tail)], [0]])
    places = torch.tensor([0, chunk], dtype=torch.int32)
    words = torch.full((1, WORDS), GARBAGE)
    pair: Any = FusedPair(CPU, 1, NEAR_ZERO)
    constants = pair._constants(dtype, False)
    pair._kernels.chunk_entries[(1,)](table, places[:1], places[1:], words, None, 1, 0, CHUNK=CHUNK, **constants)
    assert differences(words.numpy().view(ENTRY_DTYPE)[0, 0], reference.measure(tail)) == []


def test_the_kernels_prove_themselves_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "meter_for", CheckedMeter)
    monkeypatch.setattr(device, "SAMPLE", 5001)
    ring = DeviceRing(CPU, 2, 2, NEAR_ZERO)
    items = [(0, normal(2000, torch.float32), 0), (1, normal(500, torch.bfloat16), 3)]
    meter: Any = ring._meter
    ring.measure(0, items)
    assert not meter._settled
    ring.measure(1, items)
    assert isinstance(meter._fused, FusedPair)
    plain, fused = Taken(neutral((2, 2)), [ring.copy(2)]).entries()
    for index in range(2):
        assert differences(fused[index], plain[index]) == []


def test_the_loss_scaled_kernels_prove_themselves_when_the_first_scale_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SAMPLE", 5001)
    meter: Any = CheckedMeter(CPU, 1, NEAR_ZERO)
    tensor, inverse_scale = normal(2000, torch.bfloat16), torch.tensor(1e-3)
    out = torch.full((1, WORDS), GARBAGE)
    for scale, settled in ((None, set()), (None, {False}), (inverse_scale, {False}), (inverse_scale, {False, True})):
        meter.measure([(0, tensor, 0)], out, scale)
        assert meter._settled == settled
        assert differences(out.numpy().view(ENTRY_DTYPE)[0, 0], reference.measure(tensor, NEAR_ZERO, scale)) == []


def test_kernels_that_are_wrong_or_fail_are_given_up_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SAMPLE", 5001)
    right = chunk_constants

    def disagree(*arguments: Any) -> dict[str, Any]:
        return right(*arguments) | {"SATURATED": 1}

    def fail(*arguments: Any) -> dict[str, Any]:
        raise RuntimeError("no such device")

    for constants, text in ((disagree, "disagree with plain torch"), (fail, r"RuntimeError: no such device")):
        monkeypatch.setattr("gradhealth_kernels.pair.chunk_constants", constants)
        meter = CheckedMeter(CPU, 1, NEAR_ZERO)
        tensor = normal(100, torch.float32)
        out = torch.full((1, WORDS), GARBAGE)
        with pytest.warns(RuntimeWarning, match=text) as caught:
            for _ in range(3):
                meter.measure([(0, tensor, 0)], out)
        assert len([warning for warning in caught if "tb_gradhealth" in str(warning.message)]) == 1
        assert differences(out.numpy().view(ENTRY_DTYPE)[0, 0], reference.measure(tensor)) == []


def test_poison_is_not_a_number() -> None:
    assert np.isnan(np.array([GARBAGE]).view(np.float64)).all()
