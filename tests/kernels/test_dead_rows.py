"""Dead rows on the host, and their kernels in the interpreter, in a process of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import dead_rows
from gradhealth_kernels.cpu import rows
from gradhealth_kernels.dead_rows import DeadRows
from gradhealth_kernels.elements import BITS, EIGHT_BIT, Unmeasurable
from gradhealth_kernels.rows import rows_of
from gradhealth_kernels.statistics import NEAR_ZERO
from tests.triton_processes import interpret, needs_triton

from .cases import DTYPES, neighbours, normal
from .waiting import no_waiting

CPU = torch.device("cpu")
INVERSES = (1 / 3, 2.0**-16, 3e-39, math.inf, math.nan)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def oracle(tensor: torch.Tensor, near_zero: float = NEAR_ZERO, inverse: float | None = None) -> npt.NDArray[np.int64]:
    """Rows in which NumPy finds each |x| below the threshold, in float64."""
    dense = tensor.detach().to_dense().resolve_conj().resolve_neg()
    parts = torch.view_as_real(dense) if dense.is_complex() else dense
    values = (parts if parts.dtype is torch.float64 else parts.float()).numpy()
    with np.errstate(all="ignore"):
        if inverse is not None:
            values = values * values.dtype.type(np.float32(inverse))
        below = np.abs(values.astype(np.float64)) < near_zero
    return np.array([index for index, row in enumerate(below) if row.all()], np.int64)


def wrong(meter: Any, cases: Mapping[str, torch.Tensor], near_zero: float = NEAR_ZERO, inverse: Any = None) -> Any:
    """Cases that are not as the oracle has them: {case: (found, expected)}. ``meter`` marks and counts."""
    own = [rows_of(tensor) for tensor in cases.values()]
    firsts = np.cumsum([0, *(len(one.values) for one in own)]).tolist()
    alive = torch.zeros(firsts[-1], dtype=torch.uint8)
    out = torch.full((len(own), 2), math.nan, dtype=torch.float64)
    items = [(i, one.values, one.total, at) for i, (one, at) in enumerate(zip(own, firsts, strict=False))]
    meter.measure(items, alive, out, None if inverse is None else torch.tensor([inverse]))
    assert set(alive.tolist()) <= {0, 1}
    problems = {}
    for (name, tensor), one, at, counts in zip(cases.items(), own, firsts, out.tolist(), strict=False):
        expected = oracle(tensor, near_zero, inverse)
        marked = np.zeros(one.total, np.bool_)
        marked[slice(None) if one.places is None else one.places.numpy()] = alive[at : at + len(one.values)] != 0
        found = np.flatnonzero(~marked)
        if not np.array_equal(found, expected) or counts != [len(tensor), len(expected)]:
            problems[name] = (found.tolist(), counts, expected.tolist())
    return problems


def planted(rows: int, width: int, dtype: torch.dtype, share: float = 0.5, value: float = 1.0) -> torch.Tensor:
    """Zeros, with ``value`` once in some of the rows, somewhere."""
    generator = np.random.default_rng(rows * 7919 + width)
    tensor = torch.zeros((rows, width), dtype=dtype)
    for row in np.flatnonzero(generator.random(rows) < share):
        tensor[row, generator.integers(width)] = value
    return tensor


def surrounded(values: torch.Tensor, offset: int, gap: int) -> torch.Tensor:
    """A view of equal values whose rows are ``gap`` elements apart, in memory that is NaN everywhere else."""
    rows, width = values.shape
    memory = torch.full((offset + rows * (width + gap) + 16,), math.nan, dtype=values.dtype)
    view = memory.as_strided((rows, width), (width + gap, 1), offset)
    view.copy_(values)
    return view


def shapes(dtype: torch.dtype, part: int) -> dict[str, torch.Tensor]:
    """Rows and widths around vectors, turns and parts; ``part`` is in units."""
    vector, units = 16 // dtype.itemsize, 8 if dtype is torch.float64 else 4
    turn, long = 512 // dtype.itemsize, part * units // dtype.itemsize
    cases = {f"{rows} x {width}": planted(rows, width, dtype) for rows in (1, 15, 17) for width in (1, 3, vector)}
    for width in (turn - vector, turn, turn + vector, turn + 1, long, long + vector, 2 * long + 3):
        cases[f"18 x {width}"] = planted(18, width, dtype)
    cases["33 x 4 x 3 x 3"] = planted(33, 36, dtype).reshape(33, 4, 3, 3)
    cases["all dead"], cases["all alive"] = torch.zeros((20, 9), dtype=dtype), torch.ones((20, turn), dtype=dtype)
    last = torch.zeros((3, 2 * long), dtype=dtype)
    last[1, -1] = last[2, 0] = 1
    cases["first and last element of a row"] = last
    return cases


def contents(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    around = [*neighbours(NEAR_ZERO, dtype), 0.0, -0.0, math.nan, math.inf, torch.finfo(dtype).smallest_normal]
    values = torch.tensor([*around, *(-value for value in around)], dtype=dtype)
    least = torch.zeros_like(values)
    least.view(BITS[dtype.itemsize])[:] = 1
    cases = {}
    for width in (1, 40):
        edges = torch.zeros((len(values), width), dtype=dtype)
        edges[:, width // 3] = values
        cases[f"edges, rows of {width}"] = edges
    cases["the least number of all"] = least[:, None] * torch.ones((1, 16), dtype=dtype)
    cases["all near zero"] = normal(40 * 24, dtype, 2e-9).reshape(40, 24)
    negative = torch.zeros((16,), dtype=BITS[dtype.itemsize])
    negative[::2] = -1  # a NaN with its sign
    cases["NaN of either sign"] = negative.view(dtype).reshape(4, 4)
    return cases


def layouts(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    cases = {}
    for offset in (0, 1, 3, 8):
        for gap in (0, 1, 8):
            cases[f"offset {offset}, gaps of {gap}"] = surrounded(planted(19, 136, dtype), offset, gap)
    cases["transposed"] = planted(40, 24, dtype).T
    cases["channels last"] = planted(12, 72, dtype).reshape(12, 8, 3, 3).to(memory_format=torch.channels_last)
    cases["some elements of each row"] = planted(30, 64, dtype)[:, ::2]
    cases["one row again and again"] = planted(1, 64, dtype, 1.0).expand(20, 64)
    cases["one element again and again"] = torch.ones((1, 1), dtype=dtype).expand(5, 7)
    return cases


def others() -> dict[str, torch.Tensor]:
    values = planted(6, 5, torch.float32)
    values[0], values[1] = 0, 2
    places = torch.tensor([[7, 3, 3, 0, 11, 5]])
    cases = {
        "sparse": torch.sparse_coo_tensor(places, values, (12, 5)),
        "sparse, all absent": torch.sparse_coo_tensor(places[:, :0], values[:0], (12, 5)),
        "sparse, opposite duplicates": torch.sparse_coo_tensor([[2, 2]], torch.tensor([[1.0], [-1.0]]), (4, 1)),
        "complex": torch.complex(planted(9, 4, torch.float32, 0.3), planted(9, 4, torch.float32, 0.3, 1e-9)),
        "conjugate": torch.complex(torch.zeros(9, 4), planted(9, 4, torch.float32)).conj(),
        "a parameter": torch.nn.Parameter(planted(9, 4, torch.float32)),
    }
    cases["negated"] = torch.complex(torch.zeros(9, 4), planted(9, 4, torch.float32)).conj().imag
    cases |= {str(dtype): planted(20, 33, torch.float32).to(dtype) for dtype in sorted(EIGHT_BIT, key=str)}
    return {name: tensor.to_dense() if "e8m0" in name else tensor for name, tensor in cases.items()}


def plain(near_zero: float = NEAR_ZERO) -> Any:
    return dead_rows.PlainRows(near_zero)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the host take the path of a device without Triton."""
    monkeypatch.setattr(torch.Tensor, "is_cpu", property(lambda tensor: False), raising=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_contents_and_layouts(dtype: torch.dtype) -> None:
    assert wrong(plain(), shapes(dtype, 256) | contents(dtype) | layouts(dtype)) == {}


def test_sparse_complex_and_eight_bit() -> None:
    assert wrong(plain(), others()) == {}


@pytest.mark.parametrize("inverse", INVERSES)
def test_loss_scaled_values(inverse: float) -> None:
    for dtype in DTYPES:
        assert wrong(plain(), contents(dtype) | layouts(dtype), inverse=inverse) == {}


def test_another_threshold() -> None:
    cases = {str(dtype): normal(600, dtype, 1e-3).reshape(200, 3) for dtype in DTYPES}
    assert wrong(plain(1e-3), cases, 1e-3) == {}
    assert all(0 < len(oracle(tensor, 1e-3)) < 200 for tensor in cases.values())


@pytest.mark.usefixtures("elsewhere")
def test_the_path_of_a_device_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_rows, "PIECE", 100)
    for dtype in DTYPES:
        assert wrong(plain(), shapes(dtype, 256) | contents(dtype) | layouts(dtype)) == {}


