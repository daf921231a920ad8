"""Parameters that are tied, swapped, frozen or added while the training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, losses, timeline
from .recorded import Recording, Step, consumed


def watched(model: torch.nn.Module, logdir: Path, **options: Any) -> Any:
    return GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=logdir, every=1, **options)


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(7, 5)
        self.out = torch.nn.Linear(5, 7, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.embed(tokens))
        return found


def test_tied_weights_are_one_entry_with_an_alias(tmp_path: Path, recording: Recording) -> None:
    model, rows = Tied(), []
    optimizer = watched(model, tmp_path)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.tensor([1, 4, 4])).square().sum().backward()
        rows.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    assert list(rows[0]) == ["embed.weight"]
    recording.check(rows)
    tensors: dict[str, Any] = dict(timeline(tmp_path).tensors)
    assert list(tensors) == ["embed.weight"]
    assert list(tensors["embed.weight"].aliases) == ["out.weight"]


def test_wandb_2625_layers_unfrozen_and_added_later_are_measured_from_then_on(
    tmp_path: Path, recording: Recording
) -> None:
    # wandb.watch hooks what needs a gradient when it is called, so layers thawed for fine-tuning never appear.
    model, rows = Net(), []
    model.body.requires_grad_(False)
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.head.parameters(), lr=0.01), model, logdir=tmp_path, every=1
    )
    for i, _ in enumerate(losses(model, 6)):
        watched_names = ("head", "body") if i > 2 else ("head",)
        rows.append({name: figures for name, figures in consumed(model).items() if name.startswith(watched_names)})
        optimizer.step()
        if i == 2:
            model.body.requires_grad_(True)
            optimizer.add_param_group({"params": model.body.parameters(), "lr": 1e-3})
    assert rows[3]["body.0.weight"] is not None
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (6, 0)
    optimizer.gradhealth.close()
    assert timeline(tmp_path).end == 6
    recording.check(rows)


def test_wandb_3640_a_frozen_layer_keeps_its_past_and_returns(tmp_path: Path, recording: Recording) -> None:
    # Its charts vanished in wandb once requires_grad was False. A pause is a gap, neither an end nor a zero.
    model, rows = Net(), []
    optimizer = watched(model, tmp_path)
    for i in range(9):
        model.body.requires_grad_(i not in (3, 4, 5))
        next(losses(model, 1, seed=i))
        rows.append(consumed(model))
        assert (rows[-1]["body.0.weight"] is None) == (i in (3, 4, 5))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(rows)


def test_data_swapped_for_another_shape(tmp_path: Path, recording: Recording) -> None:
    model, rows = torch.nn.Linear(6, 3), []
    optimizer = watched(model, tmp_path)
    for i in range(6):
        optimizer.zero_grad()
        if i == 3:
            model.weight.data, model.bias.data = torch.randn(5, 6), torch.randn(5)
        model(torch.randn(4, 6)).square().sum().backward()
        rows.append(consumed(model))
        optimizer.step()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (6, 0)
    optimizer.gradhealth.close()
    assert rows[5]["weight"] is not None
    assert rows[5]["weight"].counts["count"] == 30
    recording.check(rows)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_data_swapped_for_another_dtype(tmp_path: Path, recording: Recording, dtype: torch.dtype) -> None:
    model, rows = Net(), []
    optimizer = watched(model, tmp_path)
    for i in range(6):
        if i == 3:
            model.to(dtype)
        next(losses(model, 1, seed=i))
        if i == 4:
            model.head.weight.grad[0, 0] = torch.finfo(torch.float32).max / 2  # type: ignore[index]
        rows.append(consumed(model))
        optimizer.step()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (6, 0)
    optimizer.gradhealth.close()
    recording.check(rows)


def test_a_parameter_replaced_in_the_model_alone(tmp_path: Path, recording: Recording) -> None:
    """The optimizer still has the old one, which gets no gradient: not a zero, and not the new one's figures."""
    model, rows = Net(), []
    optimizer = watched(model, tmp_path)
    for i in range(4):
        if i == 2:
            optimizer.zero_grad()
            model.head = torch.nn.Linear(16, 1)
        next(losses(model, 1, seed=i))
        step: Step = consumed(model)
        if i >= 2:
            step = {name: None if name.startswith("head") else figures for name, figures in step.items()}
        rows.append(step)
        optimizer.step()
    assert optimizer.gradhealth.step == 4
    optimizer.gradhealth.close()
    found = recording.of("body.0.weight")
    assert sorted(found) == [0, 1, 2, 3]
    recording.check([{n: f for n, f in row.items() if not n.startswith("head")} for row in rows], total=False)
    assert all(recording.of("head.weight").get(step) is None for step in (2, 3))


def test_a_parameter_replaced_in_the_optimizer(tmp_path: Path, recording: Recording) -> None:
    """As densifying methods (Gaussian splatting) do at every other step."""
    model, rows = Net(), []
    optimizer = watched(model, tmp_path)
    for i in range(6):
        if i in (2, 4):
            model.head.weight = torch.nn.Parameter(model.head.weight.detach() * 0.5)
            params = list(model.parameters())
            optimizer.param_groups[0]["params"] = params
        next(losses(model, 1, seed=i))
        rows.append(consumed(model))
        optimizer.step()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (6, 0)
    optimizer.gradhealth.close()
    recording.check(rows)
