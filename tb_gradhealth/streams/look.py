"""What a look at one tensor gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Look:
    """Rows of a stream, named behind the tensor's own name; "" is the tensor's own row.

    ``tensors [row]`` are measured as those of all streams are; ``further [name, row]``, float64 on their device, has
    the further entries ``names`` of each.
    """

    rows: tuple[str, ...]
    tensors: Sequence[torch.Tensor]
    names: tuple[str, ...]
    further: torch.Tensor


def spaced(size: int, most: int, device: torch.device) -> torch.Tensor:
    """At most ``most`` evenly spaced indices of ``[0, size)``, ascending."""
    chosen = min(size, most)
    return torch.arange(chosen, device=device) * size // chosen
