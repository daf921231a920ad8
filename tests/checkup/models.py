"""Small models, batches and losses for the tests of the checkup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Batch = tuple[torch.Tensor, torch.Tensor]


def batch(samples: int = 32, features: int = 8, classes: int = 3) -> Batch:
    source = torch.Generator().manual_seed(1)
    inputs = torch.randn(samples, features, generator=source)
    return inputs, torch.randint(classes, (samples,), generator=source)


def perceptron(act: Callable[[], nn.Module] = nn.ReLU, layers: int = 3, width: int = 16) -> nn.Sequential:
    """Linear layers, He's initialisation, and a head for three classes."""
    torch.manual_seed(0)
    model = nn.Sequential()
    for index in range(layers):
        layer = nn.Linear(8 if index == 0 else width, width)
        nn.init.kaiming_normal_(layer.weight)
        model.append(layer).append(act())
    return model.append(nn.Linear(width, 3))


def loss(model: nn.Module, batch: Any) -> torch.Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


class Awkward(nn.Module):
    """All that a pass may leave traces in: running statistics, dropout, a power iteration; with a part that is frozen
    and one in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 16))
        self.norm, self.drop = nn.BatchNorm1d(16), nn.Dropout(0.5)
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.still = nn.BatchNorm1d(16).eval()
        self.head = nn.Linear(16, 3)
        self.calls = 0
        self.register_buffer("mask", torch.tensor([0.0, float("-inf"), float("nan")]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.cache = x
        out: torch.Tensor = self.head(self.still(self.frozen(self.drop(self.norm(self.first(x))))))
        return out