@pytest.mark.parametrize("inverse", [None, 0.3])
def test_the_host_reads_blocks_and_as_few_as_it_takes(monkeypatch: pytest.MonkeyPatch, inverse: float | None) -> None:
    monkeypatch.setattr(rows, "SMALL", 20)
    for block in (1, 100, 1000):
        monkeypatch.setattr(rows, "BLOCK", block)
        cases = {
            f"{share} of {dtype}": planted(300, 9, dtype, share)
            for dtype in DTYPES
            for share in (0.0, 0.1, 0.3, 0.7, 0.95, 1.0)
        }
        in_the_middle = torch.ones((40, 7))
        in_the_middle[:, 3] = 0
        assert wrong(plain(), cases | {"blank in the middle": in_the_middle}, inverse=inverse) == {}


def test_flushing_subnormals_to_zero_changes_nothing() -> None:
    tensors = [torch.full((4, 6), 1e-39, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    before = DeadRows(2, 1e-40).measure(tensors)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormals")
    try:
        flushed = DeadRows(2, 1e-40).measure(tensors)
    finally:
        torch.set_flush_denormal(False)
    assert before.counts[0].tolist() == flushed.counts[0].tolist() == [[4, 0], [4, 0]]


@given(st.data())
def test_any_matrix(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    rows, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    numbers = st.sampled_from([0.0, -0.0, 9.9e-9, 1.1e-8, -1.1e-8, 1e-7, math.nan, math.inf, 1.0])
    values = data.draw(st.lists(numbers, min_size=rows * width, max_size=rows * width))
    matrix = torch.tensor(values, dtype=dtype).reshape(rows, width)
    assert wrong(plain(), {"as it is": matrix, "transposed": matrix.T}) == {}


def test_the_door_takes_tensors_as_they_come() -> None:
    sparse = torch.sparse_coo_tensor([[4, 1]], torch.tensor([[1.0, 0.0], [0.0, 0.0]]), (6, 2))
    first = planted(30, 4, torch.float64)
    tensors = [first, None, torch.ones(5), torch.arange(6).reshape(2, 3), sparse]
    tensors += [torch.empty(3, 0), torch.empty(0, 3)]
    expected = [oracle(first), [], [], [], [0, 1, 2, 3, 5], [], []]
    door = DeadRows(7)
    found = door.measure(tensors)
    assert found.has.tolist() == [True, False, False, False, True, False, False]
    (counts,) = found.counts
    assert counts.dtype is torch.float64
    assert counts.tolist() == [[30, len(expected[0])], [0, 0], [0, 0], [0, 0], [6, 5], [0, 0], [0, 0]]
    first.fill_(1)
    for index, dead in enumerate(expected):
        assert found.indices(index).tolist() == list(dead)
    assert door.measure([None] * 7).counts == []
    with pytest.raises(ValueError, match="expected 7 tensors, got 1; pass None"):
        door.measure(tensors[:1])


def test_it_scales_what_it_looks_at() -> None:
    tensor = torch.tensor([[1e-3], [1e-6]])
    assert DeadRows(1).measure([tensor], torch.tensor(2.0**-10)).indices(0).tolist() == [1]
    assert tensor.tolist() == torch.tensor([[1e-3], [1e-6]]).tolist()


def test_it_works_under_inference_mode_and_leaves_tensors_resizable() -> None:
    tensor = torch.ones(3, 2)
    with torch.inference_mode():
        found = DeadRows(2).measure([tensor, torch.zeros(5, 2)])
    assert found.counts[0].tolist() == [[3, 0], [5, 5]]
    tensor.resize_(1000)


def test_rows_share_memory_unless_they_have_gaps() -> None:
    matrix = torch.ones(8, 6)
    for view in (matrix, matrix[1:, 2:5], matrix[::2], matrix.reshape(8, 3, 2).permute(0, 2, 1)):
        assert rows_of(view).values.data_ptr() == view.data_ptr()
        assert rows_of(view).values.shape == (len(view), view[0].numel())
    assert rows_of(matrix.T).values.data_ptr() != matrix.data_ptr()


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.ones(3), r"expected a matrix with elements, got shape \(3,\); leave it out"),
        (torch.ones(3, 0), r"got shape \(3, 0\)"),
        (torch.ones(3, 2, dtype=torch.int64), "got torch.int64"),
        (torch.eye(3).to_sparse(), "2 sparse dimensions; pass to_dense"),
        (torch.ones(3, 2, device="meta"), "on meta"),
        (torch.eye(3).to_sparse_csr(), "layout torch.sparse_csr"),
    ],
)
def test_what_has_no_rows_is_told(tensor: torch.Tensor, text: str) -> None:
    with pytest.raises(Unmeasurable, match=text):
        rows_of(tensor)
    assert not DeadRows(1).measure([tensor]).has.any()


