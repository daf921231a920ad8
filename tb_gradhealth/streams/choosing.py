"""Which modules of a model are looked at, and what each of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn
from torch.nn.modules.conv import _ConvNd

from ..boundary.names import NamedModule

#: "auto", or shell patterns on the modules' names.
Choice = Literal["auto"] | tuple[str, ...]

Kind = Literal["linear", "conv", "attention", "norm", "activation", "embedding", "recurrent", "other"]

_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.CELU, nn.SELU, nn.Tanh,
    nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.GLU,
)  # fmt: skip
#: Words in the names of other people's classes.
_WORDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("norm", ("norm",)),
    ("activation", ("gelu", "silu", "swish", "relu", "mish", "tanh", "sigmoid", "softplus")),
    ("linear", ("linear", "conv1d")),  # Conv1D of transformers is a linear layer
)


@dataclass(frozen=True)
class Chosen:
    """A module that is looked at."""

    name: str
    module: nn.Module
    aliases: tuple[str, ...]
    kind: Kind


def choose(modules: Sequence[NamedModule], choice: Choice, tell: Callable[[str], None]) -> list[Chosen]:
    """Those of ``modules`` that ``choice`` means, in their order; ``tell`` is told of patterns that match nothing."""
    if choice == "auto":
        # Whose parts are not called, but read.
        whole = {
            id(part)
            for one in modules
            if isinstance(one.module, nn.MultiheadAttention)
            for part in one.module.children()
        }
        kinds = [kind_of(one.module) for one in modules]
        return [
            Chosen(one.name, one.module, one.aliases, kind)
            for one, kind in zip(modules, kinds, strict=True)
            if kind != "other" and id(one.module) not in whole and not _attends_by_another(one.module, kind)
        ]
    unused = [p for p in choice if not any(_matches(one, p) for one in modules)]
    if unused:
        some = ", ".join(repr(one.name) for one in modules[1:4])
        tell(
            f"activations: expected patterns of module names, but no module is called like "
            f"{', '.join(map(repr, unused))}: correct the spelling, names are such as {some}"
        )
    return [
        Chosen(one.name, one.module, one.aliases, kind_of(one.module))
        for one in modules
        if any(_matches(one, pattern) for pattern in choice)
    ]


def kind_of(module: nn.Module) -> Kind:
    """By its class, or by words in its class's name where that is not torch's."""
    called = type(module).__name__.lower()
    if isinstance(module, nn.MultiheadAttention) or "attention" in called or "attn" in called:
        return "attention"
    if isinstance(module, _ACTIVATIONS):
        return "activation"
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, _ConvNd):
        return "conv"
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return "recurrent"
    if next(module.children(), None) is None:
        for kind, words in _WORDS:
            if any(word in called for word in words):
                return kind
    return "other"


def _attends_by_another(module: nn.Module, kind: Kind) -> bool:
    """Of modules inside each other that are called attention, the innermost one attends."""
    return kind == "attention" and any(
        kind_of(inner) == "attention" for inner in module.modules() if inner is not module
    )


def _matches(one: NamedModule, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (one.name, *one.aliases))
