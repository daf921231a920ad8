"""Trains the configurations, on each rank of one launch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from tb_gradhealth import GradHealthWriter

from .configurations import RUNS, Run, Setup
from .model import BATCH, PLANTED_STEP, Net, loss
from .record import Arrays, Report, gathered, named, placements, recorded, save_steps


def train_all(rank: int, processes: int, directory: Path) -> None:
    for run in RUNS[processes]:
        print(run, flush=True)
        (directory / str(run)).mkdir(exist_ok=True)
        _train(run, rank, directory / str(run))


def _train(run: Run, rank: int, directory: Path) -> None:
    torch._dynamo.reset()
    net, report = Net(run.whole), Report()
    setup = run.build(net)
    optimizer = setup.optimizer(setup.model)
    gradients: list[Arrays] = []
    weights: list[Arrays] = []
    updates: list[Arrays] = []
    with recorded(report, directory, rank):
        optimizer = GradHealthWriter(
            optimizer, setup.model, logdir=directory / "run", every=run.every, streams=("weights", "updates")
        )
        monitor = optimizer.gradhealth
        for step in range(run.steps):
            net.down.planting = step == PLANTED_STEP
            optimizer.zero_grad()
            _backward(setup, step, run.whole)
            gradients.append(gathered(setup.model))
            report.placements = placements(setup.model)
            weights.append(gathered(setup.model, of_weights=True))
            with report.timed():
                restore = _step(optimizer, setup.model, keep=net.down.planting or run.whole)
            after = gathered(setup.model, of_weights=True)
            updates.append({name: after[name] - weight for name, weight in weights[-1].items()})
            restore()
            report.steps += 1
        with report.timed():
            monitor.close()
    report.problems = monitor.problems
    report.save(directory, rank)
    if rank == 0:
        for kind, steps in (("gradients", gradients), ("weights", weights), ("updates", updates)):
            save_steps(steps, directory / f"{kind}.npz")


def _backward(setup: Setup, step: int, whole: bool) -> None:
    size = BATCH // setup.replicas // setup.micro
    for part in range(setup.micro):
        begin = (setup.index * setup.micro + part) * size
        last = part == setup.micro - 1
        with nullcontext() if last or setup.replicas == 1 else setup.model.no_sync():
            rows = slice(begin, begin + size)
            loss(setup.model, step, whole, rows, setup.replicas, setup.micro).backward()


def _step(optimizer: Any, model: torch.nn.Module, keep: bool) -> Callable[[], None]:
    """Returns what puts the parameters back where they are to be kept: planted values must not spread, and whole
    numbers stay small."""
    before = [parameter.detach().clone() for _, parameter in named(model)] if keep else []
    optimizer.step()

    def restore() -> None:
        with torch.no_grad():
            for (_, parameter), value in zip(named(model), before, strict=False):
                parameter.copy_(value)

    return restore
