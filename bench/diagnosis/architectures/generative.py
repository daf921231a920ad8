"""Nets that give back what they see: a U-Net without the noise, a variational autoencoder through a random code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .feedforward import surface
from .images import SIDE
from .task import Batch, Block, Knobs, Sites, Task, chain

DATA, HIDDEN, CODE = 24, 32, 6
KL = 0.01


class Stage(nn.Module):
    """A convolution, batch normalisation, ReLU."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.norm, self.act, self.dropout = nn.BatchNorm2d(after), nn.ReLU(), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.dropout(self.act(self.norm(self.conv(x))))
        return y


class UNet(nn.Module):
    """Down twice and up again; on its way up it sees what it saw on its way down."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.down0, self.down1 = Stage(1, 8, knobs.dropout), Stage(8, 16, knobs.dropout)
        self.middle = Stage(16, 16, knobs.dropout)
        self.up1, self.up0 = Stage(16 + 16, 8, knobs.dropout), Stage(8 + 8, 8, knobs.dropout)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.down0(x)
        coarse = self.down1(functional.max_pool2d(fine, 2))
        y = self.middle(functional.max_pool2d(coarse, 2))
        y = self.up1(torch.cat([functional.interpolate(y, scale_factor=2.0), coarse], 1))
        y = self.up0(torch.cat([functional.interpolate(y, scale_factor=2.0), fine], 1))
        clean: torch.Tensor = self.head(y)
        return clean


def unet(knobs: Knobs, seed: int) -> Task:
    """Two round spots, bright or dark, under noise as strong as they are."""
    model = UNet(knobs)
    across, down = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy")

    def draw(count: int, source: torch.Generator) -> Batch:
        at = SIDE * torch.rand(2, 2, count, 1, 1, generator=source)
        sign = 2.0 * torch.randint(2, (2, count, 1, 1), generator=source) - 1.0
        distance = (across - at[0]).square() + (down - at[1]).square()
        clean = (2.5 * sign * torch.exp(-distance / 4.0)).sum(0)[:, None]
        return Batch(clean + 0.7 * torch.randn(clean.shape, generator=source), clean)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        clean = model(batch.inputs)
        return functional.mse_loss(clean, batch.targets), clean

    stages = ("down0", "down1", "middle", "up1", "up0")
    return Task(
        model,
        Sites(
            first="down0.conv",
            head="head",
            weights=tuple(f"{name}.conv.weight" for name in stages[1:]),
            relus=tuple((f"{name}.norm", f"{name}.act") for name in stages),
            branches=("down1.conv", "up0.conv"),
        ),
        draw,
        loss,
        rate=5e-3,
        batch=16,
    )


class VariationalAutoencoder(nn.Module):
    """What was given, the code's mean and the logarithm of its variance. In use the code is its mean."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.encoder = chain(
            ("block0", Block(nn.Linear(DATA, HIDDEN), nn.ReLU(), dropout)),
            ("block1", Block(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), dropout)),
        )
        self.mean, self.log_variance = nn.Linear(HIDDEN, CODE), nn.Linear(HIDDEN, CODE)
        self.decoder = chain(
            ("block0", Block(nn.Linear(CODE, HIDDEN), nn.ReLU(), dropout)),
            ("block1", Block(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), dropout)),
        )
        self.head = nn.Linear(HIDDEN, DATA)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen = self.encoder(x)
        mean, log_variance = self.mean(seen), self.log_variance(seen)
        code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean) if self.training else mean
        return self.head(self.decoder(code)), mean, log_variance


def vae(knobs: Knobs, seed: int) -> Task:
    """The data of the plain autoencoder."""
    model = VariationalAutoencoder(knobs.dropout)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        again, mean, log_variance = model(batch.inputs)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        return functional.mse_loss(again, batch.targets) + KL * divergence, again

    blocks = ("encoder.block0", "encoder.block1", "decoder.block0", "decoder.block1")
    return Task(
        model,
        Sites(
            first="encoder.block0.layer",
            head="head",
            weights=("encoder.block1.layer.weight", "decoder.block0.layer.weight", "decoder.block1.layer.weight"),
            relus=tuple((f"{name}.layer", f"{name}.act") for name in blocks),
            branches=("encoder.block1.layer", "decoder.block1.layer"),
        ),
        surface(DATA, seed),
        loss,
        rate=8e-3,
    )
