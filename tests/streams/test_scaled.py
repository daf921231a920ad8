"""Gradients of activations under a GradScaler are those of the loss itself, whatever its scale was by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tb_gradhealth import GradHealthWriter, open_run

from .golden import Step, assert_rows

SCALED, PLAIN = 6, 3
SCALE = 2.0**12


@pytest.mark.parametrize("how", ["step", "unscale", "fused", "accumulated"])
def test_every_row_and_metric(tmp_path: Path, how: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=how == "fused")
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=2)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, activations=True)
    graded: dict[int, dict[str, list[Any]]] = {}
    scales = []

    def forward(step: int, scale: float) -> torch.Tensor:
        x = torch.randn(16, 6)
        for name, module in model.named_children():
            x = module(x)
            x.register_hook(lambda g, name=name: graded.setdefault(step, {}).setdefault(name, []).append(g / scale))
        return x.square().mean() * 1e-7  # so small that scaled ones are not near zero, where these are

    for step in range(SCALED + PLAIN):
        scales.append(scaler.get_scale() if step < SCALED else 1.0)
        for _ in range(2 if how == "accumulated" else 1):
            loss = forward(step, scales[-1])
            (scaler.scale(loss) if step < SCALED else loss).backward()
        if step < SCALED:
            if how == "unscale":
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        optimizer.zero_grad()
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    assert len(set(scales)) == 4, "the scale must have grown"

    # At the first step nobody knows yet that there is a scaler, and at the first one without, not any more.
    sampled: dict[int, Step] = {
        step: {name: np.concatenate([g.double().numpy().ravel() for g in found]) for name, found in names.items()}
        for step, names in graded.items()
        if step not in (0, SCALED)
    }
    near = [np.mean(np.abs(names["1"]) < 1e-8) for names in sampled.values()]
    assert 0.3 < min(near)
    assert 0.3 < np.mean(np.abs(sampled[1]["1"]) * SCALE > 1e-8)

    def extreme(pick: Any) -> Any:
        return lambda step, names: float(
            pick(np.concatenate([sampled[step][name] for name in names if name in sampled[step]]))
        )

    further = {"minimum": extreme(np.min), "maximum": extreme(np.max)}
    assert_rows(open_run(tmp_path), "activation_gradients", sampled, further)


def test_another_optimizer_that_shares_the_scaler(tmp_path: Path) -> None:
    """The generator's backward pass goes through the discriminator when that has stepped, and the scale not changed."""
    torch.manual_seed(0)
    generator, model = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=2)
    other: Any = torch.optim.SGD(generator.parameters(), lr=1e-3)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, activations=True)
    graded: dict[int, dict[str, list[Any]]] = {}

    def judged(x: torch.Tensor, step: int) -> torch.Tensor:
        scale = scaler.get_scale()
        for name, module in model.named_children():
            x = module(x)
            x.register_hook(lambda g, name=name: graded.setdefault(step, {}).setdefault(name, []).append(g / scale))
        return x.mean()

    for step in range(SCALED):
        scaler.scale(judged(torch.randn(16, 6), step)).backward()
        scaler.step(optimizer)
        scaler.scale(judged(generator(torch.randn(16, 4)), step + 1)).backward()
        scaler.step(other)
        scaler.update()
        optimizer.zero_grad()
        other.zero_grad()
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    rows = open_run(tmp_path).read("activation_gradients", "norm", nodes="1", steps=(1, SCALED), width=SCALED)
    wanted = [
        np.linalg.norm(np.concatenate([g.double().numpy().ravel() for g in graded[step]["1"]]))
        for step in range(1, SCALED)
    ]
    assert rows.values[0].tolist() == pytest.approx(wanted, rel=1e-3)
