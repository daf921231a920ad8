"""An encoder and a decoder that looks at what it encoded, with normalisation after each branch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, chain, generator
from .transformers import HEADS, WIDTH, Attention

WORDS, LENGTH = 10, 6


class Cross(nn.Module):
    """Attention of the decoder to what the encoder made."""

    def __init__(self, maps: dict[str, torch.Tensor], name: str) -> None:
        super().__init__()
        self.q, self.kv, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self._maps, self._name = maps, name

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.q(x), *self.kv(memory).chunk(2, -1))
        )
        weight = (query @ key.transpose(-1, -2) / (WIDTH / HEADS) ** 0.5).softmax(-1)
        self._maps[self._name] = weight.detach()
        y: torch.Tensor = self.out((weight @ value).transpose(1, 2).flatten(2))
        return y


class Branch(nn.Module):
    """The normalised sum of what there was and what a module makes of it."""

    def __init__(self, inner: nn.Module, scale: float | None) -> None:
        super().__init__()
        self.inner, self.norm = inner, nn.LayerNorm(WIDTH)
        self.scale = nn.Parameter(torch.full((WIDTH,), scale)) if scale is not None else None

    def forward(self, x: torch.Tensor, *memory: torch.Tensor) -> torch.Tensor:
        y = self.inner(x, *memory)
        z: torch.Tensor = self.norm(x + (y if self.scale is None else self.scale * y))
        return z


class Layer(nn.Module):
    """Attention, feed-forward, and between them in a decoder the memory."""

    def __init__(self, knobs: Knobs, decodes: bool, maps: dict[str, torch.Tensor], name: str) -> None:
        super().__init__()
        self.attention = Branch(Attention(decodes, maps, f"{name}.attention.inner"), knobs.layer_scale)
        self.cross = Branch(Cross(maps, f"{name}.cross.inner"), knobs.layer_scale) if decodes else None
        up = Block(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), knobs.dropout)
        self.feed = Branch(chain(("up", up), ("down", nn.Linear(2 * WIDTH, WIDTH))), knobs.layer_scale)

    def forward(self, x: torch.Tensor, *memory: torch.Tensor) -> torch.Tensor:
        x = self.attention(x)
        if self.cross is not None:
            x = self.cross(x, *memory)
        y: torch.Tensor = self.feed(x)
        return y


class Translator(nn.Module):
    """Logits of each next word, from the sentence and the words before."""

    def __init__(self, knobs: Knobs, maps: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.source = nn.Embedding(knobs.vocabulary or WORDS, WIDTH)
        self.target = nn.Embedding(WORDS + 1, WIDTH)  # the last one begins a sentence
        self.place = nn.Parameter(torch.randn(LENGTH, WIDTH))
        self.encoder, self.decoder = (Layer(knobs, name == "decoder", maps, name) for name in ("encoder", "decoder"))
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, sentence: torch.Tensor, translated: torch.Tensor) -> torch.Tensor:
        memory = self.encoder(self.source(sentence) + self.place)
        before = functional.pad(translated[:, :-1], (1, 0), value=WORDS)
        y: torch.Tensor = self.head(self.decoder(self.target(before) + self.place, memory))
        return y


def translator(knobs: Knobs, seed: int) -> Task:
    """Word by word from a dictionary, with each two neighbours swapped."""
    maps: dict[str, torch.Tensor] = {}
    model = Translator(knobs, maps)
    dictionary = torch.randperm(WORDS, generator=generator(seed + 1))
    order = torch.arange(LENGTH).view(-1, 2).flip(1).flatten()

    def draw(count: int, source: torch.Generator) -> Batch:
        sentence = torch.randint(WORDS, (count, LENGTH), generator=source)
        return Batch(sentence, dictionary[sentence][:, order])

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(batch.inputs, batch.targets)
        return functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()), logits

    sides = ("encoder", "decoder")
    return Task(
        model,
        Sites(
            first="source",
            head="head",
            weights=tuple(f"{name}.feed.inner.{layer}.weight" for name in sides for layer in ("up.layer", "down")),
            relus=tuple((f"{name}.feed.inner.up.layer", f"{name}.feed.inner.up.act") for name in sides),
            branches=("encoder.attention.inner.v", "decoder.feed.inner.up.layer"),
            queries=tuple(f"{name}.attention.inner.qk" for name in sides),
        ),
        draw,
        loss,
        rate=4e-3,
        attention=maps,
    )
