"""One training under a GradScaler with fp16 autocast, in which some attempts overflow and others are poisoned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net
from .recorded import Step, consumed, oracle

ATTEMPTS = 14
CLIP = 0.1

#: Attempt → what is written into one gradient.
Poison = Mapping[int, Callable[[Net], None]]


def _nan(model: Net) -> None:
    assert model.head.weight.grad is not None
    model.head.weight.grad[0, 3] = float("nan")


def _infinities(model: Net) -> None:
    gradient = model.body[0].weight.grad
    assert isinstance(gradient, torch.Tensor)
    gradient[2, 1], gradient[3, 0], gradient[5, 5] = float("inf"), float("-inf"), float("nan")


POISON: Poison = {8: _nan, 11: _infinities}

_CLASSES: dict[str, Any] = {
    # Without momentum: fused SGD reads an uninitialised buffer after a skipped first step, so two runs differ bare.
    "SGD": lambda p, **how: torch.optim.SGD(p, lr=0.05, **how),
    "AdamW": lambda p, **how: torch.optim.AdamW(p, lr=1e-2, **how),
}
_HOW: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
KINDS = [f"{name} {how}" for name in _CLASSES for how in _HOW]
MODES = ["auto", "unscale", "unscale and clip"]


def optimizer_of(kind: str, model: torch.nn.Module) -> Any:
    name, how = kind.split()
    return _CLASSES[name](model.parameters(), **_HOW[how])


@dataclass
class Attempt:
    """One attempt at a step: the gradients in true size, before and after clipping."""

    scale: float
    made: bool
    unclipped: Step
    applied: Step

    @property
    def shown(self) -> Step:
        """What the row must hold: nothing was applied in a skipped attempt."""
        return self.applied if self.made else self.unclipped


@dataclass
class Training:
    attempts: list[Attempt] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    parameters: list[torch.Tensor] = field(default_factory=list)
    scaler: Any = None
    problems: int = -1
    step: int = -1

    @property
    def skipped(self) -> list[int]:
        return [i for i, attempt in enumerate(self.attempts) if not attempt.made]


def batch(i: int) -> torch.Tensor:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(i))


def backward(model: Net, scaler: Any, i: int) -> None:
    with torch.autocast("cpu", dtype=torch.float16):
        out = model(batch(i))
    scaler.scale((out.float() - batch(i).sum(1, keepdim=True)).square().mean()).backward()


def unscaled(model: torch.nn.Module, scaler: Any) -> Step:
    """Figures of scaled gradients in true size, by the scaler's own arithmetic."""
    inverse = scaler._scale.double().reciprocal().float()
    return {n: None if p.grad is None else oracle(p.grad * inverse) for n, p in model.named_parameters()}


def train(
    kind: str,
    mode: str,
    logdir: Path | None = None,
    *,
    init_scale: float = 2.0**20,
    poison: Poison = POISON,
    attempts: int = ATTEMPTS,
    **options: Any,
) -> Training:
    model, done = Net(), Training()
    optimizer = optimizer_of(kind, model)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, **{"every": 1, **options})
    scaler = torch.amp.GradScaler("cpu", init_scale=init_scale, growth_interval=3)
    for i in range(attempts):
        optimizer.zero_grad()
        backward(model, scaler, i)
        if i in poison:
            poison[i](model)
        scale = scaler.get_scale()
        if mode == "auto":
            unclipped = applied = unscaled(model, scaler)
        else:
            scaler.unscale_(optimizer)
            unclipped = applied = consumed(model)
            if mode == "unscale and clip":
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                applied = consumed(model)
        scaler.step(optimizer)
        scaler.update()
        if logdir is not None:
            assert optimizer.gradhealth.step == i + 1
        done.scales.append(scaler.get_scale())
        done.attempts.append(Attempt(scale, done.scales[-1] >= scale, unclipped, applied))
    done.scaler = scaler
    done.parameters = [parameter.detach() for parameter in model.parameters()]
    if logdir is not None:
        done.step, done.problems = optimizer.gradhealth.step, optimizer.gradhealth.problems
        optimizer.gradhealth.close()
    return done
