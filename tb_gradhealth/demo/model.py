"""A small GPT in the plainest form, with an optional projection of numeric descriptors beside the embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class GPTConfig:
    """``descriptors`` is the number of numeric features of each token; 0 leaves the projection out."""

    vocabulary: int
    width: int = 160
    layers: int = 4
    heads: int = 4
    sequence: int = 64
    descriptors: int = 0


class Attention(nn.Module):
    """Causal self-attention, ``[batch, position, width]`` → the same."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, positions, width = x.shape
        qkv = self.qkv(x).view(batch, positions, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, positions, width))
        return out


class Block(nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to its input."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, 4 * config.width), nn.GELU(), nn.Linear(4 * config.width, config.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class GPT(nn.Module):
    """tokens ``[batch, position]`` and descriptors ``[batch, position, feature]`` → logits ``[…, token]``."""

    #: Standard deviation of initial weights, and of the projection's: its inputs are numbers, not unit vectors.
    STD, PROJECTION_STD = 0.02, 0.006

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.sequence, config.width)
        self.projection = nn.Linear(config.descriptors, config.width) if config.descriptors else None
        self.tanh = nn.Tanh() if config.descriptors else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                std = self.PROJECTION_STD if module is self.projection else self.STD
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, descriptors: Tensor | None = None) -> Tensor:
        x = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        if self.projection is not None and self.tanh is not None and descriptors is not None:
            x = x + self.tanh(self.projection(descriptors))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits
