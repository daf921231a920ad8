"""``optimizer.gradhealth.clip_grad_norm_`` reads the gradients once, for the norm and for both streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gradhealth_kernels.cpu import CpuMeter
from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, losses
from .amp import backward
from .recorded import Recording, Step, consumed


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tensors of each reading of gradients; of torch's clipping, -1."""
    seen: list[int] = []
    measure: Any = CpuMeter.measure
    torchs: Any = torch.nn.utils.clip_grad_norm_

    def counted(self: CpuMeter, items: Any, *rest: Any) -> None:
        listed = list(items)
        seen.append(len(listed))
        measure(self, listed, *rest)

    def clip(*arguments: Any, **options: Any) -> Any:
        seen.append(-1)
        return torchs(*arguments, **options)

    monkeypatch.setattr(CpuMeter, "measure", counted)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    return seen


def watched(model: torch.nn.Module, logdir: Path, lr: float = 0.01, **options: Any) -> Any:
    return GradHealthWriter(torch.optim.SGD(model.parameters(), lr=lr), model, logdir=logdir, every=1, **options)


def test_a_step_that_is_not_clipped_costs_one_read_and_leaves_every_bit(tmp_path: Path, reads: list[int]) -> None:
    model, bare = Net(), Net()
    optimizer, plain = watched(model, tmp_path), torch.optim.SGD(bare.parameters(), lr=0.01)
    for _ in zip(losses(model, 3), losses(bare, 3), strict=True):
        optimizer.gradhealth.clip_grad_norm_(1e9)
        optimizer.step()
        plain.step()
    assert reads == [6, 6, 6]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), bare.parameters(), strict=True))
    assert optimizer.gradhealth.problems == 0


def test_one_that_is_clipped_costs_two(tmp_path: Path, reads: list[int], recording: Recording) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    before, after = [], []
    for _ in losses(model, 3):
        before.append(consumed(model))
        optimizer.gradhealth.clip_grad_norm_(0.1)
        after.append(consumed(model))
        optimizer.step()
    assert reads == [6] * 6
    optimizer.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")


def other_norm(model: Net) -> dict[str, Any]:
    return {"norm_type": 1.0}


def one_gradient_for_two(model: Net) -> dict[str, Any]:
    model.unused.weight.grad = model.unused.bias.grad = None
    model.body[2].bias.grad = model.body[0].bias.grad
    return {}


def one_with_gaps(model: Net) -> dict[str, Any]:
    model.unused.weight.grad = torch.full((2, 4), 0.5)[:, ::2]
    return {}


@pytest.mark.parametrize("oddity", [other_norm, one_gradient_for_two, one_with_gaps])
def test_torchs_function_takes_over_where_the_ring_could_not_scale(
    tmp_path: Path, reads: list[int], recording: Recording, oddity: Callable[[Net], dict[str, Any]]
) -> None:
    model, bare = Net(), Net()
    optimizer, plain = watched(model, tmp_path), torch.optim.SGD(bare.parameters(), lr=0.01)
    before: list[Step] = []
    after: list[Step] = []
    for _ in zip(losses(model, 2), losses(bare, 2), strict=True):
        options, _ = {"max_norm": 0.1} | oddity(model), oddity(bare)
        before.append(consumed(model))
        norm = optimizer.gradhealth.clip_grad_norm_(**options)
        # The same gradients, each once: torch's norm of two names of one tensor counts it twice.
        right = torch.nn.utils.clip_grad_norm_(bare.parameters(), **options)
        torch.testing.assert_close(norm, right, rtol=0, atol=0)
        after.append(consumed(model))
        for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, its.grad, rtol=0, atol=0)
        optimizer.step()
        plain.step()
    assert reads.count(-1) == 4
    optimizer.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")


def scale_by_two(model: Net) -> None:
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(2.0)


def replace(model: Net) -> None:
    assert model.head.weight.grad is not None
    model.head.weight.grad = model.head.weight.grad + 1.0


def remove(model: Net) -> None:
    model.head.bias.grad = None


@pytest.mark.parametrize("change", [scale_by_two, replace, remove])
def test_what_is_changed_after_clipping_is_measured_again(
    tmp_path: Path, recording: Recording, change: Callable[[Net], None]
) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    before, after = [], []
    for _ in losses(model, 3):
        before.append(consumed(model))
        optimizer.gradhealth.clip_grad_norm_(0.1)
        change(model)
        after.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_spreads_as_torch_spreads_it(
    tmp_path: Path, recording: Recording, special: float
) -> None:
    model, bare = Net(), Net()
    optimizer = watched(model, tmp_path)
    before, after = [], []
    for _ in zip(losses(model, 1), losses(bare, 1), strict=True):
        for net in (model, bare):
            net.head.weight.grad[0, 3] = special  # type: ignore[index]
        before.append(consumed(model))
        norm = optimizer.gradhealth.clip_grad_norm_(0.1)
        right = torch.nn.utils.clip_grad_norm_(bare.parameters(), 0.1)
        torch.testing.assert_close(norm, right, equal_nan=True)
        for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, its.grad, rtol=0, atol=0, equal_nan=True)
        after.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")


