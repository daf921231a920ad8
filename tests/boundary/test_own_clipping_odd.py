"""``optimizer.gradhealth.clip_grad_norm_`` where something fails, is compiled, a closure, or exchanged meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gradhealth_kernels.launch import StepRing
from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, losses
from .recorded import Recording, Step, consumed
from .test_own_clipping import watched


def test_a_new_gradient_in_the_place_of_one_that_is_gone_is_seen(tmp_path: Path, recording: Recording) -> None:
    model = torch.nn.Linear(4, 4, bias=False)
    optimizer = watched(model, tmp_path, lr=0.0)
    after = []
    for step in range(1, 21):
        model.weight.grad = torch.full((4, 4), float(step))
        optimizer.gradhealth.clip_grad_norm_(1e9)
        model.weight.grad = None
        model.weight.grad = torch.full((4, 4), 100.0 * step)  # as a rule at the same address, with the same id
        after.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(after)


def test_a_closure_that_clips_is_one_attempt_however_often_it_is_evaluated(
    tmp_path: Path, recording: Recording
) -> None:
    model, bare = Net(torch.float64), Net(torch.float64)
    kept = [p for name, p in model.named_parameters() if not name.startswith("unused")]
    optimizer: Any = torch.optim.LBFGS(kept, lr=0.1, max_iter=5)
    plain = torch.optim.LBFGS([p for n, p in bare.named_parameters() if not n.startswith("unused")], lr=0.1, max_iter=5)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    first: list[Step] = []
    x = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(4):
        seen: list[Step] = []

        def closure(net: Net = model, seen: list[Step] = seen, ours: bool = True) -> torch.Tensor:
            (optimizer if ours else plain).zero_grad()
            loss: torch.Tensor = net(x).square().mean()
            loss.backward()
            if ours:
                seen.append({name: figures for name, figures in consumed(net).items() if figures is not None})
                optimizer.gradhealth.clip_grad_norm_(1e9)
            else:
                torch.nn.utils.clip_grad_norm_(bare.parameters(), 1e9)
            return loss

        optimizer.step(closure)
        plain.step(lambda: closure(bare, [], False))
        assert len(seen) > 1
        first.append(seen[0])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), bare.parameters(), strict=True))
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (4, 0)
    optimizer.gradhealth.close()
    recording.check(first)
    recording.check(first, "unclipped")


def test_where_scaling_fails_torch_clips_and_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(StepRing, "scale", fail)
    model, bare = Net(), Net()
    optimizer, plain = watched(model, tmp_path), torch.optim.SGD(bare.parameters(), lr=0.01)
    with pytest.warns(UserWarning, match="no such kernel"):
        for _ in zip(losses(model, 2), losses(bare, 2), strict=True):
            norm = optimizer.gradhealth.clip_grad_norm_(0.1)
            assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(bare.parameters(), 0.1))
            for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
                torch.testing.assert_close(mine.grad, its.grad, rtol=0, atol=0)
            optimizer.step()
            plain.step()
    assert optimizer.gradhealth.problems == 2


def fails_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    original, calls = getattr(owner, name), [0]

    def sometimes(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise RuntimeError("not this time")
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, sometimes)


@pytest.mark.parametrize(("name", "call"), [("scale", 2), ("measure_gradients", 3), ("measure_gradients", 4)])
def test_gradients_are_scaled_once_whatever_fails_after_the_first_of_them(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    """The second optimizer's scaling fails, or the measuring of what became of one or the other."""
    model, bare = Net(), Net()
    first: Any = GradHealthWriter(torch.optim.SGD(model.body.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    second: Any = GradHealthWriter(torch.optim.SGD(model.head.parameters(), lr=0.01), model, beside=first)
    after = []
    fails_at(monkeypatch, StepRing, name, call)
    with pytest.warns(UserWarning, match="not this time"):
        for _ in zip(losses(model, 1), losses(bare, 1), strict=True):
            norm = first.gradhealth.clip_grad_norm_(0.1)
            right = torch.nn.utils.clip_grad_norm_([*bare.body.parameters(), *bare.head.parameters()], 0.1)
            torch.testing.assert_close(norm, right, rtol=1e-6, atol=0)
            for mine, its in zip(model.parameters(), bare.parameters(), strict=True):
                torch.testing.assert_close(mine.grad, its.grad, rtol=1e-6, atol=0)
            after.append({n: figures for n, figures in consumed(model).items() if figures is not None})
            first.step()
            second.step()
    assert first.gradhealth.problems == 1
    first.gradhealth.close()
    recording.check(after)


def test_inside_a_compiled_function_it_clips_as_outside(tmp_path: Path) -> None:
    model, bare = Net(), Net()
    optimizer = watched(model, tmp_path)

    @torch.compile(backend="eager")
    def clip() -> Any:
        return optimizer.gradhealth.clip_grad_norm_(0.1)

    for _ in zip(losses(model, 2), losses(bare, 2), strict=True):
        bare.load_state_dict(model.state_dict())
        norm = clip()
        right = torch.nn.utils.clip_grad_norm_(bare.parameters(), 0.1)
        torch.testing.assert_close(norm, right, rtol=1e-6, atol=0)
    assert optimizer.gradhealth.problems == 0
