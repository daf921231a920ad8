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
