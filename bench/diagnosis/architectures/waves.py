"""A net of gated, dilated convolutions that says how a wave goes on, as WaveNet does."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, generator

CHANNELS, LENGTH, TONES = 16, 16, 5
DILATIONS = (1, 2, 4)


class Gated(nn.Module):
    """tanh × sigmoid of what was up to now ``[sample, channel, time]``, on a residual branch."""

    def __init__(self, dilation: int, knobs: Knobs) -> None:
        super().__init__()
        self.filter, self.gate = (nn.Conv1d(CHANNELS, CHANNELS, 2, dilation=dilation) for _ in range(2))
        self.tanh, self.sigmoid, self.dropout = nn.Tanh(), nn.Sigmoid(), nn.Dropout(knobs.dropout)
        self.out, self.skip = (nn.Conv1d(CHANNELS, CHANNELS, 1) for _ in range(2))
        scale = knobs.layer_scale
        self.scale = nn.Parameter(torch.full((CHANNELS, 1), scale)) if scale is not None else None
        self._dilation = dilation

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        past = functional.pad(x, (self._dilation, 0))
        y = self.dropout(self.tanh(self.filter(past)) * self.sigmoid(self.gate(past)))
        out = self.out(y)
        return x + (out if self.scale is None else self.scale * out), self.skip(y)


class WaveNet(nn.Module):
    """``[sample, time]`` to what comes next at each time."""

    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, CHANNELS, 1)
        self.layers = nn.ModuleList(Gated(dilation, knobs) for dilation in DILATIONS)
        self.mix = Block(nn.Linear(CHANNELS, CHANNELS), nn.ReLU())
        self.head = nn.Linear(CHANNELS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, skips = self.stem(x[:, None]), []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        y: torch.Tensor = self.head(self.mix(torch.stack(skips).sum(0).transpose(1, 2)))
        return y[..., 0]


def wavenet(knobs: Knobs, seed: int) -> Task:
    """Sums of some tones, each as loud as it likes, under a little noise."""
    model = WaveNet(knobs)
    pitch = 0.3 + 1.5 * torch.rand(TONES, generator=generator(seed + 1))

    def draw(count: int, source: torch.Generator) -> Batch:
        loud = torch.randn(count, TONES, 1, generator=source)
        phase = 2 * math.pi * torch.rand(count, TONES, 1, generator=source)
        wave = (loud * torch.sin(pitch[:, None] * torch.arange(LENGTH + 1) + phase)).sum(1) / (TONES / 2) ** 0.5
        wave = wave + 0.1 * torch.randn(wave.shape, generator=source)
        return Batch(wave[:, :-1], wave[:, 1:])

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        following = model(batch.inputs)
        return functional.mse_loss(following, batch.targets), following

    layers = [f"layers.{i}" for i in range(len(DILATIONS))]
    return Task(
        model,
        Sites(
            first="stem",
            head="head",
            weights=(*(f"{name}.filter.weight" for name in layers), "layers.1.gate.weight", "mix.layer.weight"),
            relus=(("mix.layer", "mix.act"),),
            bounded=tuple(
                (f"{name}.{layer}", f"{name}.{act}")
                for name in layers
                for layer, act in (("filter", "tanh"), ("gate", "sigmoid"))
            ),
            branches=("layers.0.filter", "layers.1.out"),
        ),
        draw,
        loss,
        rate=5e-3,
        batch=16,
    )