@pytest.mark.parametrize(("scale", "norm"), [(1e25, 1e27), (1e-30, 1e-28)])
def test_a_norm_whose_square_leaves_float32_is_right(tmp_path: Path, scale: float, norm: float) -> None:
    layer = torch.nn.Linear(100, 100, bias=False)
    optimizer = watched(layer, tmp_path, lr=0.0)
    layer.weight.grad = torch.full((100, 100), scale)
    assert optimizer.gradhealth.clip_grad_norm_(norm / 2).item() == pytest.approx(norm, rel=1e-6)
    assert layer.weight.grad.double().norm().item() == pytest.approx(norm / 2 if norm > 1 else norm, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_norm_has_the_dtype_of_torchs(tmp_path: Path, dtype: torch.dtype) -> None:
    model, bare = Net(dtype), Net(dtype)
    optimizer = watched(model, tmp_path)
    for _ in zip(losses(model, 2), losses(bare, 2), strict=True):
        norm = optimizer.gradhealth.clip_grad_norm_(0.1)
        right = torch.nn.utils.clip_grad_norm_(bare.parameters(), 0.1)
        torch.testing.assert_close(norm, right, rtol=1e-6, atol=0)
        for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, its.grad, rtol=1e-6, atol=0)


def test_in_16_bits_the_norm_is_that_of_the_gradients_where_torchs_is_rounded(tmp_path: Path) -> None:
    model = Net(torch.bfloat16)
    optimizer = watched(model, tmp_path)
    for _ in losses(model, 3):
        present = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        right = torch.cat([gradient.double().flatten() for gradient in present]).norm()
        expected = [(gradient.float() * (0.1 / (right + 1e-6)).float()).bfloat16() for gradient in present]
        norm = optimizer.gradhealth.clip_grad_norm_(0.1)
        assert norm.dtype is torch.float32
        assert norm.item() == pytest.approx(right.item(), rel=1e-6)
        assert all(torch.equal(a, b) for a, b in zip(present, expected, strict=True))


def test_two_optimizers_are_clipped_by_the_norm_of_both(tmp_path: Path, recording: Recording) -> None:
    model, bare = Net(), Net()
    first: Any = GradHealthWriter(torch.optim.SGD(model.body.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    second: Any = GradHealthWriter(torch.optim.SGD(model.head.parameters(), lr=0.02), model, beside=first)
    plain = [torch.optim.SGD(bare.body.parameters(), lr=0.01), torch.optim.SGD(bare.head.parameters(), lr=0.02)]
    before, after = [], []
    for _ in zip(losses(model, 3), losses(bare, 3), strict=True):
        before.append({name: figures for name, figures in consumed(model).items() if figures is not None})
        norm = first.gradhealth.clip_grad_norm_(0.1)
        right = torch.nn.utils.clip_grad_norm_([*bare.body.parameters(), *bare.head.parameters()], 0.1)
        torch.testing.assert_close(norm, right, rtol=1e-6, atol=0)
        after.append({name: figures for name, figures in consumed(model).items() if figures is not None})
        for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, its.grad, rtol=1e-5, atol=1e-6)
        for one in (first, second, *plain):
            one.step()
    assert first.gradhealth.problems == 0
    first.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")


def test_with_a_scaler_unscaled_gradients_are_read_once_more_scaled_ones_clipped_by_torch(
    tmp_path: Path, reads: list[int]
) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    for i in range(2):
        optimizer.zero_grad()
        backward(model, scaler, i)
        scaler.unscale_(optimizer)
        optimizer.gradhealth.clip_grad_norm_(1e9)
        scaler.step(optimizer)
        scaler.update()
    assert reads == [6, 6] * 2
    optimizer.zero_grad()
    backward(model, scaler, 2)
    reads.clear()
    optimizer.gradhealth.clip_grad_norm_(1e9)
    assert -1 in reads
    assert optimizer.gradhealth.problems == 0


def test_without_gradients_or_after_closing_it_is_torchs(tmp_path: Path, reads: list[int]) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    monitor = optimizer.gradhealth
    assert monitor.clip_grad_norm_(1.0).item() == 0.0
    monitor.close()
    next(losses(model, 1))
    reads.clear()
    assert monitor.clip_grad_norm_(0.1).item() > 0.1
    assert reads == [-1]
    present = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    assert torch.cat(present).norm().item() == pytest.approx(0.1, rel=1e-4)
