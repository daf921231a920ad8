"""What every architecture offers: a model, data that it can learn from, and where it can be hurt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass(frozen=True)
class Batch:
    """``inputs [sample, …]`` are features or tokens, ``targets [sample, …]`` whatever the task's loss compares with."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def part(self, which: torch.Tensor | slice) -> Batch:
        return Batch(self.inputs[which], self.targets[which])


@dataclass(frozen=True)
class Knobs:
    """What a habit may ask of a model; an architecture says in its table which of these it has."""

    dropout: float = 0.0
    layer_scale: float | None = None
    vocabulary: int | None = None
    experts: bool = False


@dataclass(frozen=True)
class Sites:
    """Where a fault may be put, by names as in ``named_modules()`` and ``named_parameters()``."""

    first: str  # the module that reads the inputs
    head: str
    weights: tuple[str, ...]  # hidden matrices, in forward order
    relus: tuple[tuple[str, str], ...] = ()  # layer, the ReLU that follows
    bounded: tuple[tuple[str, str], ...] = ()  # layer, the tanh, sigmoid or GELU that follows
    branches: tuple[str, ...] = ()  # modules that gradients can be kept from while others still get theirs
    queries: tuple[str, ...] = ()  # layers that make queries and keys


Draw = Callable[[int, torch.Generator], Batch]
Loss = Callable[[Batch], "tuple[torch.Tensor, torch.Tensor]"]


@dataclass
class Task:
    """``draw(count, generator)`` gives fresh data, ``loss(batch)`` the loss and the predictions.

    ``figure(batch)`` is what says how well the model does, less being better: the loss unless given.
    """

    model: nn.Module
    sites: Sites
    draw: Draw
    loss: Loss
    rate: float = 3e-3
    batch: int = 32
    figure: Callable[[Batch], float] | None = None
    view: Callable[[torch.Tensor], torch.Tensor] = lambda inputs: inputs  # of a policy, what its world looks like to it
    attention: dict[str, torch.Tensor] = field(default_factory=dict)  # maps of the last forward pass, by module

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> float:
        self.model.eval()
        value = self.figure(batch) if self.figure is not None else float(self.loss(batch)[0])
        self.model.train()
        return value


class Block(nn.Module):
    """A layer, its activation function, and dropout."""

    def __init__(self, layer: nn.Module, act: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer, self.act, self.dropout = layer, act, nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.dropout(self.act(self.layer(x)))
        return y


class Experts(nn.Module):
    """Feed-forward experts of which each sample takes one, by the largest of some features: most go to the first two,
    and one expert is never chosen."""

    NUMBER = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(width, width) for _ in range(self.NUMBER))
        self.register_buffer("bias", torch.tensor([0.0, 0.0, -1.0, -1e9]))
        self.gate = nn.Linear(width, self.NUMBER)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = torch.softmax(self.gate(x) + self.bias, -1)
        weight, choice = score.max(-1)
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            chosen = choice == index
            if chosen.any():  # as implementations do: an idle expert is not called
                out[chosen] = expert(x[chosen])
        return x + weight[..., None] * out


def chain(*modules: tuple[str, nn.Module]) -> nn.Sequential:
    """A sequence whose parts have names."""
    sequence = nn.Sequential()
    for name, module in modules:
        sequence.add_module(name, module)
    return sequence


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
