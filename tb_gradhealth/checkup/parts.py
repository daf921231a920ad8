"""What a model is made of: its parameters with what they were initialised to, its buffers, and wrappers around it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy

from ..boundary.names import Names
from ..diagnosis.structure import module_of
from ..rows import Floats
from ..streams.choosing import Kind, kind_of
from .leaves import has_numbers
from .measuring import Figures, first_bad, measure


@dataclass(frozen=True)
class Part:
    """A parameter or buffer. ``default`` is the RMS that its layer's default initialisation would give it, NaN where
    that is not random; ``listed`` says whether the optimizer has it, None without an optimizer."""

    name: str
    aliases: tuple[str, ...]
    module: str
    kind: Kind  # of the module
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    trains: bool
    known: bool  # whether it has values: not on the meta device, and initialised
    buffer: bool
    listed: bool | None
    default: float
    alike: bool  # a matrix whose rows are all the same
    first_bad: tuple[int, ...] | None

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def matrix(self) -> bool:
        """Whether it is the weight of a linear layer, a convolution, a recurrent layer or attention."""
        return not math.isnan(self.default) and self.kind != "embedding"


@dataclass(frozen=True, eq=False)
class Parts:
    """``parts`` in the order of the model, and figures ``[part]`` of their values."""

    parts: tuple[Part, ...]
    figures: Figures

    @property
    def ratio(self) -> Floats:
        """RMS beside that of the default initialisation; NaN where there is none."""
        found: Floats = self.figures.rms / [one.default for one in self.parts]
        return found


def inner(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of DDP and ``torch.compile``."""
    while True:
        if isinstance(model, (DistributedDataParallel, DataParallel)):
            model = model.module
        elif isinstance(compiled := getattr(model, "_orig_mod", None), nn.Module):
            model = compiled
        else:
            return model


def parts_of(model: nn.Module, listed: set[int] | None) -> tuple[Parts, Parts]:
    """Parameters and buffers; ``listed`` are the identities of those that the optimizer has, None without one."""
    kinds = {one.name: one.module for one in Names(model).modules()}
    kinds[""] = model
    every = list(model.parameters())
    names = {id(one.tensor): one for one in Names(model).of([{"params": list(every)}])}
    parameters = [_part(names[id(one)].name, names[id(one)].aliases, one, kinds, False, listed) for one in every]
    buffers = list(model.named_buffers())
    return (
        Parts(tuple(parameters), measure([_readable(one) for one in every])),
        Parts(
            tuple(_part(name, (), one, kinds, True, None) for name, one in buffers),
            measure([_readable(one) for _, one in buffers]),
        ),
    )


def _part(
    name: str,
    aliases: tuple[str, ...],
    tensor: torch.Tensor,
    modules: dict[str, nn.Module],
    buffer: bool,
    listed: set[int] | None,
) -> Part:
    owner = modules.get(module_of(name))
    kind: Kind = kind_of(owner) if owner is not None else "other"
    known = not is_lazy(tensor) and not tensor.is_meta
    shape = () if is_lazy(tensor) else tuple(tensor.shape)
    floats = known and has_numbers(tensor)
    detached = tensor.detach() if known else tensor
    return Part(
        name,
        aliases,
        module_of(name),
        kind,
        shape,
        str(tensor.dtype).removeprefix("torch."),
        math.prod(shape) * tensor.element_size() if shape or known else 0,
        tensor.requires_grad,
        known,
        buffer,
        None if listed is None else id(tensor) in listed,
        math.nan if buffer or owner is None else default_rms(owner, kind, shape),
        floats and _alike(detached),
        first_bad(detached) if floats and not bool(detached.isfinite().all()) else None,
    )


def default_rms(owner: nn.Module, kind: Kind, shape: tuple[int, ...]) -> float:
    """Of linear layers and convolutions torch draws uniformly from ±1/√fan_in (``nn.Linear.reset_parameters``), of
    recurrent layers from ±1/√hidden, of embeddings normally with a variance of 1."""
    if len(shape) < 2 or kind in ("norm", "activation", "other"):
        return math.nan
    if kind == "embedding":
        return 1.0
    fan_in = math.prod(shape[1:])
    if kind == "recurrent":
        fan_in = int(getattr(owner, "hidden_size", fan_in))
    elif type(owner).__name__ == "Conv1D":  # of transformers, whose weight is [in, out]
        fan_in = shape[0]
    return 1 / math.sqrt(3 * max(1, fan_in))


def _alike(tensor: torch.Tensor) -> bool:
    return tensor.dim() > 1 and tensor.shape[0] > 1 and bool((tensor == tensor[:1]).all())


def _readable(tensor: torch.Tensor) -> torch.Tensor | None:
    if is_lazy(tensor) or tensor.is_meta:
        return None
    return tensor if has_numbers(tensor) else None


def awaits_batch(model: nn.Module) -> bool:
    return any(is_lazy(one) for one in (*model.parameters(), *model.buffers()))


def copied(model: nn.Module) -> nn.Module:
    """A copy of a model that awaits its batch; torch's buffers without a shape do not know how to be copied."""
    memo: dict[int, Any] = {}
    for one in model.buffers():
        if is_lazy(one):
            fresh: Any = type(one)
            memo[id(one)] = fresh(requires_grad=one.requires_grad, device=one.device, dtype=one.dtype)
    return copy.deepcopy(model, memo)


def without_values(model: nn.Module) -> list[str]:
    """Names of parameters and buffers on the meta device."""
    return [name for name, one in (*model.named_parameters(), *model.named_buffers()) if one.is_meta]
