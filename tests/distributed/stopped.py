"""Trainings on two ranks that fall ill at step 20, and how each of the ranks ends."""

from __future__ import annotations

import logging
import pickle
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import tb_gradhealth.ranks
from tb_gradhealth import TrainingStopped
from tb_gradhealth.findings import Finding
from tests.live.trainings import Training

#: Of a training that nothing stops; where something does, there is no end.
STEPS = 60


class Sharing(Training):
    """Each rank has its own data, and gradients are averaged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._batches.manual_seed(1 + dist.get_rank())

    def spread(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model)


class Sharded(Sharing):
    def spread(self, model: nn.Module) -> nn.Module:
        for layer in model:  # type: ignore[attr-defined]
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
        return fully_shard(model)


class Uneven(Training):
    """Nothing keeps the ranks together, and rank 1 takes its time: rank 0 runs ahead."""

    def step(self) -> None:
        time.sleep(0.02 * dist.get_rank())
        super().step()


class Slow(Sharing):
    """Its last step is behind whatever is found in those before."""

    def step(self) -> None:
        if self.steps == STEPS - 1 and self.watched:
            until = time.monotonic() + 20
            while all(one.severity != "critical" for one in _told) and time.monotonic() < until:
                time.sleep(0.05)
        super().step()


@dataclass
class Ended:
    """How a training ended on one rank."""

    steps: int
    finding: Finding | None  # why it was stopped
    told: list[Finding]
    logged: list[str]
    findings: tuple[Finding, ...]
    problems: int
    differing: list[int] = field(default_factory=list)  # what of the same training without us is not the same bits

    @classmethod
    def load(cls, directory: Path, name: str) -> list[Ended]:
        """On each rank."""
        return [pickle.loads(path.read_bytes()) for path in sorted(directory.glob(f"{name}.*.pickle"))]


def train(rank: int, processes: int, directory: Path) -> None:
    """The last training ends the process, as a loop does that knows nothing of this."""
    for kind in (Sharing, Sharded):
        name = kind.__name__
        training = kind(20, directory / name, every=2, **_asked())
        ended = _ended(training, 10**9)
        twin = kind(20).run(training.steps)
        pairs = zip(training.left(), twin.left(), strict=True)
        ended.differing = [at for at, (one, other) in enumerate(pairs) if not torch.equal(_here(one), _here(other))]
        _save(ended, directory, name)
    _save(_ended(Uneven(20, directory / "Uneven", every=2, **_asked()), 10**9), directory, "Uneven")
    _save(_alone(rank, directory), directory, "Alone")
    Sharing(20, directory / "Last", every=2, on_finding="stop:high").run(10**9)


def _asked() -> dict[str, Any]:
    _told.clear()
    return {"on_finding": ["log", "stop:high", _told.append]}


_told: list[Finding] = []


def _alone(rank: int, directory: Path) -> Ended:
    """Rank 0 records, and rank 1 does not."""
    tb_gradhealth.ranks.AGREE_SECONDS = 0.3
    # Of another number than the sessions that the ranks begin together.
    options = {"logdir": directory / "Alone", "every": 2, "start_step": 1000, **_asked()} if rank == 0 else {}
    ended = _ended(Slow(20, **options), STEPS)
    tb_gradhealth.ranks.AGREE_SECONDS = 60.0
    return ended


def _asked() -> dict[str, Any]:
    _told.clear()
    return {"on_finding": ["log", "stop:high", _told.append]}


_told: list[Finding] = []


def _ended(training: Training, steps: int) -> Ended:
    handler, finding = _Kept(), None
    logging.getLogger("tb_gradhealth").addHandler(handler)
    monitor = training.optimizer.gradhealth if training.watched else None
    try:
        training.run(steps)
    except TrainingStopped as stopped:
        finding = stopped.finding
    if monitor is not None:
        monitor.close()
    logging.getLogger("tb_gradhealth").removeHandler(handler)
    findings, problems = (monitor.findings, monitor.problems) if monitor is not None else ((), 0)
    dist.barrier()
    return Ended(training.steps, finding, list(_told), handler.lines, findings, problems)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self.lines.append(f"{record.levelname} {record.getMessage()}")


def _here(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _save(ended: Ended, directory: Path, name: str) -> None:
    (directory / f"{name}.{dist.get_rank()}.pickle").write_bytes(pickle.dumps(ended))
