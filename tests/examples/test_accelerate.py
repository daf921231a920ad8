"""Accelerate: its wrapper, schedule, scaler and checkpoints do what they do without us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tests.writer.loops import Net, timeline

from .compare import Training, assert_same, spoil

accelerate = pytest.importorskip("accelerate")

STEPS = 10


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    """Accelerate keeps one state in a process."""
    yield
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def train(logdir: Path, watch: str, scaled: bool = False, accumulated: int = 1) -> Training:
    done = Training()
    with done.observed():
        accelerator: Any = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulated)
        if scaled:
            accelerator.scaler = torch.amp.GradScaler("cpu")  # Accelerate makes one only where there is a GPU
        model: Any = Net()
        spoil(model.head.weight, {1, 4} if scaled else set())
        optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-2)
        if watch == "before":
            GradHealthWriter(optimizer, model, logdir=logdir, every=1)
        schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
        if watch == "after":
            GradHealthWriter(optimizer.optimizer, model, logdir=logdir, every=1)
        generator = torch.Generator().manual_seed(1)
        for _ in range(STEPS * accumulated):
            with accelerator.accumulate(model):
                loss = (model(x := torch.randn(8, 6, generator=generator)) - x.sum(1, keepdim=True)).square().mean()
                accelerator.backward(loss)
                if scaled:  # as clip_grad_norm_ does where there is a GPU
                    accelerator.scaler.unscale_(optimizer.optimizer)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            done.losses.append(loss.item())
            done.rates.append(schedule.get_last_lr()[0])
            done.skipped.append(optimizer.step_was_skipped)
        done.keep(model)
        if watch != "no":
            optimizer.optimizer.gradhealth.close()
    return done


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_training_is_the_same(tmp_path: Path, where: str, accumulated: int) -> None:
    assert_same(lambda watch: train(tmp_path, where if watch else "no", accumulated=accumulated))
    assert timeline(tmp_path).end == STEPS


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_schedule_waits_for_skipped_steps_as_it_does_without_us(tmp_path: Path, where: str) -> None:
    done = assert_same(lambda watch: train(tmp_path, where if watch else "no", scaled=True))
    assert [step for step, skipped in enumerate(done.skipped) if skipped] == [1, 4]
    assert done.rates[:6] == [1e-2, 1e-2, 5e-3, 5e-3, 5e-3, 2.5e-3]
    assert timeline(tmp_path).end == STEPS  # the skipped ones are steps of the axis too


def test_a_restored_state_continues_the_step_axis(tmp_path: Path) -> None:
    for steps in (4, 3):
        accelerator: Any = accelerate.Accelerator(cpu=True)
        model: Any = Net()
        watched: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path / "run")
        model, optimizer = accelerator.prepare(model, watched)
        accelerator.register_for_checkpointing(watched.gradhealth)
        if (tmp_path / "state").exists():
            accelerator.load_state(str(tmp_path / "state"))
        for _ in range(steps):
            accelerator.backward(model(torch.ones(8, 6)).square().mean())
            optimizer.step()
            optimizer.zero_grad()
        accelerator.save_state(str(tmp_path / "state"))
        watched.gradhealth.close()
    assert timeline(tmp_path / "run").end == 7
