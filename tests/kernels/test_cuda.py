"""The ring on a real GPU: right, asynchronous, and indifferent to streams."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
import torch

from gradhealth_kernels import reference
from gradhealth_kernels.constants import IN_PLACE, READ, SCALED
from gradhealth_kernels.device_ring import Taken
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.pair import ASM_VARIABLE
from gradhealth_kernels.statistics import NEAR_ZERO, Entries

from .cases import DTYPES, differences, eight_bit, normal, of_dtype, views
from .test_scan import SCANS
from .waiting import no_waiting

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture(params=[False, True], ids=["plain", "packed"])
def asm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With and without the packed instructions."""
    if request.param and torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("needs compute capability 9.0")
    monkeypatch.setenv(ASM_VARIABLE, str(int(request.param)))
    return bool(request.param)


def proven(tensors: int, slots: int = 1, signed: bool = False) -> StepRing:
    """A ring whose fused kernels, in all their variants, have passed their check."""
    ring = StepRing(tensors, slots, signed=signed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for inverse_scale in (None, None, torch.ones(1), torch.ones(1)):
            ring.measure(0, [torch.ones(1, device="cuda"), *[None] * (tensors - 1)], inverse_scale)
            torch.cuda.synchronize()
        meter: Any = next(iter(ring._rings.values()))._meter
        meter.prove()
    assert meter._proof.settled == {READ, SCALED, IN_PLACE}
    ring.take(slots)
    return ring


def read(taken: Taken) -> Entries:
    deadline = time.monotonic() + 30
    while not taken.ready():
        assert time.monotonic() < deadline
    return taken.entries()


@pytest.mark.usefixtures("asm")
@pytest.mark.parametrize("inverse", [None, 1 / 3000, 2.0**-20, 3e-39])
def test_every_case_agrees_with_the_oracle(inverse: float | None) -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()}
    cases |= {f"long {dtype}": normal(3_000_001, dtype) for dtype in DTYPES} | views() | eight_bit()
    inverse_scale = None if inverse is None else torch.tensor([inverse])
    ring = proven(len(cases))
    ring.measure(0, [tensor.detach().cuda() for tensor in cases.values()], inverse_scale)
    entries = read(ring.take(1))[0]
    compared = {
        name: differences(got, reference.measure(tensor, NEAR_ZERO, inverse_scale))
        for (name, tensor), got in zip(cases.items(), entries, strict=True)
    }
    assert {name: problems for name, problems in compared.items() if problems} == {}


@pytest.mark.usefixtures("asm")
def test_the_signed_extremes_agree_with_the_oracle() -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()} | views()
    ring = proven(len(cases), signed=True)
    ring.measure(0, [tensor.detach().cuda() for tensor in cases.values()])
    for (name, tensor), got in zip(cases.items(), read(ring.take(1))[0], strict=True):
        assert differences(got, reference.measure(tensor, signed=True)) == [], name


@pytest.mark.usefixtures("asm")
@pytest.mark.parametrize("factor", [0.3, 2.0**-20, 1.0])
def test_products_in_place_are_torchs_and_measured(factor: float) -> None:
    cases = {f"{dtype} {name}": tensor for dtype in DTYPES for name, tensor in of_dtype(dtype).items()}
    cases |= {f"long {dtype}": normal(3_000_001, dtype) for dtype in DTYPES}
    parameters = [torch.nn.Parameter(tensor.cuda()) for tensor in cases.values()]
    for parameter in parameters:
        # A view into memory of its own, off 16 bytes, as a gradient in a flat buffer is.
        parameter.grad = torch.cat([parameter.detach()[:1], parameter.detach()])[1:] if len(parameter) else None
    expected = [
        None if p.grad is None else p.grad * torch.tensor(factor, dtype=torch.promote_types(p.dtype, torch.float32))
        for p in parameters
    ]
    ring = proven(len(cases))
    ring.measure_gradients(0, parameters)
    assert ring.total_norm(0, parameters) is not None
    ring.scale(0, parameters, torch.tensor(factor, dtype=torch.float64, device="cuda"))
    entries = read(ring.take(1))[0]
    for name, parameter, right, got in zip(cases, parameters, expected, entries, strict=True):
        if parameter.grad is not None and right is not None:
            torch.testing.assert_close(
                parameter.grad, right.to(parameter.dtype), rtol=0, atol=0, equal_nan=True, msg=name
            )
            assert differences(got, reference.measure(parameter.grad.cpu())) == [], name


