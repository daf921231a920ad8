"""Gradients of odd layout, dtype and origin are measured right, or named as not measured: never wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning

from ..writer.loops import Net, losses, timeline
from .amp import unscaled
from .recorded import Recording, Step, consumed

SHAPE = (4, 6)
G = torch.Generator().manual_seed(0)


def randn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=G, dtype=dtype)


#: How a gradient of SHAPE may lie in memory.
VIEWS: dict[str, Callable[[], torch.Tensor]] = {
    "contiguous": lambda: randn(*SHAPE),
    "strided": lambda: randn(4, 12)[:, ::2],
    "transposed": lambda: randn(6, 4).t(),
    "expanded": lambda: randn(1, 6).expand(SHAPE),
    "expanded from one element": lambda: randn(1).expand(SHAPE),
    "slice of a buffer": lambda: randn(40)[3:27].view(SHAPE),
    "overlapping": lambda: randn(20).as_strided(SHAPE, (3, 1)),
    "flipped": lambda: randn(*SHAPE).flip(0),
    "negative bit": lambda: randn(*SHAPE, dtype=torch.complex64).conj().imag,
    "not finite": lambda: randn(*SHAPE).log().div(randn(*SHAPE).clamp(0)),
    "all NaN": lambda: torch.full(SHAPE, float("nan")),
    "subnormal": lambda: randn(*SHAPE) * 1e-42,
}


def by_hand(logdir: Path, recording: Recording, parameter: torch.nn.Parameter, make: Callable[[], torch.Tensor]) -> Any:
    """Three steps with gradients set by hand, checked."""
    model = torch.nn.Module()
    model.p = parameter
    optimizer = GradHealthWriter(torch.optim.SGD([parameter], lr=0.0, foreach=False), model, logdir=logdir, every=1)
    rows: list[Step] = []
    for _ in range(3):
        parameter.grad = make()
        rows.append(consumed(model))
        optimizer.step()
    monitor = optimizer.gradhealth
    assert monitor.step == 3
    monitor.close()
    recording.check(rows)
    return monitor


@pytest.mark.parametrize("name", VIEWS)
def test_set_by_hand_in_any_layout(tmp_path: Path, recording: Recording, name: str) -> None:
    assert by_hand(tmp_path, recording, torch.nn.Parameter(randn(*SHAPE)), VIEWS[name]).problems == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("size", [1.0, 1e-6, 3e4])
def test_dtypes(tmp_path: Path, recording: Recording, dtype: torch.dtype, size: float) -> None:
    wide = torch.complex128 if dtype.is_complex else torch.float64
    parameter = torch.nn.Parameter(randn(3, 2, dtype=wide).to(dtype))
    assert by_hand(tmp_path, recording, parameter, lambda: (randn(3, 2, dtype=wide) * size).to(dtype)).problems == 0


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e300])
def test_squares_that_float64_does_not_hold(tmp_path: Path, recording: Recording, size: float) -> None:
    parameter = torch.nn.Parameter(randn(8, dtype=torch.float64))
    by_hand(tmp_path, recording, parameter, lambda: randn(8, dtype=torch.float64) * size)


def test_a_conjugated_gradient(tmp_path: Path, recording: Recording) -> None:
    parameter = torch.nn.Parameter(randn(*SHAPE, dtype=torch.complex64))
    by_hand(tmp_path, recording, parameter, lambda: randn(*SHAPE, dtype=torch.complex64).conj())


@pytest.mark.parametrize("shape", [(), (1,), (0, 6), (1, 1, 1, 1, 1, 1)])
def test_shapes_without_length_or_elements(tmp_path: Path, recording: Recording, shape: tuple[int, ...]) -> None:
    by_hand(tmp_path, recording, torch.nn.Parameter(randn(*shape)), lambda: randn(*shape))


def test_pytorch_31855_nan_does_not_crash(tmp_path: Path, recording: Recording) -> None:
    # add_histogram raised on the first NaN, in the very run that one wanted to look at.
    model, rows = Net(), []
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    for step, _ in enumerate(losses(model, 4)):
        for parameter in model.parameters():
            if parameter.grad is not None and step:
                parameter.grad.fill_([0, float("nan"), float("inf"), 1.0][step])
        rows.append(consumed(model))
        optimizer.step()
    monitor = optimizer.gradhealth
    monitor.close()
    assert monitor.problems == 0
    recording.check(rows)


@pytest.mark.parametrize("coalesced", [False, True])
def test_sparse_embedding_gradients(tmp_path: Path, recording: Recording, coalesced: bool) -> None:
    model: Any = torch.nn.Sequential(torch.nn.Embedding(9, 4, sparse=True), torch.nn.Linear(4, 1))
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    rows: list[Step] = []
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.tensor([1, 1, 1, 5, 5, 7])).sum().backward()
        gradient = model[0].weight.grad
        assert isinstance(gradient, torch.Tensor)
        assert not gradient.is_coalesced(), "duplicates must add up before they are squared: the case shows nothing"
        if coalesced:
            model[0].weight.grad = gradient.coalesce()
        rows.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(rows)


def test_sparse_gradients_under_a_scaler(tmp_path: Path, recording: Recording) -> None:
    model: Any = torch.nn.Sequential(torch.nn.Embedding(9, 4, sparse=True), torch.nn.Linear(4, 1))
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    rows: list[Step] = []
    for i in range(3):
        optimizer.zero_grad()
        scaler.scale(model(torch.tensor([1, 1, 1, 5, 5, 7])).sum()).backward()
        if i == 1:
            model[1].bias.grad[0] = float("inf")
        rows.append(unscaled(model, scaler))
        scaler.step(optimizer)
        scaler.update()
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    recording.check(rows)


def test_meta_tensors_are_named_as_not_measured(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 3, device="meta")
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path, every=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GradHealthWarning)
        for _ in range(3):
            model(torch.ones(2, 3, device="meta")).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        monitor = optimizer.gradhealth
        monitor.close()
    ours = [str(w.message) for w in caught if issubclass(w.category, GradHealthWarning)]
    assert len(ours) == 1
    assert "weight" in ours[0]
    assert "not measured" in ours[0]
    assert monitor.step == 3
    history = timeline(tmp_path)
    assert "weight" in history.tree.names
