"""The generated cases: every value and every pair of values is there, and tensors are what their names say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from gradhealth_kernels import reference
from gradhealth_kernels.elements import prepare
from tests.triton_processes import interpret, needs_triton

from .contents import CONTENTS
from .generated import DTYPES, LAYOUTS, OFFSETS, SETTINGS, SIZES, Plan, Setting, launches

CPU = torch.device("cpu")
CHUNK = Setting().chunk
DIMENSIONS = {
    "dtype": DTYPES,
    "size": SIZES,
    "offset": OFFSETS,
    "layout": LAYOUTS,
    "content": tuple(CONTENTS),
    "setting": SETTINGS,
}


def made(seed: int, number: int) -> dict[str, torch.Tensor]:
    return {name: tensor for _, cases in launches(seed, range(number), CPU) for name, tensor in cases.items()}


def content(name: str, dtype: torch.dtype = torch.float32, setting: Setting = SETTINGS[0]) -> torch.Tensor:
    """A tensor of that content, 2 to 3 chunks long."""
    return Plan(0, 0, dtype, "chunks", 0, "contiguous", name, setting).tensor(CPU)


@pytest.mark.parametrize("seed", range(3))
def test_150_cases_hold_every_value_of_each_dimension(seed: int) -> None:
    plans = [Plan.of(seed, index) for index in range(150)]
    for name, values in DIMENSIONS.items():
        assert {getattr(plan, name) for plan in plans} == set(values), name


def test_150_tensors_have_every_dtype_layout_address_and_number_of_chunks() -> None:
    tensors = list(made(0, 150).values())
    assert {tensor.dtype for tensor in tensors} == set(DTYPES)
    read = [(tensor, prepare(tensor)[0]) for tensor in tensors]
    in_place = [
        tensor for tensor, dense in read if tensor.layout is torch.strided and tensor.data_ptr() == dense.data_ptr()
    ]
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        addresses = {tensor.data_ptr() % 16 for tensor in in_place if tensor.dtype is dtype and tensor.numel()}
        assert len(addresses) >= min(4, 16 // dtype.itemsize), dtype
    assert any(not tensor.is_contiguous() for tensor in in_place)
    assert any(0 in tensor.stride() for tensor in tensors if tensor.layout is torch.strided and tensor.numel() > 1)
    sparse = [tensor for tensor in tensors if tensor.layout is torch.sparse_coo]
    assert any(tensor.coalesce()._nnz() < tensor._nnz() for tensor in sparse)
    assert {-(-dense.numel() // CHUNK) for _, dense in read} >= {0, 1, 2, 3}
    assert {CHUNK - 1, CHUNK, CHUNK + 1} <= {dense.numel() for _, dense in read}


@pytest.mark.parametrize(("one", "other"), list(combinations(DIMENSIONS, 2)))
def test_as_many_cases_as_there_are_pairs_hold_every_pair(one: str, other: str) -> None:
    lengths = len(DIMENSIONS[one]), len(DIMENSIONS[other])
    plans = [Plan.of(7, index) for index in range(lengths[0] * lengths[1])]
    expected = {(a, b) for a in DIMENSIONS[one] for b in DIMENSIONS[other]}
    if "layout" in (one, other):
        # Some sparse ones are replaced, see _oracle_has_sparse.
        expected = {pair for pair in expected if "sparse" not in pair}
    assert {(getattr(plan, one), getattr(plan, other)) for plan in plans} >= expected


def test_a_case_is_made_again_from_seed_and_number_alone() -> None:
    def patterns(tensor: torch.Tensor) -> bytes:
        dense = prepare(tensor)[0].contiguous().reshape(-1, 1)
        return dense.view(torch.uint8).numpy().tobytes()

    together = made(3, 40)
    for index in (0, 17, 39):
        plan = Plan.of(3, index)
        assert patterns(plan.tensor(CPU)) == patterns(together[plan.name])
    longest = max(together, key=lambda name: together[name].numel())
    plan = Plan.of(3, int(longest.partition("/")[0]))
    assert patterns(replace(plan, seed=4, content="bits").tensor(CPU)) != patterns(
        replace(plan, content="bits").tensor(CPU)
    )


@pytest.mark.parametrize("dtype", sorted(set(DTYPES), key=str))
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "gaps", "expanded"])
def test_memory_around_a_tensor_is_nan(dtype: torch.dtype, layout: str) -> None:
    tensor = Plan(0, 0, dtype, "vectors", 5, layout, "constant", Setting()).tensor(CPU)
    size = tensor.untyped_storage().nbytes() // tensor.itemsize
    memory = tensor.as_strided((size,), (1,), 0)
    numbers = memory if memory.is_complex() else memory.float()
    distinct = tensor.numel() // (tensor.shape[0] if layout == "expanded" else 1)
    assert int((~numbers.isnan()).sum()) == distinct
    assert numbers[:5].isnan().all()
    assert numbers[-16:].isnan().all()


HOLDS: dict[str, Callable[[np.void], bool]] = {
    "normal, smallest": lambda found: 0 < found["abs_max"] < 2.0**-126 and found["near_zero"] == found["count"],
    "normal, largest": lambda found: 2.0**118 < found["abs_max"] < 2.0**123,
    "all scales": lambda found: found["saturated"] > 0 and 0 < found["near_zero"] < found["count"],
    "positive": lambda found: found["sum"] == found["sum_abs"] > 0,
    "negative": lambda found: -found["sum"] == found["sum_abs"] > 0,
    "cancelling": lambda found: abs(found["sum"]) < 1e-3 * found["sum_abs"],
    "zeros": lambda found: found["zero"] == found["count"],
    "mostly zeros": lambda found: 0.8 < found["zero"] / found["count"] < 0.95,
    "subnormal": lambda found: 0 < found["abs_max"] < 2.0**-126 and found["zero"] < found["count"],
    "smallest": lambda found: found["abs_max"] == 2.0**-149 and found["zero"] > 0,
    "around near zero": lambda found: 0 < found["zero"] < found["near_zero"] < found["count"],
    "around saturation": lambda found: 0 < found["saturated"] < found["count"] and found["pos_inf"] > 0,
    "an edge among zeros": lambda found: found["zero"] >= found["count"] - 1,
    "an outlier": lambda found: found["saturated"] == 1 and found["near_zero"] == found["count"] - 1,
    "largest": lambda found: found["saturated"] == found["count"] and found["nan"] + found["pos_inf"] == 0,
    "bits": lambda found: min(found["nan"], found["saturated"], found["near_zero"]) > 0,
    "special chunk borders": lambda found: found["nan"] + found["pos_inf"] + found["neg_inf"] >= 5,
    "special places": lambda found: 1 <= found["nan"] + found["pos_inf"] + found["neg_inf"] <= 3,
    "special among all scales": lambda found: min(found["nan"], found["pos_inf"], found["neg_inf"]) > 0,
}


@pytest.mark.parametrize("name", HOLDS)
def test_contents_are_what_their_names_say(name: str) -> None:
    found = reference.measure(content(name))
    assert HOLDS[name](found), found


def test_special_values_lie_at_the_head_the_tail_and_on_both_sides_of_chunk_borders() -> None:
    for name, places in (
        ("special head", [0]),
        ("special tail", [-1]),
        ("special chunk borders", [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1]),
    ):
        assert not content(name)[places].isfinite().any(), name


def test_every_chunk_has_a_scale_of_its_own() -> None:
    largest = [float(part.abs().max()) for part in content("a scale per chunk").split(CHUNK)[:2]]
    assert not 1 / 256 < largest[0] / largest[1] < 256


@pytest.mark.parametrize("inverse", [None, 1 / 3000, -0.5, 2.0**-6])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_edges_lie_next_to_the_threshold_of_the_products(dtype: torch.dtype, inverse: float | None) -> None:
    setting = Setting(inverse, near_zero=1e-3)
    tensor = content("around near zero", dtype, setting)
    products = reference.as_double(tensor, setting.inverse_scale(CPU)).abs()
    below, above = products[products < 1e-3], products[products >= 1e-3]
    near = 1 + 2 * torch.finfo(dtype).eps
    assert 1e-3 / near < below.max() < 1e-3 <= above.min() < 1e-3 * near


@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted_generated.py"))
