"""Measuring gradients by scan gives what measuring each of them does, whatever happened to them in between."""

from __future__ import annotations

import ctypes
import gc
import random
import shutil
import sys
import sysconfig
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels import device_ring, launch, scan
from gradhealth_kernels.cpu import CpuMeter
from gradhealth_kernels.device import CheckedMeter
from gradhealth_kernels.elements import EIGHT_BIT
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.scan import CppScan, PythonScan
from gradhealth_kernels.statistics import NEAR_ZERO, Entries, neutral

from .cases import normal


def has_compiler() -> bool:
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    tools = shutil.which("ninja"), shutil.which("c++") or shutil.which("g++")
    return sys.platform != "win32" and all(tools) and header.exists()


def cpp_scan() -> CppScan:
    module = scan._built()
    assert module is not None, "a compiler is there but scan.cpp was not built"
    return CppScan(module)


NEEDS_COMPILER = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler, ninja and Python's headers")
SCANS = [pytest.param(PythonScan, id="python"), pytest.param(cpp_scan, id="c++", marks=NEEDS_COMPILER)]


def by_address(self: Any, out: torch.Tensor, variant: object, inverse_scale: torch.Tensor | None) -> None:
    """In the kernels' place: reads memory at the addresses of the table, as they do."""
    items = []
    for index, (address, elements, implicit) in enumerate(self._table.T.tolist()):
        own = self._dtypes[index] or torch.float32
        dtype = torch.float32 if own in EIGHT_BIT else own
        tensor = torch.empty(0, dtype=dtype)
        if elements:
            memory = (ctypes.c_char * (elements * dtype.itemsize)).from_address(address)
            tensor = torch.frombuffer(memory, dtype=dtype)
        items.append((index, tensor.to(own), implicit))
    entries = neutral((len(items),))
    CpuMeter(self._near_zero).measure(items, entries, None if inverse_scale is None else inverse_scale.item())
    out.copy_(torch.from_numpy(entries.view(np.int64).reshape(out.shape)))


