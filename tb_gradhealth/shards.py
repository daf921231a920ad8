"""DTensor: what of a tensor lies on this rank, and who counts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .boundary.names import Named


@dataclass(frozen=True)
class Piece:
    """A tensor as one rank sees it.

    ``mesh`` holds the ranks that it is spread over, ascending; None for a plain tensor, which is whole on each rank
    that has it. ``parts`` is how many different pieces they hold. All of it is the same on every rank of the mesh.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    aliases: tuple[str, ...] = ()
    mesh: tuple[int, ...] | None = None
    parts: int = 1


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether ``tensor`` is a DTensor."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")


def is_flattened(tensor: torch.Tensor) -> bool:
    """Whether ``tensor`` is a slice that FSDP of the first kind (``FullyShardedDataParallel``) left here."""
    return bool(getattr(tensor, "_fsdp_flattened", False))


def piece(named: Named) -> Piece:
    tensor: Any = named.tensor
    dtype = str(tensor.dtype).removeprefix("torch.")
    if not is_sharded(tensor):
        return Piece(named.name, tuple(tensor.shape), dtype, named.aliases)
    mesh = tensor.device_mesh.mesh
    spread = [size for size, place in zip(mesh.shape, tensor.placements, strict=True) if not place.is_replicate()]
    ranks = tuple(sorted(mesh.flatten().tolist()))
    return Piece(named.name, tuple(tensor.shape), dtype, named.aliases, ranks, math.prod(spread))


def owns(tensor: torch.Tensor) -> bool:
    """Whether this rank counts its piece of ``tensor``: it does at coordinate 0 of each dimension of the mesh that
    replicates, since the others have the very same elements."""
    sharded: Any = tensor
    if not is_sharded(tensor):
        return True
    coordinate = sharded.device_mesh.get_coordinate()
    if coordinate is None:
        return False
    return all(at == 0 for at, place in zip(coordinate, sharded.placements, strict=True) if place.is_replicate())


def local_gradients(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor | None]:
    """The gradients' elements on this rank.

    A gradient that is still a partial sum is reduced first, as the optimizer would: a collective, on the same tensors
    in the same order on each rank, since what is partial is part of the model's layout. No whole tensor is gathered:
    a gradient laid out so that this would be needed is returned as it is, and then named as not measured.
    """
    found: list[Any] = [parameter.grad for parameter in parameters]
    partial: dict[Any, list[int]] = {}
    with torch.no_grad():
        for index, (parameter, gradient) in enumerate(zip(parameters, found, strict=True)):
            if gradient is None or not is_sharded(gradient):
                continue
            wanted = tuple(getattr(parameter, "placements", gradient.placements))
            if any(place.is_partial() for place in gradient.placements):
                key = (gradient.device_mesh, gradient.placements, wanted, gradient.dtype)
                partial.setdefault(key, []).append(index)
            elif tuple(gradient.placements) == tuple(wanted):
                found[index] = _elements(gradient)
            elif all(
                have == want or have.is_replicate() for have, want in zip(gradient.placements, wanted, strict=True)
            ):
                found[index] = _elements(gradient.redistribute(placements=wanted))
        for (mesh, placements, wanted, _), indices in partial.items():
            gradients = [found[index] for index in indices]
            for index, reduced in zip(indices, _reduced(gradients, mesh, placements, wanted), strict=True):
                found[index] = reduced
    return found


def _reduced(gradients: list[Any], mesh: Any, placements: Any, wanted: tuple[Any, ...]) -> list[Any]:
    """Local elements of partial sums; one collective for all where each rank keeps every element."""
    if any(
        not (have.is_partial() and want.is_replicate()) and have != want
        for have, want in zip(placements, wanted, strict=True)
    ):
        return [_elements(gradient.redistribute(placements=wanted)) for gradient in gradients]
    from torch.distributed.tensor import DTensor

    locals_ = [_elements(gradient) for gradient in gradients]
    flat = torch.cat([local.reshape(-1) for local in locals_])
    joined = DTensor.from_local(flat, mesh, placements, run_check=False).redistribute(placements=wanted)
    return list(_elements(joined).split([local.numel() for local in locals_]))


def _elements(gradient: Any) -> Any:
    local = gradient.detach()._local_tensor
    return local.wait() if hasattr(local, "wait") else local
