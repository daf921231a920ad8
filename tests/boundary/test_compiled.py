"""torch.compile around the model, the step, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, timeline
from .amp import batch
from .recorded import Recording, consumed, notes_of


@pytest.mark.parametrize(
    ("backend", "step"),
    [
        (None, "compiled step"),
        ("eager", "eager step"),
        ("eager", "compiled step"),
        ("aot_eager", "eager step"),
        ("aot_eager", "compiled step"),
    ],
)
def test_wandb_10221_compiled_models_are_seen(
    tmp_path: Path, recording: Recording, backend: str | None, step: str
) -> None:
    # wandb.watch hangs hooks on the model, which fail in a compiled one or break its graph.
    torch._dynamo.reset()
    inner, rows = Net(), []
    model: Any = inner if backend is None else torch.compile(inner, backend=backend)
    optimizer: Any = torch.optim.AdamW(model.parameters(), foreach=True)
    GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    call = torch.compile(optimizer.step, backend="eager") if step == "compiled step" else optimizer.step
    for i in range(4):
        optimizer.zero_grad()
        (model(batch(i)) - batch(i).sum(1, keepdim=True)).square().mean().backward()
        rows.append(consumed(inner))
        call()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (4, 0)
    optimizer.gradhealth.close()
    assert "head.weight" in timeline(tmp_path).tree.names
    recording.check(rows)
    assert notes_of(tmp_path) == []


def test_a_compiled_training_step_around_all(tmp_path: Path, recording: Recording) -> None:
    torch._dynamo.reset()
    model, rows = Net(), []
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)

    def look() -> None:
        rows.append(consumed(model))

    apart: Any = torch._dynamo.disable(look)

    @torch.compile(backend="eager")
    def train(x: torch.Tensor) -> None:
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        apart()
        optimizer.step()

    for i in range(3):
        train(batch(i))
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (3, 0)
    optimizer.gradhealth.close()
    recording.check(rows)
