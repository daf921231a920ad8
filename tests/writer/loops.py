"""Small real trainings for the tests of the writer, and readers of what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.timeline import Timeline

Floats = npt.NDArray[np.float64]


class Net(torch.nn.Module):
    """Two layers that learn, one that never gets a gradient."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 16))
        self.head = torch.nn.Linear(16, 1)
        self.unused = torch.nn.Linear(2, 2)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.relu(self.body(x)))
        return out


def losses(model: Net, steps: int, seed: int = 1) -> Iterator[torch.Tensor]:
    """The loss of each step, with gradients in place."""
    generator = torch.Generator().manual_seed(seed)
    dtype = model.head.weight.dtype
    for _ in range(steps):
        x = torch.randn(8, 6, generator=generator).to(dtype)
        model.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        yield loss


def timeline(logdir: Path) -> Timeline:
    """The gradients of the run in ``logdir``, which must be readable without a problem."""
    run = Run()
    run.update(FileSource(logdir / "gradhealth"))
    assert run.problems == []
    return run.timeline("gradients")


def node(history: Timeline, name: str) -> int:
    return history.tree.names.index(name)


def cells(history: Timeline, metric: str, name: str, width: int) -> tuple[Floats, Floats, Floats]:
    """``(mean, min, max)`` of a node's metric, ``[cell]``, from step 0 to the end."""
    grid = Grid(0, width, -(-history.end // width))
    found = history.cells(metric, np.array([node(history, name)]), grid)
    return found.mean[0], found.min[0], found.max[0]
