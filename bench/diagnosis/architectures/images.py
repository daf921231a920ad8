"""Small images: a plain convolutional net, and a residual one with batch normalisation."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Draw, Knobs, Loss, Sites, Task, chain, generator

SIDE, CLASSES = 8, 4


def images(seed: int) -> Draw:
    """Patterns, one for each class, at a random place on noise."""
    patterns = torch.randn(CLASSES, 5, 5, generator=generator(seed + 1))

    def draw(count: int, source: torch.Generator) -> Batch:
        kind = torch.randint(CLASSES, (count,), generator=source)
        x = 0.5 * torch.randn(count, 1, SIDE, SIDE, generator=source)
        for index, (down, right) in enumerate(torch.randint(SIDE - 4, (count, 2), generator=source).tolist()):
            x[index, 0, down : down + 5, right : right + 5] += patterns[kind[index]]
        return Batch(x, kind)

    return draw


def classified(model: nn.Module) -> Loss:
    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits, batch.targets), logits

    return loss


def cnn(knobs: Knobs, seed: int) -> Task:
    channels = (1, 8, 16, 16)
    stages = [
        Block(nn.Conv2d(before, after, 3, padding=1, stride=1 + (index > 0)), nn.ReLU(), knobs.dropout)
        for index, (before, after) in enumerate(itertools.pairwise(channels))
    ]
    model = chain(
        *((f"stage{i}", stage) for i, stage in enumerate(stages)),
        ("flat", nn.Flatten()),
        ("dense", Block(nn.Linear(16 * 4, 32), nn.ReLU())),
        ("head", nn.Linear(32, CLASSES)),
    )
    blocks = ("stage0", "stage1", "stage2", "dense")
    return Task(
        model,
        Sites(
            first="stage0.layer",
            head="head",
            weights=("stage1.layer.weight", "stage2.layer.weight", "dense.layer.weight"),
            relus=tuple((f"{name}.layer", f"{name}.act") for name in blocks),
            branches=("stage1.layer", "dense.layer"),
        ),
        images(seed),
        classified(model),
        rate=3e-3,
    )


class Residual(nn.Module):
    """x + scale · f(x), two convolutions with batch normalisation."""

    def __init__(self, channels: int, scale: float | None, dropout: float) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.act, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), scale)) if scale is not None else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.dropout(self.act(self.norm1(self.conv1(x))))))
        return x + (y if self.scale is None else self.scale * y)


def resnet(knobs: Knobs, seed: int) -> Task:
    channels = 12
    model = chain(
        ("stem", nn.Conv2d(1, channels, 3, padding=1, stride=2)),
        ("block0", Residual(channels, knobs.layer_scale, knobs.dropout)),
        ("block1", Residual(channels, knobs.layer_scale, knobs.dropout)),
        ("pool", nn.AdaptiveAvgPool2d(2)),
        ("flat", nn.Flatten()),
        ("head", nn.Linear(4 * channels, CLASSES)),
    )
    return Task(
        model,
        Sites(
            first="stem",
            head="head",
            weights=tuple(f"block{i}.conv{j}.weight" for i in range(2) for j in (1, 2)),
            relus=(("block0.norm1", "block0.act"), ("block1.norm1", "block1.act")),
            branches=("block0.conv1", "block1.conv2"),
        ),
        images(seed),
        classified(model),
        rate=3e-3,
    )