@pytest.mark.parametrize("make", SCANS)
def test_by_scan_as_tensor_by_tensor_while_gradients_come_and_go(make: Any) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(5000, device="cuda", dtype=dtype)) for dtype in DTYPES]
    ring, other = proven(len(parameters)), proven(len(parameters))
    ring._scan = make()
    inverse_scale = torch.tensor([1 / 3000], device="cuda")
    for step in range(12):
        for index, parameter in enumerate(parameters):
            parameter.grad = None if (step + index) % 6 == 0 else torch.full_like(parameter, step + 1.0)
        for scale in (None, inverse_scale):
            for _ in range(2):
                ring.measure_gradients(0, parameters, scale)
                other.measure(0, [parameter.grad for parameter in parameters], scale)
                assert read(ring.take(1)).tobytes() == read(other.take(1)).tobytes()


def test_a_misaligned_view_on_the_device() -> None:
    base = normal(10_000, torch.bfloat16).cuda()
    ring = proven(7)
    parts = [base[k : 9000 - k] for k in range(1, 8)]
    ring.measure(0, parts)
    for part, got in zip(parts, read(ring.take(1))[0], strict=True):
        assert differences(got, reference.measure(part)) == []


def test_no_step_waits_for_the_device() -> None:
    ring = proven(3, 4)
    parameters = [torch.nn.Parameter(torch.ones(100_000, device="cuda", dtype=dtype)) for dtype in DTYPES[:3]]
    for parameter in parameters[:2]:
        parameter.grad = torch.ones_like(parameter)
    scales = [torch.ones(1, device="cuda"), torch.ones(1), None]
    with no_waiting():
        for step, slot in enumerate((0, 1, 2, 3, 0, 1)):
            ring.measure(slot, [parameter.grad for parameter in parameters], scales[step % 3])
            ring.measure_gradients(slot, parameters, scales[step % 3])
            if slot == 3:
                ring.take(4)


def test_gradients_may_be_freed_and_streams_changed_between_steps() -> None:
    ring = proven(1, 8)
    make_stream: Any = torch.cuda.Stream
    streams = [make_stream() for _ in range(2)]
    for slot in range(8):
        with torch.cuda.stream(streams[slot % 2]):
            gradient = torch.full((1_000_000,), float(slot + 1), device="cuda")
            ring.measure(slot, [gradient])
            del gradient
            torch.full((1_000_000,), -1.0, device="cuda")
    assert read(ring.take(8))["abs_max"][:, 0].tolist() == [float(slot + 1) for slot in range(8)]


def test_the_same_bits_each_time() -> None:
    ring = proven(1, 3)
    tensor = normal(5_000_000, torch.float32).cuda()
    for slot in range(3):
        ring.measure(slot, [tensor])
    entries = read(ring.take(3))
    assert entries[0].tobytes() == entries[1].tobytes() == entries[2].tobytes()


def test_more_than_2_to_the_31_elements() -> None:
    if torch.cuda.mem_get_info()[0] < 8 * 2**30:
        pytest.skip("needs 8 GiB of GPU memory")
    tensor = torch.ones(2**31 + 5, device="cuda", dtype=torch.bfloat16)
    tensor[-1] = 3.0
    ring = proven(1)
    ring.measure(0, [tensor])
    found = read(ring.take(1))[0, 0]
    assert (found["count"], found["sum"], found["abs_max"]) == (2**31 + 5, 2**31 + 7, 3.0)


def test_copies_made_to_measure_are_dense() -> None:
    tensor = torch.ones(4, 6, device="cuda")
    assert prepare(tensor[:, ::2])[0].is_contiguous()
    assert prepare(tensor.T)[0].data_ptr() == tensor.data_ptr()
