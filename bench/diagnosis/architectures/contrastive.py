"""Two towers that are to put the two views of a thing in one place, as CLIP does."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, chain, generator

ONE, TWO, HIDDEN, COMMON = 20, 12, 32, 12


class Towers(nn.Module):
    """``[sample, COMMON]`` of unit length from each tower, and a learnt temperature."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.image, self.text = (
            chain(
                ("block0", Block(nn.Linear(features, HIDDEN), nn.ReLU(), dropout)),
                ("block1", Block(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), dropout)),
                ("head", nn.Linear(HIDDEN, COMMON)),
            )
            for features in (ONE, TWO)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return functional.normalize(self.image(x), dim=-1), functional.normalize(self.text(y), dim=-1)


def clip(knobs: Knobs, seed: int) -> Task:
    model = Towers(knobs.dropout)
    source = generator(seed + 1)
    to_one, to_two = (torch.randn(6, features, generator=source) / 6**0.5 for features in (ONE, TWO))

    def draw(count: int, source: torch.Generator) -> Batch:
        thing = torch.randn(count, 6, generator=source)
        one, two = (
            torch.tanh(1.5 * thing @ view) + 0.1 * torch.randn(count, view.shape[1], generator=source)
            for view in (to_one, to_two)
        )
        return Batch(1.4 * one, 1.4 * two)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        one, two = model(batch.inputs, batch.targets)
        logits = model.logit_scale.exp().clamp(max=100.0) * one @ two.T
        same = torch.arange(len(one))
        return (functional.cross_entropy(logits, same) + functional.cross_entropy(logits.T, same)) / 2, one

    return Task(
        model,
        Sites(
            first="image.block0.layer",
            head="image.head",
            weights=("image.block1.layer.weight", "text.block1.layer.weight"),
            relus=(("image.block0.layer", "image.block0.act"), ("image.block1.layer", "image.block1.act")),
            branches=("image.block1.layer", "text.block1.layer"),
        ),
        draw,
        loss,
        rate=3e-3,
    )
