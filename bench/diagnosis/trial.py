"""One training of the ground, recorded by the real writer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tb_gradhealth import GradHealthWriter

from .architectures import ARCHITECTURES
from .architectures.task import Batch, Task
from .cells import Cell, habit_of
from .faults import Fault
from .habits import Habit
from .pathologies import PATHOLOGIES
from .probes import Figures, probe

#: What is recorded beside gradients, activations, inputs, predictions and attention.
STREAMS = ("weights", "updates", "spectrum")

#: Runs of another edition are made again: count up whenever a training changes.
EDITION = 1

OUTCOME = "outcome.json"
EVALUATED = 256
#: Steps between two validation losses, and samples of one.
VALIDATE_EVERY, VALIDATED = 20, 64


@dataclass(frozen=True)
class Outcome:
    """What came of a training: the evaluation loss before and after it, what the model looks like, which nodes a fault
    turned out to be in, and what it measured of itself."""

    start: float
    end: float
    figures: Figures
    nodes: tuple[str, ...]
    fault: dict[str, float]
    moved: dict[str, float]  # parameter → ‖now − at the onset‖ / ‖at the onset‖

    @property
    def finite(self) -> bool:
        return bool(self.figures["whole"]["finite"]) and math.isfinite(self.end)


class Trial:
    """A training that goes step by step."""

    def __init__(self, cell: Cell, logdir: Path | None) -> None:
        self.cell, self.habit = cell, habit_of(cell)
        torch.manual_seed(cell.seed)
        self.task: Task = ARCHITECTURES[cell.architecture].make(self.habit.knobs, cell.seed)
        self.model = self.task.model
        kind = PATHOLOGIES[cell.pathology].fault if cell.pathology else Fault
        self.fault = kind(self.task, cell.seed)
        self.source = torch.Generator().manual_seed(1000 + cell.seed)
        self.pool = self.task.draw(self.habit.pool, self.source) if self.habit.pool else None
        self.eval = self.pool or self.task.draw(EVALUATED, torch.Generator().manual_seed(2000 + cell.seed))
        if self.habit.zero_head:
            nn.init.zeros_(self.model.get_parameter(f"{self.task.sites.head}.weight"))
        if self.habit.frozen:
            dict(self.model.named_parameters())[self.task.sites.weights[-1]].requires_grad_(False)
        self.optimizers = _optimizers(self.model, self.habit, self.task.rate)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**28, growth_interval=60) if self.habit.scaler else None
        self.monitor = self._watch(logdir) if logdir is not None else None
        self.reference: dict[str, torch.Tensor] = {}

    def _watch(self, logdir: Path) -> Any:
        first, *others = self.optimizers
        every = self.cell.every
        # The judges diagnose what is recorded, each in its own way.
        watched = GradHealthWriter(
            first, self.model, logdir=logdir, every=every, streams=STREAMS, activations="auto", diagnose=False
        )
        for other in others:
            GradHealthWriter(other, self.model, beside=watched)
        return watched.gradhealth

    def run(self) -> Outcome:
        start = self.evaluate(0)
        for step in range(self.cell.steps):
            self.step(step)
        last = self.cell.steps - 1
        if self.monitor is not None:
            self.monitor.close()
        end = self.evaluate(last)
        batch = Batch(self._view(self.eval.inputs, last), self.eval.targets)
        moved = {
            name: float((parameter.detach() - was).norm() / was.norm().clamp(min=1e-12))
            for name, parameter in self.model.named_parameters()
            if (was := self.reference.get(name)) is not None and parameter.requires_grad
        }
        return Outcome(start, end, probe(self.task, batch), self.fault.nodes, self.fault.figures(), moved)

    def step(self, step: int) -> None:
        strength, done = self.cell.strength(step), step / self.cell.steps
        if step == self.cell.onset_step:
            self.reference = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        rate = self.task.rate * self.habit.rate(done) * self.fault.rate(strength)
        self.fault.before(strength)
        for turn, optimizer in enumerate(self.optimizers):
            for group in optimizer.param_groups:
                group["lr"] = rate * (10.0 if self.habit.optimizer == "SGD" else 1.0)
            self._learn(optimizer, self._batch(step, done, strength), strength, watched=turn == 0)
        if step % VALIDATE_EVERY == VALIDATE_EVERY - 1 and self.monitor is not None and self.task.figure is None:
            fresh = self.task.draw(VALIDATED, torch.Generator().manual_seed(3000 + step))
            batch = self.pool or Batch(self._view(fresh.inputs, step), fresh.targets)
            self.monitor.log(val_loss=self.task.evaluate(batch))

    def _batch(self, step: int, done: float, strength: float) -> Batch:
        count = max(2, round(self.task.batch * self.habit.batch(done)))
        self.task.view = lambda inputs: self._view(inputs, step)
        if self.pool is not None:
            batch = self.pool.part(torch.randint(len(self.pool.inputs), (count,), generator=self.source))
        else:
            batch = self.task.draw(count, self.source)
        if self.habit.label_noise:
            noisy = torch.rand(len(batch.targets), generator=self.source) < self.habit.label_noise
            others = batch.targets[torch.randperm(len(batch.targets), generator=self.source)]
            shape = (-1,) + (1,) * (batch.targets.dim() - 1)
            batch = Batch(batch.inputs, torch.where(noisy.view(shape), others, batch.targets))
        scale = self.habit.input_scale
        return self.fault.data(Batch(batch.inputs * scale, batch.targets) if scale != 1.0 else batch, strength)

    def _learn(self, optimizer: torch.optim.Optimizer, batch: Batch, strength: float, watched: bool) -> None:
        for one in self.optimizers:
            one.zero_grad()
        passes = self.habit.accumulated
        losses = [self._backward(batch.part(slice(turn, None, passes)), watched) for turn in range(passes)]
        self.fault.gradients(strength)
        if self.scaler is not None:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.copy_(parameter.grad.half())
            self.scaler.unscale_(optimizer)
        if self.habit.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.habit.clip)
        if self.scaler is not None:
            self.scaler.step(optimizer)
            self.scaler.update()
        else:
            optimizer.step()
        if self.monitor is not None and watched:
            self.monitor.log(loss=torch.stack(losses).mean())

    def _backward(self, batch: Batch, watched: bool) -> torch.Tensor:
        loss, predictions = self.task.loss(batch)
        if self.monitor is not None and watched:
            if batch.inputs.is_floating_point():
                self.monitor.observe("input", batch.inputs)
            self.monitor.observe("prediction", predictions.detach(), kind="prediction")
            for name, weights in self.task.attention.items():
                self.monitor.observe(name, weights, kind="attention")
        if loss.requires_grad:
            scaled = loss / self.habit.accumulated
            (scaled if self.scaler is None else self.scaler.scale(scaled)).backward()
        return loss.detach()

    def evaluate(self, step: int) -> float:
        self.task.view = lambda inputs: self._view(inputs, step)
        return self.task.evaluate(Batch(self._view(self.eval.inputs, step), self.eval.targets))

    def _view(self, inputs: torch.Tensor, step: int) -> torch.Tensor:
        """Inputs as they are in use: scaled by the habit, off scale by the fault."""
        scaled = inputs * self.habit.input_scale if inputs.is_floating_point() else inputs
        return self.fault.seen(scaled, self.cell.strength(step))


def _optimizers(model: nn.Module, habit: Habit, rate: float) -> list[torch.optim.Optimizer]:
    def one(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        if habit.optimizer == "SGD":
            return torch.optim.SGD(parameters, lr=rate, momentum=0.9)
        if habit.optimizer == "RMSprop":
            return torch.optim.RMSprop(parameters, lr=rate, alpha=0.9)
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=habit.weight_decay)

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not habit.alternating:
        return [one(trained)]
    return [one(list(half)) for half in (trained[: len(trained) // 2], trained[len(trained) // 2 :]) if half]


def save(outcome: Outcome, folder: Path) -> None:
    """Last of all, so that a folder that has it is complete."""
    written = {"edition": EDITION, **vars(outcome)}
    (folder / OUTCOME).write_text(json.dumps(written, indent=1) + "\n")


def saved(folder: Path) -> Outcome | None:
    """None where no training of this edition came to its end."""
    try:
        written = json.loads((folder / OUTCOME).read_text())
    except (OSError, ValueError):
        return None
    if written.pop("edition", None) != EDITION:
        return None
    return Outcome(**{**written, "nodes": tuple(written["nodes"])})
