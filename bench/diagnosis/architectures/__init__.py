"""THE table of architectures, and which of them rules may be tuned on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .contrastive import clip
from .control import actor_critic
from .feedforward import autoencoder, mlp, tanh_mlp
from .generative import unet, vae
from .images import cnn, resnet
from .mixer import mixer
from .recommender import recommender
from .sequences import bag, gru, lstm
from .task import Knobs, Task
from .transformers import patches, transformer
from .translation import translator
from .waves import wavenet

Part = Literal["development", "examined", "held-out"]
Trait = Literal["relu", "bounded", "numbers", "residual", "experts", "tokens", "attention", "policy"]


#: In the order in which they were looked at.
PARTS: tuple[Part, ...] = ("development", "examined", "held-out")


def up_to(part: Part) -> tuple[Part, ...]:
    """It and the parts before it."""
    return PARTS[: PARTS.index(part) + 1]


@dataclass(frozen=True)
class Architecture:
    """``traits`` say which pathologies and habits it can have; ``numbers`` are inputs that have a scale."""

    name: str
    part: Part
    make: Callable[[Knobs, int], Task]
    traits: frozenset[Trait]


def _one(name: str, part: Part, make: Callable[[Knobs, int], Task], *traits: Trait) -> Architecture:
    return Architecture(name, part, make, frozenset(traits))


ARCHITECTURES: dict[str, Architecture] = {
    one.name: one
    for one in (
        _one("mlp", "development", mlp, "relu", "numbers", "experts"),
        _one("cnn", "development", cnn, "relu", "numbers"),
        _one("lstm", "development", lstm, "relu", "numbers"),
        _one("transformer", "development", transformer, "bounded", "residual", "experts", "tokens", "attention"),
        _one("autoencoder", "development", autoencoder, "bounded", "numbers"),
        _one("actor_critic", "development", actor_critic, "relu", "numbers", "policy"),
        _one("tanh_mlp", "examined", tanh_mlp, "bounded", "numbers"),
        _one("resnet", "examined", resnet, "relu", "numbers", "residual"),
        _one("gru", "examined", gru, "bounded", "numbers"),
        _one("bag", "examined", bag, "bounded", "tokens"),
        _one("patches", "examined", patches, "relu", "numbers", "residual", "experts", "attention"),
        _one("clip", "examined", clip, "relu", "numbers"),
        _one("mixer", "held-out", mixer, "bounded", "numbers", "residual"),
        _one("unet", "held-out", unet, "relu", "numbers"),
        _one("vae", "held-out", vae, "relu", "numbers"),
        _one("recommender", "held-out", recommender, "relu", "tokens"),
        _one("wavenet", "held-out", wavenet, "relu", "bounded", "numbers", "residual"),
        _one("translator", "held-out", translator, "relu", "residual", "tokens", "attention"),
    )
}
