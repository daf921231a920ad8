"""Recurrent nets on short sequences of numbers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, chain, generator

LENGTH, FEATURES, HIDDEN, CLASSES = 8, 4, 24, 3


class Recurrent(nn.Module):
    """The last state of a recurrent layer, a decoder, a head."""

    def __init__(self, layer: nn.Module, act: nn.Module, dropout: float) -> None:
        super().__init__()
        self.rnn = layer
        self.decoder = Block(nn.Linear(HIDDEN, HIDDEN), act, dropout)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(x)
        y: torch.Tensor = self.head(self.decoder(states[:, -1]))
        return y


def _task(model: Recurrent, seed: int, sites: Sites) -> Task:
    """The class is the largest of some products of what came early and what came late."""
    source = generator(seed + 1)
    early, late = (torch.randn(FEATURES, CLASSES, generator=source) for _ in range(2))

    def draw(count: int, source: torch.Generator) -> Batch:
        x = torch.randn(count, LENGTH, FEATURES, generator=source)
        return Batch(x, (x[:, LENGTH // 2] @ early + x[:, -2:].mean(1) @ late).argmax(-1))

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits, batch.targets), logits

    return Task(model, sites, draw, loss, rate=1e-2)


def lstm(knobs: Knobs, seed: int) -> Task:
    model = Recurrent(nn.LSTM(FEATURES, HIDDEN, batch_first=True), nn.ReLU(), knobs.dropout)
    sites = Sites(
        first="rnn",
        head="head",
        weights=("rnn.weight_hh_l0", "decoder.layer.weight"),
        relus=(("decoder.layer", "decoder.act"),),
        branches=("rnn", "decoder.layer"),
    )
    return _task(model, seed, sites)


def gru(knobs: Knobs, seed: int) -> Task:
    model = Recurrent(nn.GRU(FEATURES, HIDDEN, batch_first=True), nn.Tanh(), knobs.dropout)
    sites = Sites(
        first="rnn",
        head="head",
        weights=("rnn.weight_hh_l0", "decoder.layer.weight"),
        bounded=(("decoder.layer", "decoder.act"),),
        branches=("rnn", "decoder.layer"),
    )
    return _task(model, seed, sites)


class Embedded(nn.Module):
    """Tokens through an embedding into a bag, and a perceptron on it."""

    def __init__(self, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, HIDDEN)
        self.body = chain(
            ("block0", Block(nn.Linear(HIDDEN, HIDDEN), nn.GELU(), dropout)),
            ("block1", Block(nn.Linear(HIDDEN, HIDDEN), nn.GELU(), dropout)),
        )
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.body(self.embedding(tokens).mean(1)))
        return y


def bag(knobs: Knobs, seed: int) -> Task:
    """Words vote for a class. With a larger vocabulary most of its rows are hardly ever used."""
    used = 24
    model = Embedded(knobs.vocabulary or used, knobs.dropout)
    votes = torch.randn(used, CLASSES, generator=generator(seed + 1))

    def draw(count: int, source: torch.Generator) -> Batch:
        tokens = torch.randint(used, (count, LENGTH), generator=source)
        return Batch(tokens, votes[tokens].sum(1).argmax(-1))

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits, batch.targets), logits

    return Task(
        model,
        Sites(
            first="embedding",
            head="head",
            weights=("body.block0.layer.weight", "body.block1.layer.weight"),
            bounded=(("body.block0.layer", "body.block0.act"), ("body.block1.layer", "body.block1.act")),
            branches=("body.block0.layer", "embedding"),
        ),
        draw,
        loss,
        rate=5e-3,
    )