@pytest.fixture
def repeats(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tensors on the CPU are measured as if it were a device; the list grows by one entry per repeated step."""
    counted: list[int] = []
    repeat = FusedPair.repeat

    def counting(self: FusedPair, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> None:
        counted.append(1)
        repeat(self, out, inverse_scale)

    monkeypatch.setattr(launch, "stays", lambda device: True)
    monkeypatch.setattr(device_ring, "meter_for", CheckedMeter)
    monkeypatch.setattr(FusedPair, "_launch", by_address)
    monkeypatch.setattr(FusedPair, "repeat", counting)
    return counted


class Labelled(torch.Tensor):
    """A subclass that only adds methods."""


class Elsewhere(torch.Tensor):
    """A subclass that cannot be measured."""

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        raise NotImplementedError


def parameters(count: int = 5) -> list[torch.nn.Parameter]:
    made = [torch.nn.Parameter(normal(60, torch.float32).reshape(6, 10)) for _ in range(count)]
    for index, parameter in enumerate(made):
        parameter.grad = normal(60, torch.float32, index + 1.0).reshape(6, 10)
    return made


def grad_of(parameter: torch.nn.Parameter) -> torch.Tensor:
    """The gradient, or a new one for one that is absent or that most changes cannot be made to."""
    gradient = parameter.grad
    usual = type(gradient) is torch.Tensor and not gradient.is_sparse and gradient.untyped_storage().size()
    if gradient is None or not usual:
        gradient = parameter.grad = torch.randn(6, 10)
    return gradient


def data(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.nn.Parameter], object]:
    """The same object over other memory, or the same memory seen otherwise."""

    def mutate(parameter: torch.nn.Parameter) -> None:
        gradient = grad_of(parameter)
        gradient.data = change(gradient.data)

    return mutate


def grad(change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[torch.nn.Parameter], object]:
    """Another object."""

    def mutate(parameter: torch.nn.Parameter) -> None:
        gradient = grad_of(parameter)
        if gradient.shape != parameter.shape or gradient.dtype is not torch.float32:
            gradient = torch.randn(6, 10)
        parameter.grad = change(gradient)

    return mutate


def set_elsewhere(gradient: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return gradient.set_(torch.randn(6, 10).to(gradient.dtype))  # type: ignore[call-overload,no-any-return]


def freed(gradient: torch.Tensor) -> torch.Tensor:
    gradient = gradient.clone()
    gradient.untyped_storage().resize_(0)
    return gradient


MUTATIONS: dict[str, Callable[[torch.nn.Parameter], object]] = {
    "absent": grad(lambda g: None),
    "another": grad(torch.clone),
    "another object on the same memory": grad(lambda g: g.detach()),
    "strided object on the same memory": grad(lambda g: g.as_strided((6, 10), (1, 6))),
    "expanded object on the same memory": grad(lambda g: g.as_strided((6, 10), (0, 1))),
    "a subclass": grad(lambda g: g.as_subclass(Labelled)),
    "a subclass without elements": grad(lambda g: torch.Tensor._make_subclass(Elsewhere, g)),
    "sparse": grad(lambda g: g.to_sparse()),
    "freed": grad(freed),
    "other values": data(lambda g: g.mul_(-3)),
    "moved": data(torch.clone),
    "set": lambda p: set_elsewhere(grad_of(p)),
    "shorter": data(lambda g: g.flatten()[:17]),
    "empty": data(lambda g: g.flatten()[:0]),
    "resized": data(lambda g: g.clone().resize_(7, 5)),
    "transposed": data(lambda g: g.flatten().as_strided((2, 3), (1, 2))),
    "with gaps": data(lambda g: g.flatten()[::2]),
    "overlapping": data(lambda g: g.flatten()[:10].as_strided((5, 5), (1, 1))),
    "off its alignment": data(lambda g: torch.frombuffer(bytearray(41), dtype=torch.float32, offset=1, count=10)),
    "the same bits in another dtype": data(lambda g: g.flatten().view(torch.int16).view(torch.bfloat16)),
    "integers": data(lambda g: g.flatten().view(torch.int32 if g.itemsize == 4 else torch.int16)),
    "double": data(torch.Tensor.double),
    "eight bits": data(lambda g: g.abs().float().to(torch.float8_e4m3fn)),
    "complex": data(lambda g: torch.view_as_complex(g.float().flatten()[:16].reshape(-1, 2))),
    "lazily negated": data(lambda g: torch._neg_view(g.float())),
    "with a gradient": lambda p: grad_of(p).requires_grad_(),
}


def both(ring: StepRing, other: StepRing, watched: Sequence[torch.nn.Parameter], scale: torch.Tensor | None) -> None:
    """The next slot of one ring by scan, of the other tensor by tensor, and that they agree."""
    ring.measure_gradients(0, watched, scale)
    other.measure(0, [parameter.grad for parameter in watched], scale)
    found, expected = ring.take(1).entries(), other.take(1).entries()
    assert found.tobytes() == expected.tobytes()
    assert ring.unmeasured == other.unmeasured


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", SCANS)
def test_any_sequence_of_changes(repeats: list[int], make: Callable[[], Any], seed: int) -> None:
    generator = random.Random(seed)
    torch.manual_seed(seed)
    watched = parameters()
    ring, other = StepRing(5, 2), StepRing(5, 2)
    ring._scan = make()
    for _ in range(150):
        scale = generator.choice([None, None, torch.tensor(0.1)])
        if generator.random() < 0.4:
            try:
                MUTATIONS[generator.choice(list(MUTATIONS))](generator.choice(watched))
            except RuntimeError:
                continue
        both(ring, other, watched, scale)
    for parameter in watched:
        parameter.grad = torch.randn(6, 10)
    before = len(repeats)
    for _ in range(3):
        both(ring, other, watched, None)
    assert len(repeats) == before + 2


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("make", SCANS)
def test_each_change_between_unchanged_steps(repeats: list[int], make: Callable[[], Any], name: str) -> None:
    watched = parameters()
    ring, other = StepRing(5, 2), StepRing(5, 2)
    ring._scan = make()
    for _ in range(3):
        both(ring, other, watched, None)
    assert repeats == [1]
    MUTATIONS[name](watched[2])
    for _ in range(2):
        both(ring, other, watched, None)
    watched[2].grad = torch.randn(6, 10)
    for _ in range(2):
        both(ring, other, watched, None)


@pytest.mark.parametrize("make", SCANS)
def test_what_is_repeated(repeats: list[int], make: Callable[[], Any]) -> None:
    """Absent gradients, transposed ones and every wide dtype are; a step measured in between is not taken for it."""
    watched = parameters()
    watched[0].grad = None
    grad_of(watched[1]).data = grad_of(watched[1]).data.t()
    for index, dtype in ((2, torch.bfloat16), (3, torch.float64)):
        grad_of(watched[index]).data = torch.ones(40, dtype=dtype)
    ring, other = StepRing(5, 2), StepRing(5, 2)
    ring._scan = make()
    for _ in range(4):
        both(ring, other, watched, None)
    assert len(repeats) == 2
    ring.measure(1, [None, None, None, None, torch.ones(3)])
    both(ring, other, watched, None)
    assert len(repeats) == 2
    for scale in (None, torch.tensor(0.5), torch.tensor(0.5), torch.tensor(0.25), None):
        both(ring, other, watched, scale)
    assert len(repeats) == 5, "the loss-scaled kernels are checked first"
    ring.measure_gradients(0, watched)
    ring.measure_gradients(1, watched)
    entries: Entries = ring.take(2).entries()
    assert entries[0].tobytes() == entries[1].tobytes()


@pytest.mark.parametrize("make", SCANS)
def test_no_gradient_is_kept_alive(repeats: list[int], make: Callable[[], Any]) -> None:
    watched = parameters(2)
    ring = StepRing(2, 1)
    ring._scan = make()
    for _ in range(4):
        ring.measure_gradients(0, watched)
    assert repeats
    gradients = [weakref.ref(grad_of(parameter)) for parameter in watched]
    for parameter in watched:
        parameter.grad = None
    gc.collect()
    assert [reference() for reference in gradients] == [None, None]


@pytest.mark.parametrize("make", SCANS)
def test_a_scan_of_what_is_no_plain_parameter_changes_nothing(make: Callable[[], Any]) -> None:
    class Odd(torch.nn.Parameter):
        grad = torch.ones(3)  # type: ignore[assignment]

    ring = StepRing(1, 1)
    ring._scan = make()
    ring.measure_gradients(0, (Odd(torch.ones(1)),))
    assert ring.take(1).entries()["count"].tolist() == [[3]]
    assert ring._scan.same([Odd(torch.ones(1))]) is False


def test_gradients_on_the_host_are_measured_without_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, watched = StepRing(2, 1), parameters(2)
    ring._scan = None  # type: ignore[assignment]
    for _ in range(3):
        ring.measure_gradients(0, watched, torch.tensor(0.5))
    expected = StepRing(2, 1)
    expected.measure(0, [parameter.grad for parameter in watched], torch.tensor(0.5))
    assert ring.take(1).entries().tobytes() == expected.take(1).entries().tobytes()
    with pytest.raises(ValueError, match="2 tensors, got slot 0 and 1 tensors"):
        ring.measure_gradients(0, watched[:1])


def test_the_scan_in_cpp_is_asked_for_and_a_missing_compiler_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils import cpp_extension

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no compiler")

    monkeypatch.setattr(cpp_extension, "load", fail)
    monkeypatch.setattr(scan, "_built", scan._built.__wrapped__)
    monkeypatch.setenv(scan.VARIABLE, "1")
    assert isinstance(StepRing(1, 1, NEAR_ZERO)._scan, PythonScan)
    monkeypatch.setattr(scan, "_built", lambda: type("Module", (), {"scan": len}))
    assert isinstance(StepRing(1, 1)._scan, CppScan)
    monkeypatch.delenv(scan.VARIABLE)
    assert isinstance(StepRing(1, 1)._scan, PythonScan)
