"""Two ranks that do not fit together: what each does, by name of the trouble."""

from __future__ import annotations

import atexit
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import tb_gradhealth.ranks
from tb_gradhealth import GradHealthWriter

from .configurations import tp as tensor_parallel
from .configurations import tp_partial
from .model import Net, loss
from .record import Report, gathered, recorded, save_steps

STEPS = 12
PATIENCE = 5.0  # seconds that the writer waits for another rank


class Rank:
    """One rank's training, with places for trouble. Each rank trains on the same data."""

    steps = STEPS
    every = 1
    watched = True
    start_step = 0

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.net = Net()
        self.model = self.build()
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.05)

    def build(self) -> torch.nn.Module:
        """Replicas that need no collective of their own, so that nothing but the writer can wait for the other rank."""
        return self.net

    def before_step(self, step: int) -> None:
        """Gradients are there, the optimizer has not used them yet."""

    def finish(self) -> None:
        dist.barrier()
        self.close()

    def close(self) -> None:
        if self.watched:
            self.optimizer.gradhealth.close()


class Replicated(Rank):
    """As most train: the backward pass has collectives, which the writer must not come between."""

    def build(self) -> torch.nn.Module:
        return DistributedDataParallel(self.net, find_unused_parameters=True)


class Diverged(Replicated):
    every = 5

    def before_step(self, step: int) -> None:
        if (self.rank, step) == (1, 7):
            _gradient(self.net.head.weight)[0, 0] += 0.01


class DivergedDTensor(Rank):
    """A Replicate placement only claims that the ranks hold the same."""

    def build(self) -> torch.nn.Module:
        return tensor_parallel(self.net).model

    def before_step(self, step: int) -> None:
        if (self.rank, step) == (1, 4):
            _gradient(self.net.down.bias).to_local()[0] += 0.01


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


class OtherLayout(Replicated):
    """Rank 1 has a frozen layer more."""

    def build(self) -> torch.nn.Module:
        model = super().build()
        if self.rank == 1:
            self.net.extra = torch.nn.Linear(3, 3).requires_grad_(False)
        return model


class OtherShape(Replicated):
    """A layer of one name has another size on rank 1."""

    def build(self) -> torch.nn.Module:
        model = super().build()
        self.net.extra = torch.nn.Linear(3 + self.rank, 3).requires_grad_(False)
        return model


class OtherLayoutLater(Replicated):
    def before_step(self, step: int) -> None:
        if (self.rank, step) == (1, 4):
            self.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})


class OtherStart(Replicated):
    """Rank 1 continues a run that rank 0 begins."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.start_step = 3 * rank


class FewerSteps(Rank):
    """Rank 1 has run out of data."""

    every = 5

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.steps = STEPS - 4 * rank

    def finish(self) -> None:
        self.close()
        dist.barrier()


class OnlyRank0(Replicated):
    """As who creates loggers on one rank only, and thinks that this is one."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.watched = rank == 0


class OnlyRank1(Replicated):
    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.watched = rank == 1


class ClosedEarly(Rank):
    """Rank 1 stops recording, where gradients are added up over the ranks: training's own collectives go on."""

    def build(self) -> torch.nn.Module:
        return tp_partial(self.net).model

    def before_step(self, step: int) -> None:
        if (self.rank, step) == (1, 5):
            self.close()
            self.watched = False


class DestroyedBeforeClose(Replicated):
    every = 5  # the last steps are still to be merged

    def finish(self) -> None:
        dist.destroy_process_group()
        self.close()


class DestroyedMeanwhile(Rank):
    def before_step(self, step: int) -> None:
        if step == 5:
            dist.destroy_process_group()

    def finish(self) -> None:
        self.close()


def _die() -> None:
    time.sleep(1.0)  # until the steps before are merged
    os._exit(1)


class Died(Rank):
    def before_step(self, step: int) -> None:
        if (self.rank, step) == (1, 5):
            _die()

    def finish(self) -> None:
        self.close()


class WriterDied(Rank):
    """Rank 0, with the file, and with the store that the ranks met in."""

    def before_step(self, step: int) -> None:
        if (self.rank, step) == (0, 5):
            _die()

    def finish(self) -> None:
        self.close()


class Unclosed(Rank):
    """The loop ends, and the process with it."""

    every = 5

    def finish(self) -> None:
        pass


TROUBLES: tuple[type[Rank], ...] = (
    Diverged,
    DivergedDTensor,
    OtherLayout,
    OtherShape,
    OtherLayoutLater,
    OtherStart,
    FewerSteps,
    OnlyRank0,
    OnlyRank1,
    ClosedEarly,
    DestroyedBeforeClose,
    DestroyedMeanwhile,
    Died,
    WriterDied,
    Unclosed,
)


def trouble(name: str, rank: int, processes: int, directory: Path) -> None:
    kinds = {kind.__name__: kind for kind in TROUBLES}
    _train(kinds[name](rank), directory)


def _train(job: Rank, directory: Path) -> None:
    """Steps through ``job``; what happened is saved whatever happens, as the process may end at any point."""
    for wait in ("AGREE_SECONDS", "COLLECTIVE_SECONDS"):
        assert hasattr(tb_gradhealth.ranks, wait)
        setattr(tb_gradhealth.ranks, wait, PATIENCE)
    report, gradients = Report(), []
    with recorded(report, directory, job.rank):
        monitor = None
        if job.watched:
            job.optimizer = GradHealthWriter(
                job.optimizer, job.model, logdir=directory / "run", every=job.every, start_step=job.start_step
            )
            monitor = job.optimizer.gradhealth
        for step in range(job.steps):
            job.optimizer.zero_grad()
            loss(job.model, step, False, slice(None), 1, 1).backward()
            job.before_step(step)
            gradients.append(gathered(job.model))
            with report.timed():
                job.optimizer.step()
            report.steps += 1
        with report.timed():
            job.finish()
        with report.timed(), suppress(Exception):
            atexit._run_exitfuncs()  # multiprocessing does not
    if monitor is not None:
        report.problems = monitor.problems
    if job.rank == 0:
        save_steps(gradients, directory / "gradients.npz")
    report.save(directory, job.rank)
