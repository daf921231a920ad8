"""A small model with everything that a gradient may be, and its data."""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import functional

#: Sequences in a batch; each number of processes, times two micro-batches, divides it.
BATCH = 8
#: The step whose gradient of ``down.weight`` gets the planted values.
PLANTED_STEP = 1


class Plant(torch.autograd.Function):
    """``y`` as it is; the gradient of ``weight`` is ``planted``, added to what else it gets."""

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, weight: torch.Tensor, planted: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(planted)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient, ctx.saved_tensors[0], None


class Planted(torch.nn.Linear):
    planting = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if not self.planting:
            return y
        planted = torch.zeros(self.weight.shape, dtype=self.weight.dtype)
        planted[1, 2], planted[5, 0], planted[0, 5] = float("nan"), float("inf"), float("-inf")
        if planted.dtype != torch.float64:  # whole numbers stay whole
            planted[2, 3], planted[4, 6] = 1e-12, 1e38  # near zero and saturated, in columns that are else 0
        if isinstance(self.weight, DTensor):
            planted = distribute_tensor(planted, self.weight.device_mesh, self.weight.placements)
        out: torch.Tensor = Plant.apply(y, self.weight, planted)
        return out


class Scale(torch.nn.Module):
    """Stands for LayerNorm where numbers stay whole."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(features))
        self.bias = torch.nn.Parameter(torch.zeros(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight + self.bias


class Net(torch.nn.Module):
    """An embedding, dead units, a layer without gradient, and sizes that no number of ranks divides.

    ``whole``: float64 parameters, data and gradients are whole numbers, so that no order of a sum can change it.
    """

    def __init__(self, whole: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.whole = whole
        self.emb = torch.nn.Embedding(11, 6)
        self.norm = Scale(6) if whole else torch.nn.LayerNorm(6)
        self.up = torch.nn.Linear(6, 8)
        self.down = Planted(8, 6)
        self.head = torch.nn.Linear(6, 3)
        self.unused = torch.nn.Linear(2, 2)
        with torch.no_grad():
            if whole:
                self.double()
                for parameter in self.parameters():
                    parameter.copy_(torch.randint(-2, 3, parameter.shape))
            self.up.bias[3] = self.up.bias[6] = -1e4

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.up(self.norm(self.emb(index))))
        out: torch.Tensor = self.head(functional.relu(self.down(hidden)))
        return out


def loss(model: Any, step: int, whole: bool, rows: slice, replicas: int, micro: int) -> torch.Tensor:
    """The loss of some ``rows`` of the step's batch; ``replicas`` average their gradients, ``micro`` of them add up."""
    generator = torch.Generator().manual_seed(step)
    index = torch.randint(0, 8, (BATCH, 5), generator=generator)
    if whole:
        target = torch.randint(-3, 4, (BATCH, 5, 3), generator=generator).double()
        return (model(index[rows]) * target[rows]).sum() * replicas
    target = torch.randn(BATCH, 5, 3, generator=generator)
    return (model(index[rows]).float() - target[rows]).square().mean() / micro
