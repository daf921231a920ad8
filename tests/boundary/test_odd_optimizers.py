"""Optimizers that step in their own way: with closures, twice over, through another, or through super()."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net
from .amp import batch
from .recorded import Recording, Step, consumed, notes_of


def backward(model: Net, i: int) -> torch.Tensor:
    loss: torch.Tensor = (model(batch(i)) - batch(i).sum(1, keepdim=True)).square().mean()
    loss.backward()
    return loss


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimisation as published: climbs, evaluates again, and lets another optimizer step."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"rho": 0.05, "lr": lr})
        self.base = torch.optim.SGD(self.param_groups, lr=lr)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["climb"] = group["rho"] * p.grad / (p.grad.norm() + 1e-12)
                    p.add_(self.state[p]["climb"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(self.state[p]["climb"])
        self.base.step()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        closure = torch.enable_grad()(closure)
        self.first_step()
        closure()
        self.second_step()


@pytest.mark.parametrize("which", ["outer", "base"])
def test_sam_is_one_step_of_the_gradient_that_is_applied(tmp_path: Path, recording: Recording, which: str) -> None:
    model, rows = Net(), []
    sam = Sam(model.parameters(), lr=0.05)
    monitor = GradHealthWriter(sam if which == "outer" else sam.base, model, logdir=tmp_path, every=1).gradhealth
    for i in range(4):
        backward(model, i)

        def closure(i: int = i) -> torch.Tensor:
            loss = backward(model, i)
            rows.append(consumed(model))
            return loss

        sam.step(closure)
        sam.zero_grad()
    assert (monitor.step, monitor.problems) == (4, 0)
    monitor.close()
    recording.check(rows)
    assert notes_of(tmp_path) == []


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_is_one_step_of_its_first_evaluation(
    tmp_path: Path, recording: Recording, line_search: str | None
) -> None:
    model, rows = Net(), []
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn=line_search)
    GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    for _ in range(3):
        evaluations = itertools.count()

        def closure(evaluations: Any = evaluations) -> torch.Tensor:
            optimizer.zero_grad()
            loss = backward(model, 0)
            if next(evaluations) == 0:
                rows.append(consumed(model))
            return loss

        optimizer.step(closure)
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (3, 0)
    optimizer.gradhealth.close()
    recording.check(rows)


class Through(torch.optim.AdamW):
    """Calls super().step(), so that torch's hooks fire twice."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


class Halving(torch.optim.SGD):
    """Its own step() around another's, without a hook of its own between them."""

    def step(self, closure: Any = None, factor: float = 0.5) -> Any:
        for group in self.param_groups:
            group["lr"] *= factor
        return super().step(closure=closure)


@pytest.mark.parametrize("kind", [Through, Halving])
def test_a_step_that_calls_super(tmp_path: Path, recording: Recording, kind: Any) -> None:
    model, rows = Net(), []
    kind.__base__(model.parameters(), lr=0.1)  # patches the base's step too, so that both classes fire hooks
    optimizer = GradHealthWriter(kind(model.parameters(), lr=0.1), model, logdir=tmp_path, every=1)
    for i in range(4):
        optimizer.zero_grad()
        backward(model, i)
        rows.append(consumed(model))
        optimizer.step()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (4, 0)
    optimizer.gradhealth.close()
    recording.check(rows)


class Combined(torch.optim.Optimizer):
    """Holds two optimizers and steps both, as some combined optimizers do."""

    def __init__(self, model: Net) -> None:
        super().__init__([{"params": model.body.parameters()}, {"params": model.head.parameters()}], {"lr": 0.01})
        self.parts = [torch.optim.SGD([group]) for group in self.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for part in self.parts:
            part.step()


def test_an_optimizer_of_optimizers(tmp_path: Path, recording: Recording) -> None:
    model = Net()
    optimizer = GradHealthWriter(Combined(model), model, logdir=tmp_path, every=1)
    rows: list[Step] = []
    for i in range(3):
        optimizer.zero_grad()
        backward(model, i)
        rows.append({name: figures for name, figures in consumed(model).items() if not name.startswith("unused")})
        optimizer.step()
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    recording.check(rows)
    assert notes_of(tmp_path) == []


def test_two_steps_on_one_gradient(tmp_path: Path, recording: Recording) -> None:
    model, rows = Net(), []
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    backward(model, 0)
    for _ in range(2):
        rows.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(rows)
