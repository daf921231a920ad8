"""Deep multilayer perceptrons: one with ReLU classifies, one with tanh fits a function; and an autoencoder."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Draw, Experts, Knobs, Sites, Task, chain, generator

FEATURES, WIDTH, CLASSES = 16, 32, 4


def mlp(knobs: Knobs, seed: int) -> Task:
    """Five ReLU layers; the class is that of the nearest of some centres."""
    depth, widths = 5, [FEATURES] + [WIDTH] * 5
    blocks = [Block(nn.Linear(before, after), nn.ReLU(), knobs.dropout) for before, after in itertools.pairwise(widths)]
    for block in blocks:  # He's initialisation: without it five layers hardly start to learn
        nn.init.kaiming_normal_(block.get_parameter("layer.weight"), nonlinearity="relu")
    middle = [("experts", Experts(WIDTH))] if knobs.experts else []
    named = [*((f"block{i}", block) for i, block in enumerate(blocks)), *middle]
    model = chain(*named, ("head", nn.Linear(WIDTH, CLASSES)))
    centres = torch.randn(2 * CLASSES, FEATURES, generator=generator(seed + 1))

    def draw(count: int, source: torch.Generator) -> Batch:
        near = torch.randint(2 * CLASSES, (count,), generator=source)
        noise = torch.randn(count, FEATURES, generator=source)
        return Batch((centres[near] + 0.9 * noise) / 1.35, near % CLASSES)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits, batch.targets), logits

    layers = [f"block{i}" for i in range(depth)]
    return Task(
        model,
        Sites(
            first="block0.layer",
            head="head",
            weights=tuple(f"{name}.layer.weight" for name in layers[1:]),
            relus=tuple((f"{name}.layer", f"{name}.act") for name in layers),
            branches=("block1.layer", "block2.layer"),
        ),
        draw,
        loss,
        rate=2e-3,
    )


def tanh_mlp(knobs: Knobs, seed: int) -> Task:
    """Four tanh layers that fit a smooth function of the inputs."""
    widths = [FEATURES] + [WIDTH] * 4
    blocks = [Block(nn.Linear(before, after), nn.Tanh(), knobs.dropout) for before, after in itertools.pairwise(widths)]
    for block in blocks:
        nn.init.xavier_normal_(block.get_parameter("layer.weight"), gain=5 / 3)
    named = [(f"block{i}", block) for i, block in enumerate(blocks)]
    model = chain(*named, ("head", nn.Linear(WIDTH, 2)))
    frequencies = torch.randn(FEATURES, 2, generator=generator(seed + 1)) / FEATURES**0.5

    def draw(count: int, source: torch.Generator) -> Batch:
        x = torch.randn(count, FEATURES, generator=source)
        return Batch(x, torch.sin(2.0 * x @ frequencies))

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        fitted = model(batch.inputs)
        return functional.mse_loss(fitted, batch.targets), fitted

    return Task(
        model,
        Sites(
            first="block0.layer",
            head="head",
            weights=tuple(f"block{i}.layer.weight" for i in range(1, 4)),
            bounded=tuple((f"block{i}.layer", f"block{i}.act") for i in range(4)),
            branches=("block1.layer", "block2.layer"),
        ),
        draw,
        loss,
        rate=2e-3,
    )


def surface(features: int, seed: int) -> Draw:
    """Points near a surface of four dimensions, which are to be given back."""
    source, dimensions = generator(seed + 1), 4
    one, two = torch.randn(dimensions, 16, generator=source), torch.randn(16, features, generator=source) / 4

    def draw(count: int, source: torch.Generator) -> Batch:
        x = torch.tanh(torch.randn(count, dimensions, generator=source) @ one / 2) @ two * 1.3
        x = x + 0.05 * torch.randn(count, features, generator=source)
        return Batch(x, x)

    return draw


def autoencoder(knobs: Knobs, seed: int) -> Task:
    """Through a code of six: narrow by design."""
    data, code = 24, 6
    encoder = [(data, WIDTH), (WIDTH, WIDTH)]
    model = chain(
        *((f"encoder{i}", Block(nn.Linear(*shape), nn.Tanh(), knobs.dropout)) for i, shape in enumerate(encoder)),
        ("code", nn.Linear(WIDTH, code)),
        ("decoder0", Block(nn.Linear(code, WIDTH), nn.Tanh())),
        ("decoder1", Block(nn.Linear(WIDTH, WIDTH), nn.Tanh())),
        ("head", nn.Linear(WIDTH, data)),
    )

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        again = model(batch.inputs)
        return functional.mse_loss(again, batch.targets), again

    blocks = ("encoder0", "encoder1", "decoder0", "decoder1")
    return Task(
        model,
        Sites(
            first="encoder0.layer",
            head="head",
            weights=("encoder1.layer.weight", "decoder1.layer.weight"),
            bounded=tuple((f"{name}.layer", f"{name}.act") for name in blocks),
            branches=("encoder1.layer", "decoder1.layer"),
        ),
        surface(data, seed),
        loss,
        rate=4e-3,
    )
