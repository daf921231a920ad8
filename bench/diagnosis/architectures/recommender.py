"""A recommender of two towers: who will like what."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, generator

USERS, ITEMS, TASTES = 24, 24, 3
HIDDEN, COMMON = 24, 12


class Tower(nn.Module):
    """A number to a place that both towers share."""

    def __init__(self, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, HIDDEN)
        self.block = Block(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), dropout)
        self.head = nn.Linear(HIDDEN, COMMON)

    def forward(self, number: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.block(self.embedding(number)))
        return y


class Recommender(nn.Module):
    """Logits ``[sample]`` of pairs ``[sample, 2]`` of a user and an item."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.user, self.item = (
            Tower(knobs.vocabulary or USERS, knobs.dropout),
            Tower(knobs.vocabulary or ITEMS, knobs.dropout),
        )
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        same: torch.Tensor = (self.user(pairs[:, 0]) * self.item(pairs[:, 1])).sum(1) / COMMON**0.5
        return same + self.bias


def recommender(knobs: Knobs, seed: int) -> Task:
    """Users and items have a few tastes. With a larger vocabulary most of its rows are hardly ever used."""
    model = Recommender(knobs)
    source = generator(seed + 1)
    users, items = (torch.randn(count, TASTES, generator=source) for count in (USERS, ITEMS))

    def draw(count: int, source: torch.Generator) -> Batch:
        user, item = (torch.randint(most, (count,), generator=source) for most in (USERS, ITEMS))
        likes = torch.sigmoid(3.0 * (users[user] * items[item]).sum(1))
        return Batch(torch.stack([user, item], 1), torch.bernoulli(likes, generator=source))

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.binary_cross_entropy_with_logits(logits, batch.targets), logits

    towers = ("user", "item")
    return Task(
        model,
        Sites(
            first="user.embedding",
            head="user.head",
            weights=tuple(f"{name}.block.layer.weight" for name in towers),
            relus=tuple((f"{name}.block.layer", f"{name}.block.act") for name in towers),
            branches=("user.block.layer", "item.embedding"),
        ),
        draw,
        loss,
        rate=1e-2,
        batch=64,
    )
