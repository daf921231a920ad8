"""Activations and their gradients of a real training against float64 figures from hooks of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tb_gradhealth import GradHealthWriter, open_run

from .golden import Step, Tensor, assert_rows

STEPS, EVERY, WINDOW = 98, 4, 20
SAMPLED = range(0, STEPS, EVERY)


class Net(nn.Module):
    """One of each kind, a layer that is called twice, a dead channel, a tanh and a GELU beyond limits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 5, 3)
        self.rectify = nn.ReLU()
        self.body = nn.ModuleDict({"wide": nn.Linear(80, 32), "squash": nn.Tanh()})
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.shared = nn.Linear(8, 8)
        self.bend = nn.GELU()
        self.gate = nn.Sigmoid()
        self.head = nn.Linear(32, 1)
        self.unused = nn.Linear(3, 3)
        with torch.no_grad():
            self.conv.bias[1] = -100.0
            self.body["wide"].weight *= 30
            self.shared.weight *= 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rectify(self.conv(x)).flatten(1)
        x = self.body["squash"](self.body["wide"](x)).reshape(-1, 4, 8)
        x = self.norm(x + self.attend(x, x, x)[0])
        x = self.gate(self.bend(self.shared(self.shared(x))))
        out: torch.Tensor = self.head(x.flatten(1))
        return out


CHOSEN = {
    "conv": 1, "rectify": 1, "body.wide": -1, "body.squash": -1, "attend": None, "norm": None, "shared": -1,
    "bend": -1, "gate": -1, "head": -1,
}  # fmt: skip
"""Name → dimension that its units lie along, None where there are none."""

LIMITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rectify": lambda x, y: y == 0,
    "body.squash": lambda x, y: np.abs(y) >= 1 - 2.0**-23,
    "gate": lambda x, y: (y <= 2.0**-23) | (y >= 1 - 2.0**-23),
    "bend": lambda x, y: np.abs(x) > 3,
}
"""From input and output."""


class Kept:
    """Calls by step and module, in float64: their inputs, outputs, and gradients with respect to the outputs."""

    def __init__(self, model: nn.Module) -> None:
        self.step = 0
        self.calls: dict[int, dict[str, list[tuple[Tensor, Tensor]]]] = {}
        self.gradients: dict[int, dict[str, list[Tensor]]] = {}
        for name in CHOSEN:
            model.get_submodule(name).register_forward_hook(self._of(name))

    def _of(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            step = self.step
            self.calls.setdefault(step, {}).setdefault(name, []).append((double(arguments[0]), double(tensor)))

            def graded(gradient: torch.Tensor) -> None:
                self.gradients.setdefault(step, {}).setdefault(name, []).append(double(gradient))

            tensor.register_hook(graded)

        return hook

    def outputs(self, step: int) -> Step:
        return {name: np.concatenate([y.ravel() for _, y in calls]) for name, calls in self.calls[step].items()}

    def limit_fraction(self, step: int, names: Sequence[str]) -> float:
        limited = [LIMITS[name](x, y) for name in names if name in LIMITS for x, y in self.calls[step][name]]
        return float(np.concatenate([one.ravel() for one in limited]).mean()) if limited else np.nan

    def dead(self, step: int, name: str) -> Tensor | None:
        """Units that were below 1e-6 at each of the last looks."""
        dimension = CHOSEN[name]
        if dimension is None:
            return None
        silent = []
        for look in [one for one in SAMPLED if one <= step][-WINDOW:]:
            outputs = [np.moveaxis(y, dimension, -1) for _, y in self.calls[look][name]]
            silent.append(np.all([np.abs(y).reshape(-1, y.shape[-1]).max(0) < 1e-6 for y in outputs], axis=0))
        whole = len(silent) == WINDOW
        return np.all(silent, axis=0) & whole

    def dead_unit_fraction(self, step: int, names: Sequence[str]) -> float:
        dead = [one for one in (self.dead(step, name) for name in names) if one is not None]
        return float(np.concatenate(dead).mean()) if dead else np.nan

    def batch_spread(self, step: int, names: Sequence[str]) -> float:
        outputs = [y for name in names for _, y in self.calls[step].get(name, [])]
        between = sum(float(((y - y.mean(0)) ** 2).sum()) for y in outputs)
        return float(np.sqrt(between / sum(float((y**2).sum()) for y in outputs))) if outputs else np.nan


def double(tensor: torch.Tensor) -> Tensor:
    return tensor.detach().double().numpy().copy()


def train(model: nn.Module, steps: int, logdir: Path | None, kept: Kept | None = None, **options: Any) -> list[Any]:
    """Everything that training leaves behind; ``options`` are the writer's."""
    torch.manual_seed(7)
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=EVERY, **options)
    left = []
    for step in range(steps):
        if kept is not None:
            kept.step = step
        loss = (model(torch.randn(6, 1, 6, 6)) - 1).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        left.append(loss.detach())
    if logdir is not None:
        assert optimizer.gradhealth.problems == 0
        left.append(optimizer.gradhealth.dead_units())
        optimizer.gradhealth.close()
    return [*left, *(parameter.detach() for parameter in model.parameters()), torch.get_rng_state()]


def test_every_row_and_metric(tmp_path: Path) -> None:
    model = Net()
    kept = Kept(model)
    left = train(model, STEPS, tmp_path, kept, activations="auto")
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "activation_gradients", "activations"]

    def extreme(pick: Callable[[Tensor], float], tensors: Callable[[int], Step]) -> Callable[..., float]:
        def of(step: int, names: Sequence[str]) -> float:
            found = [tensors(step)[name] for name in names if name in tensors(step)]
            return float(pick(np.concatenate([one.ravel() for one in found]))) if found else np.nan

        return of

    outputs = {step: kept.outputs(step) for step in SAMPLED}
    further = {
        "minimum": extreme(np.min, outputs.__getitem__),
        "maximum": extreme(np.max, outputs.__getitem__),
        "limit_fraction": kept.limit_fraction,
        "dead_unit_fraction": kept.dead_unit_fraction,
        "batch_spread": kept.batch_spread,
    }
    assert_rows(run, "activations", outputs, further)
    shared = [kept.limit_fraction(0, [name]) for name in LIMITS]
    assert min(shared[0], shared[1], shared[3]) > 0.01  # or the limits were not put to a test

    last = SAMPLED[-1]
    dead = {name: np.flatnonzero(kept.dead(last, name)).tolist() for name in CHOSEN if CHOSEN[name] is not None}
    assert left[STEPS] == {name: indices for name, indices in dead.items() if indices}
    assert left[STEPS]["rectify"] == [1]

    gradients = {
        step: {name: np.concatenate([g.ravel() for g in found]) for name, found in kept.gradients[step].items()}
        for step in SAMPLED
    }
    signed = {
        "minimum": extreme(np.min, gradients.__getitem__),
        "maximum": extreme(np.max, gradients.__getitem__),
    }
    assert_rows(run, "activation_gradients", gradients, signed)


def test_training_is_bit_identical(tmp_path: Path) -> None:
    bare = train(Net(), 12, None)
    watched = train(Net(), 12, tmp_path, activations=True, streams="all")
    del watched[12]  # dead units
    assert len(bare) == len(watched)
    assert all(torch.equal(one, other) for one, other in zip(bare, watched, strict=True))
