"""Small transformers: one that continues sequences of tokens, and one that looks at patches of images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .images import CLASSES, SIDE, images
from .task import Batch, Block, Experts, Knobs, Sites, Task, chain, generator

WIDTH, HEADS = 24, 2
USED, LENGTH, PATCH = 12, 10, 4


class Attention(nn.Module):
    """Written out, so that the maps ``[batch, head, query, key]`` are at hand."""

    def __init__(self, causal: bool, maps: dict[str, torch.Tensor], name: str) -> None:
        super().__init__()
        self.qk, self.v, self.out = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self._causal, self._maps, self._name = causal, maps, name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        query, key, value = (
            part.reshape(batch, length, HEADS, -1).transpose(1, 2) for part in (*self.qk(x).chunk(2, -1), self.v(x))
        )
        score = query @ key.transpose(-1, -2) / (WIDTH / HEADS) ** 0.5
        if self._causal:
            score = score.masked_fill(torch.ones(length, length).triu(1).bool(), float("-inf"))
        weight = score.softmax(-1)
        self._maps[self._name] = weight.detach()
        y: torch.Tensor = self.out((weight @ value).transpose(1, 2).reshape(batch, length, WIDTH))
        return y


class Layer(nn.Module):
    """Pre-norm attention and feed-forward, each on a residual branch."""

    def __init__(
        self, knobs: Knobs, act: nn.Module, causal: bool, maps: dict[str, torch.Tensor], name: str, experts: bool
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(causal, maps, f"{name}.attention")
        self.up = Block(nn.Linear(WIDTH, 2 * WIDTH), act, knobs.dropout)
        self.down = nn.Linear(2 * WIDTH, WIDTH)
        self.experts = Experts(WIDTH) if experts else nn.Identity()
        scale = knobs.layer_scale
        self.scale1, self.scale2 = (
            nn.Parameter(torch.full((WIDTH,), scale)) if scale is not None else None for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.attention(self.norm1(x))
        x = x + (y if self.scale1 is None else self.scale1 * y)
        y = self.experts(self.down(self.up(self.norm2(x))))
        return x + (y if self.scale2 is None else self.scale2 * y)


class Transformer(nn.Module):
    def __init__(self, embedding: nn.Module, length: int, layers: list[Layer], outputs: int, pooled: bool) -> None:
        super().__init__()
        self.embedding = embedding
        self.position = nn.Parameter(0.02 * torch.randn(length, WIDTH))
        self.layers = nn.ModuleList(layers)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, outputs)
        self._pooled = pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embedding(x) + self.position
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        y: torch.Tensor = self.head(x.mean(1) if self._pooled else x)
        return y


def _sites(bounded: bool) -> Sites:
    acts = tuple((f"layers.{i}.up.layer", f"layers.{i}.up.act") for i in range(2))
    return Sites(
        first="embedding",
        head="head",
        weights=("layers.0.up.layer.weight", "layers.0.down.weight", "layers.1.up.layer.weight"),
        relus=() if bounded else acts,
        bounded=acts if bounded else (),
        branches=("layers.0.attention.v", "layers.1.up.layer"),
        queries=("layers.0.attention.qk", "layers.1.attention.qk"),
    )


def transformer(knobs: Knobs, seed: int) -> Task:
    """Next tokens of sequences that a table of transitions with a memory of two makes, nearly always."""
    vocabulary = knobs.vocabulary or USED
    maps: dict[str, torch.Tensor] = {}
    layers = [Layer(knobs, nn.GELU(), True, maps, f"layers.{i}", knobs.experts and i == 1) for i in range(2)]
    model = Transformer(nn.Embedding(vocabulary, WIDTH), LENGTH, layers, USED, pooled=False)
    table = torch.randint(USED, (USED, 2), generator=generator(seed + 1))

    def draw(count: int, source: torch.Generator) -> Batch:
        tokens = torch.randint(USED, (count, LENGTH + 1), generator=source)
        for position in range(2, LENGTH + 1):
            following = table[tokens[:, position - 1], tokens[:, position - 2] % 2]
            sure = torch.rand(count, generator=source) < 0.95
            tokens[:, position] = torch.where(sure, following, tokens[:, position])
        return Batch(tokens[:, :-1], tokens[:, 1:])

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()), logits

    return Task(model, _sites(bounded=True), draw, loss, rate=4e-3, batch=16, attention=maps)


def patches(knobs: Knobs, seed: int) -> Task:
    """The images of the convolutional nets, in four patches."""
    maps: dict[str, torch.Tensor] = {}
    layers = [Layer(knobs, nn.ReLU(), False, maps, f"layers.{i}", knobs.experts and i == 1) for i in range(2)]
    cut = chain(("conv", nn.Conv2d(1, WIDTH, PATCH, stride=2)), ("flat", nn.Flatten(2)), ("turn", _Turn()))
    model = Transformer(cut, ((SIDE - PATCH) // 2 + 1) ** 2, layers, CLASSES, pooled=True)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs)
        return functional.cross_entropy(logits, batch.targets), logits

    return Task(model, _sites(bounded=False), images(seed), loss, rate=3e-3, attention=maps)


class _Turn(nn.Module):
    """``[batch, width, patch]`` to ``[batch, patch, width]``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)
