"""Real trainings, short ones, through the real writer: a disease is found where it was put, and health is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.diagnosis import Diagnosis, diagnose

STEPS, ONSET, WIDTH = 50, 25, 16
STREAMS = ["weights", "updates", "spectrum", "dead_rows"]

Change = Callable[[nn.Sequential, torch.optim.Optimizer, int, torch.Tensor], torch.Tensor]


def train(path: Path, change: Change, every: int = 1, model: nn.Sequential | None = None) -> Diagnosis:
    """A regression that a small network learns; ``change`` gets each batch of inputs and returns one to learn from."""
    torch.manual_seed(0)
    if model is None:
        model = nn.Sequential(nn.Linear(8, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))
    plain = torch.optim.Adam(model.parameters(), 3e-3)
    optimizer = GradHealthWriter(plain, model, logdir=path, every=every, streams=STREAMS, activations="auto")
    target = torch.randn(8, 1)
    for step in range(STEPS):
        inputs = torch.randn(32, 8)
        wanted = (inputs @ target).tanh()
        inputs = change(model, optimizer, step, inputs)
        predicted = model(inputs)
        loss = nn.functional.mse_loss(predicted, wanted)
        optimizer.gradhealth.observe("x", inputs, kind="input")
        optimizer.gradhealth.observe("y", predicted, kind="prediction")
        optimizer.zero_grad()
        loss.backward()
        optimizer.gradhealth.log(loss=loss)
        optimizer.step()
    optimizer.gradhealth.close()
    return diagnose(path)


def offset(model: nn.Sequential, optimizer: torch.optim.Optimizer, step: int, x: torch.Tensor) -> torch.Tensor:
    return x + 10 if step >= ONSET else x


def rate(model: nn.Sequential, optimizer: torch.optim.Optimizer, step: int, x: torch.Tensor) -> torch.Tensor:
    optimizer.param_groups[0]["lr"] = 3e-3 if step < ONSET else 3.0
    return x


def nothing(model: nn.Sequential, optimizer: torch.optim.Optimizer, step: int, x: torch.Tensor) -> torch.Tensor:
    return x


@pytest.mark.parametrize(
    ("change", "kind", "nodes", "every"),
    [
        (offset, "SCALE_MISMATCH", {"0"}, 1),
        (rate, "EXPLODING", {"", "0.weight", "2.weight"}, 10),
    ],
)
def test_a_disease_is_found_where_and_when_it_began(
    tmp_path: Path, change: Change, kind: str, nodes: set[str], every: int
) -> None:
    diagnosis = train(tmp_path, change, every)
    assert diagnosis.problems == ()
    alarms = [one for one in diagnosis.findings if one.severity != "notice"]
    first = next(one for one in alarms if one.type == kind)
    assert first.node in nodes
    assert ONSET - every < first.start < ONSET + 10
    assert first.detected <= ONSET + 10 + 2 * every
    assert min(one.detected for one in alarms) >= ONSET


def test_health_with_a_frozen_layer_raises_no_alarm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
    model[0].requires_grad_(False)
    diagnosis = train(tmp_path, nothing, model=model)
    assert [one for one in diagnosis.findings if one.severity != "notice"] == []
    assert {one.rule for one in diagnosis.missing} == set()
