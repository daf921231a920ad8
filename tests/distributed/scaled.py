"""Training under a GradScaler on two ranks, of which one alone meets a NaN; and FSDP of the first kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor

from tb_gradhealth import GradHealthWriter

from .configurations import Setup, ddp, fsdp2
from .model import BATCH, Net, loss
from .record import Arrays, Report, gathered, recorded, save_steps

STEPS = 6
BAD_STEP, BAD = 3, "head.weight"
MODES = ("auto", "unscale_", "clip")
CASES: tuple[tuple[Callable[[Net], Setup], str], ...] = tuple((build, mode) for build in (ddp, fsdp2) for mode in MODES)


def name_of(build: Callable[[Net], Setup], mode: str) -> str:
    return f"{build.__name__}-{mode}"


def train_scaled(rank: int, processes: int, directory: Path) -> None:
    for build, mode in CASES:
        where = directory / name_of(build, mode)
        where.mkdir(exist_ok=True)
        _train(build(Net()), mode, rank, where)
    where = directory / "fsdp1"
    where.mkdir(exist_ok=True)
    _first_fsdp(rank, where)


def _train(setup: Setup, mode: str, rank: int, directory: Path) -> None:
    model, report = setup.model, Report()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    gradients: list[Arrays] = []
    with recorded(report, directory, rank):
        optimizer = GradHealthWriter(optimizer, model, logdir=directory / "run", every=1)
        monitor = optimizer.gradhealth
        for step in range(STEPS):
            optimizer.zero_grad()
            size = BATCH // setup.replicas
            rows = slice(setup.index * size, (setup.index + 1) * size)
            scaler.scale(loss(model, step, False, rows, setup.replicas, 1)).backward()
            if step == BAD_STEP:
                _poison(model, rank)
            scale = scaler.get_scale()
            gradients.append({name: value / scale for name, value in gathered(model).items()})
            if mode != "auto":
                scaler.unscale_(optimizer)
            if mode == "clip":
                monitor.clip_grad_norm_(0.5)
                if step != BAD_STEP:
                    gradients[-1] = gathered(model)
            scaler.step(optimizer)
            scaler.update()
            report.steps += 1
        monitor.close()
    report.problems = monitor.problems
    report.save(directory, rank)
    if rank == 0:
        save_steps(gradients, directory / "gradients.npz")


def _poison(model: torch.nn.Module, rank: int) -> None:
    """A shard of one rank, or the same element of each replica."""
    gradient: Any = next(p.grad for name, p in model.named_parameters() if name.endswith(BAD))
    if not isinstance(gradient, DTensor):
        gradient[0, 0] = float("nan")
    elif rank == dist.get_world_size() - 1:
        gradient._local_tensor[0, 0] = float("nan")


def _first_fsdp(rank: int, directory: Path) -> None:
    report = Report()
    model = FullyShardedDataParallel(Net(), use_orig_params=True, device_id=torch.device("cpu"))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01)
    with recorded(report, directory, rank):
        optimizer = GradHealthWriter(optimizer, model, logdir=directory / "run", every=1)
        monitor = optimizer.gradhealth
        for step in range(2):
            optimizer.zero_grad()
            loss(model, step, False, slice(4 * rank, 4 * rank + 4), 2, 1).backward()
            optimizer.step()
            report.steps += 1
        monitor.close()
    report.problems = monitor.problems
    report.save(directory, rank)