@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted_dead_rows.py"))


def of_device(tensors: int) -> DeadRows:
    """A door whose kernels have agreed with plain torch."""
    door = DeadRows(tensors)
    for inverse_scale in (None, torch.ones(1)) * 2:
        door.measure([torch.ones((2, 2), device="cuda"), *[None] * (tensors - 1)], inverse_scale)
        torch.cuda.synchronize()
        for meter in door._meters.values():
            assert meter._proof is not None
            meter._proof.holds(inverse_scale is not None)
    assert all(meter._proof.settled == {False, True} for meter in door._meters.values() if meter._proof)
    return door


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("inverse", [None, 1 / 3, 2.0**-16])
def test_the_kernels_on_the_device(inverse: float | None) -> None:
    cases = {
        f"{dtype} {name}": tensor
        for dtype in DTYPES
        for name, tensor in (shapes(dtype, 2**13) | contents(dtype) | layouts(dtype)).items()
    }
    cases |= others() | {f"many rows of {dtype}": planted(70_000, 40, dtype) for dtype in DTYPES}
    inverse_scale = None if inverse is None else torch.tensor([inverse])
    found = of_device(len(cases)).measure([tensor.detach().cuda() for tensor in cases.values()], inverse_scale)
    for index, (name, tensor) in enumerate(cases.items()):
        expected = oracle(tensor, inverse=inverse)
        assert np.array_equal(found.indices(index), expected), name
        assert found.counts[0][index].tolist() == [len(tensor), len(expected)], name


@pytest.mark.cuda
@needs_cuda
def test_nothing_waits_for_the_device_and_gradients_may_go() -> None:
    door = of_device(4)
    with no_waiting():
        for value in (1.0, 0.0):
            tensors = [torch.full((500, 300), value, device="cuda", dtype=dtype) for dtype in DTYPES]
            found = door.measure(tensors)
            del tensors
            torch.full((500, 300), 1.0 - value, device="cuda")
    assert found.counts[0].tolist() == [[500, 500]] * 4


@pytest.mark.cuda
@needs_cuda
def test_more_than_2_to_the_31_elements() -> None:
    if torch.cuda.mem_get_info()[0] < 8 * 2**30:
        pytest.skip("needs 8 GiB of GPU memory")
    tensor = torch.zeros((2**18 + 1, 2**13), device="cuda", dtype=torch.bfloat16)
    tensor[-1, -1] = tensor[7, 100] = 1.0
    found = of_device(1).measure([tensor])
    assert found.counts[0].tolist() == [[2**18 + 1, 2**18 - 1]]
    assert sorted(set(range(2**18 + 1)) - set(found.indices(0).tolist())) == [7, 2**18]
