"""Two perceptrons that take turns on patches of images, one along the patches and one along their features."""

from __future__ import annotations

import torch
from torch import nn

from .images import CLASSES, SIDE, classified, images
from .task import Block, Knobs, Sites, Task

WIDTH, PATCH = 24, 2
PATCHES = (SIDE // PATCH) ** 2


class Mixing(nn.Module):
    """Normalised features up to twice as many, and down again."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.up = Block(nn.Linear(features, 2 * features), nn.GELU(), dropout)
        self.down = nn.Linear(2 * features, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.down(self.up(x))
        return y


class Layer(nn.Module):
    """``x [sample, patch, feature]``, mixed along both, each on a residual branch."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.patches, self.features = Mixing(PATCHES, knobs.dropout), Mixing(WIDTH, knobs.dropout)
        scale = knobs.layer_scale
        self.scale1, self.scale2 = (
            nn.Parameter(torch.full((WIDTH,), scale)) if scale is not None else None for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.patches(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + (y if self.scale1 is None else self.scale1 * y)
        y = self.features(self.norm2(x))
        z: torch.Tensor = x + (y if self.scale2 is None else self.scale2 * y)
        return z


class Mixer(nn.Module):
    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
        self.layers = nn.ModuleList(Layer(knobs) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        y: torch.Tensor = self.head(self.norm(x).mean(1))
        return y


def mixer(knobs: Knobs, seed: int) -> Task:
    model = Mixer(knobs)
    return Task(
        model,
        Sites(
            first="stem",
            head="head",
            weights=tuple(f"layers.{i}.{kind}.up.layer.weight" for i in range(2) for kind in ("patches", "features")),
            bounded=tuple(
                (f"layers.{i}.{kind}.up.layer", f"layers.{i}.{kind}.up.act")
                for i in range(2)
                for kind in ("patches", "features")
            ),
            branches=("layers.0.patches.down", "layers.1.features.up.layer"),
        ),
        images(seed),
        classified(model),
        rate=4e-3,
    )
