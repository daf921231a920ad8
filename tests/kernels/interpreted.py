"""The fused kernels in Triton's interpreter, on CPU tensors. Run by ``test_fused.py``.

The interpreter takes 0.05 s per program, so launches are few and hold many tensors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels import constants, reference
from gradhealth_kernels.constants import READ
from gradhealth_kernels.elements import OF_ZERO, prepare
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import (
    ENTRY_DTYPE,
    NEAR_ZERO,
    SIGNED_DTYPE,
    Entries,
    merge,
    neutral,
    table,
)

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


def garbage(tensors: int, signed: bool = False) -> torch.Tensor:
    return torch.full((tensors, len(table(signed))), GARBAGE)


def records(out: torch.Tensor) -> Entries:
    """Words ``[tensor, entry]`` as records."""
    dtype = SIGNED_DTYPE if out.shape[1] == len(table(True)) else ENTRY_DTYPE
    entries: Entries = out.numpy().view(dtype)[:, 0]
    return entries


def measured(
    pair: FusedPair,
    tensors: Sequence[torch.Tensor | None],
    inverse_scale: torch.Tensor | None = None,
    signed: bool = False,
) -> Entries:
    out = garbage(len(tensors), signed)
    items = [(i, *prepare(tensor)) for i, tensor in enumerate(tensors) if tensor is not None]
    pair.measure(items, out, inverse_scale)
    return records(out)


def wrong(
    cases: dict[str, torch.Tensor],
    near_zero: float = NEAR_ZERO,
    inverse_scale: torch.Tensor | None = None,
    signed: bool = False,
    chunk: int = CHUNK,
) -> dict[str, list[str]]:
    pair = FusedPair(CPU, len(cases), near_zero, chunk, signed)
    found = measured(pair, list(cases.values()), inverse_scale, signed)
    compared = {
        name: differences(got, reference.measure(tensor, near_zero, inverse_scale, signed))
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
    fewer = {name: cases[name] for name in ("misaligned by 3", "specials")}
    for inverse in (3e-39, math.inf, math.nan):  # other scales are among the generated cases
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


@pytest.mark.parametrize("signed", [False, True])
def test_many_chunks_merge_as_the_table_says(signed: bool) -> None:
    generator = np.random.default_rng(0)
    chunks = neutral((200,), signed)
    for entry in table(signed):
        # Extremes above zero on one side and below on the other, so that a wrong neutral element shows.
        sign = {"minimum": 1, "maximum": -1}.get(entry.name, 1)
        chunks[entry.name] = sign * generator.integers(1, 2**40, 200)
    starts, stops = np.array([70, 3, 0]), np.array([200, 3, 69])
    expected = merge(chunks, starts, stops)
    for name in OF_ZERO:
        expected[name][1] += 5
    if signed:
        expected["minimum"][1] = expected["maximum"][1] = 0.0
    words = torch.from_numpy(chunks.view(np.int64).reshape(200, len(table(signed))))
    words[69] = GARBAGE
    tensors = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 5, 0]])
    out = garbage(3, signed)
    bounds = torch.from_numpy(np.array([starts, stops], np.int32))
    kernels: Any = FusedPair(CPU, 3, NEAR_ZERO)._kernels
    kernels.tensor_entries[(3,)](tensors, bounds[0], bounds[1], words, out, 3, **constants.of_merge(signed))
    assert (records(out) == expected).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_beyond_2_to_the_31_elements(dtype: torch.dtype) -> None:
    """The last chunk of a tensor of 6e9 elements, of which only that chunk has memory."""
    tail = normal(1500, dtype)
    chunk = 6 * 10**9 // CHUNK
    tensors = torch.tensor([[tail.data_ptr() - chunk * CHUNK * dtype.itemsize], [chunk * CHUNK + len(tail)], [0]])
    places = torch.tensor([0, chunk], dtype=torch.int32)
    words = garbage(1)
    pair: Any = FusedPair(CPU, 1, NEAR_ZERO)
    made = pair._constants(dtype, READ)
    pair._kernels.chunk_entries[(1,)](tensors, places[:1], places[1:], words, None, 1, 0, CHUNK, **made)
    assert differences(records(words)[0], reference.measure(tail)) == []


def test_poison_is_not_a_number() -> None:
    assert np.isnan(np.array([GARBAGE]).view(np.float64)).all()
