"""DTensor: what of a tensor lies on this rank, and who counts it. Nothing here communicates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .boundary.names import Named

#: Elements of a gradient that is added up by us; norms and biases have far fewer.
MAX_TERM = 1 << 18


@dataclass(frozen=True)
class Piece:
    """A tensor as one rank sees it.

    ``mesh`` holds the ranks that it is spread over, ascending; None for a plain tensor, which is whole on each rank
    that has it. ``parts`` is how many different pieces they hold. ``summed`` is the number of its elements where each
    rank has a term of each of them, which are still to be added up (``Partial``), else 0. All of it is the same on
    every rank of the mesh.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    aliases: tuple[str, ...] = ()
    mesh: tuple[int, ...] | None = None
    parts: int = 1
    summed: int = 0


def is_sharded(tensor: torch.Tensor | None) -> bool:
    """Whether ``tensor`` is a DTensor."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")


def is_flattened(tensor: torch.Tensor) -> bool:
    """Whether ``tensor`` is a slice that FSDP of the first kind (``FullyShardedDataParallel``) left here."""
    return bool(getattr(tensor, "_fsdp_flattened", False))


def is_term(gradient: torch.Tensor | None) -> bool:
    """Whether ``gradient`` is one of several terms that, added up over the ranks, are the whole of it."""
    if not is_sharded(gradient):
        return False
    places: Any = gradient.placements  # type: ignore[union-attr]
    if not gradient.is_floating_point() or gradient.numel() > MAX_TERM:  # type: ignore[union-attr]
        return False
    return any(place.is_partial() for place in places) and all(
        place.is_replicate() or (place.is_partial() and getattr(place, "reduce_op", "sum") in ("sum", "avg"))
        for place in places
    )


def piece(named: Named) -> Piece:
    tensor: Any = named.tensor
    dtype = str(tensor.dtype).removeprefix("torch.")
    if not is_sharded(tensor):
        return Piece(named.name, tuple(tensor.shape), dtype, named.aliases)
    mesh = tensor.device_mesh.mesh
    spread = [size for size, place in zip(mesh.shape, tensor.placements, strict=True) if not place.is_replicate()]
    ranks = tuple(sorted(mesh.flatten().tolist()))
    summed = tensor.numel() if is_term(tensor.grad) else 0
    return Piece(named.name, tuple(tensor.shape), dtype, named.aliases, ranks, math.prod(spread), summed)


def owns_gradient(parameter: torch.Tensor) -> bool:
    """:func:`owns` of the parameter's gradient, of which each rank may have a term."""
    gradient = parameter.grad
    return owns(gradient if gradient is not None and is_term(gradient) else parameter)


def owns(tensor: torch.Tensor) -> bool:
    """Whether this rank counts its piece of ``tensor``: it does at coordinate 0 of each dimension of the mesh that
    replicates, since the others have the very same elements."""
    sharded: Any = tensor
    if not is_sharded(sharded):
        return True
    coordinate = sharded.device_mesh.get_coordinate()
    if coordinate is None:
        return False
    return all(at == 0 for at, place in zip(coordinate, sharded.placements, strict=True) if place.is_replicate())


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of ``tensor`` on this rank."""
    own: torch.Tensor = _elements(tensor) if is_sharded(tensor) else tensor.detach()
    return own


def local_gradient(parameter: torch.Tensor) -> torch.Tensor | None:
    """The gradient's elements on this rank.

    A gradient laid out so that it would have to be moved between ranks is returned as it is, and then named as not
    measured; terms of a sum are :func:`term`'s.
    """
    gradient: Any = parameter.grad
    if not is_sharded(parameter.grad):
        return parameter.grad
    wanted = tuple(getattr(parameter, "placements", gradient.placements))
    pairs = list(zip(gradient.placements, wanted, strict=True))
    if all(have == want for have, want in pairs):
        local: torch.Tensor = _elements(gradient)
        return local
    if all(have == want or (have.is_replicate() and not want.is_partial()) for have, want in pairs):
        part: torch.Tensor = _elements(gradient.redistribute(placements=wanted))  # of what this rank has already
        return part
    return parameter.grad


def local_gradients(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor | None]:
    """:func:`local_gradient` of each parameter."""
    with torch.no_grad():
        return [local_gradient(parameter) for parameter in parameters]


def term(gradient: Any, inverse_scale: torch.Tensor | None) -> tuple[torch.Tensor, Any]:
    """A copy of this rank's term on the host, flat, and the event that says when it has arrived (None: it has)."""
    with torch.no_grad():
        local = _elements(gradient).reshape(-1)
        for size, place in zip(gradient.device_mesh.mesh.shape, gradient.placements, strict=True):
            if getattr(place, "reduce_op", "sum") == "avg":
                local = local / size
        if inverse_scale is not None:
            local = local * inverse_scale.to(local.device, local.dtype)
        if local.device.type == "cpu":
            return local.clone(), None
        module: Any = torch.get_device_module(local.device)
        kept = torch.empty(local.shape, dtype=local.dtype, device="cpu", pin_memory=True)
        kept.copy_(local, non_blocking=True)
        event = module.Event()
        event.record(module.current_stream(local.device))
        return kept, event


def _elements(gradient: Any) -> Any:
    local = gradient.detach()._local_tensor
    return local.wait() if hasattr(local, "wait") else local


def replicated(value: torch.Tensor) -> torch.Tensor:
    """A value that every rank has, as a plain tensor. Raises ValueError where ranks would have to be asked."""
    if not is_sharded(value):
        return value
    places: Any = value.placements  # type: ignore[attr-defined]
    if not all(place.is_replicate() for place in places):
        raise ValueError(f"expected a value that each rank has, got a DTensor with placements {places}: reduce it")
    local: torch.Tensor = _elements(value)
    return local
