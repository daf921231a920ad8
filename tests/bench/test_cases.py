"""The registry's cases have the sizes that were published, and the values and addresses that their names say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bench.kernels.cases import CASES, POISONED, Case
from bench.kernels.shapes import Shapes, gpt, llama_3_8b, many, resnet_50
from gradhealth_kernels import reference
from gradhealth_kernels.chunks import LARGEST

from .tiny import TINY

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("shapes", "tensors", "elements"),
    [
        (llama_3_8b(), 291, 8_030_261_248),
        (gpt(width=768, layers=12, context=1024), 148, 124_439_808),
        (resnet_50(), 161, 25_557_032),
    ],
    ids=("Llama 3 8B", "GPT-2", "ResNet-50"),
)
def test_models_have_as_many_parameters_as_published(shapes: Shapes, tensors: int, elements: int) -> None:
    sizes = {name: math.prod(shape) for name, shape in shapes}
    assert len(sizes) == tensors
    assert sum(sizes.values()) == elements


def test_names_are_unique_and_every_kind_is_there() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    by_name = {case.name: case for case in CASES}
    assert by_name["llama-8b-bf16"].bytes == 16_060_522_496
    assert by_name["llama-8b-fp32"].bytes == 32_121_044_992
    assert by_name["gpt-1.3b-fp32"].elements == pytest.approx(1.3e9, rel=0.02)
    assert by_name["one-500m-fp32"].sizes == (500_000_000,)
    assert by_name["small-10000-fp32"].sizes == (1024,) * 10_000
    assert {case.name for case in CASES if "cpu" in case.devices} == {
        *("one-100m-fp32", "small-500-fp32", "small-500-bf16", "gpt2-fp32", "resnet50-fp32"),
        *("misaligned-bf16", "nonfinite-fp32", "nonfinite-bf16"),
    }


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_values_are_the_same_each_time_and_no_count_is_zero(case: Case) -> None:
    first, second = case.tensors(CPU), case.tensors(CPU)
    for shape, one, other in zip(case.shapes, first, second, strict=True):
        assert one.shape == shape
        assert one.dtype is case.dtype
        assert one.is_contiguous()
        assert torch.equal(one.view(-1).view(torch.uint8), other.view(-1).view(torch.uint8))
        entries = reference.measure(one)
        assert 0 < entries["zero"] < entries["near_zero"] < one.numel()


@pytest.mark.parametrize("case", [case for case in TINY if case.content == "poisoned"], ids=lambda case: case.name)
def test_every_rare_kind_is_there_and_saturated_is_not_infinite_alone(case: Case) -> None:
    entries = [reference.measure(x) for x in case.tensors(CPU)]
    for name in ("nan", "pos_inf", "neg_inf"):
        assert sum(int(of_one[name]) for of_one in entries) == 1
    assert sum(int(of_one["saturated"]) for of_one in entries) == 3


def test_misaligned_gradients_begin_at_odd_elements() -> None:
    tensors = replace(TINY[2], parameters=many(9, 40)).tensors(CPU)
    offsets = [x.data_ptr() % 16 // x.itemsize for x in tensors]
    assert offsets == [1, 3, 5, 7, 1, 3, 5, 7, 1]
    assert all(x.data_ptr() % 16 == 0 for x in TINY[1].tensors(CPU))


def test_one_chunk_in_a_hundred_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    assert POISONED == 100 * LARGEST
    monkeypatch.setattr("bench.kernels.cases.LARGEST", 1024)
    monkeypatch.setattr("bench.kernels.cases.POISONED", 102_400)
    case = Case("poisoned", "", many(1, 3 * 102_400), torch.bfloat16, content="poisoned")
    (tensor,) = case.tensors(CPU)
    assert int((tensor.abs() == torch.finfo(torch.bfloat16).max).sum()) == 1
    chunks = tensor.view(-1, 1024)
    assert int((~chunks.isfinite()).any(1).sum()) * 100 == len(chunks)
    entries = reference.measure(tensor)
    assert [int(entries[name]) for name in ("nan", "pos_inf", "neg_inf")] == [1, 1, 1]
