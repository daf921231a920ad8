"""Dead units: channels or features of a layer that stay silent, look after look."""

from __future__ import annotations

import torch

#: A unit is silent at a look where every element of it is below this in magnitude.
SILENT = 1e-6
#: A unit that was silent at so many looks on end is dead.
WINDOW = 20
#: Share of the batch that a host looks at before it looks closer at what was silent there.
_FIRST = 16


class Units:
    """How long each unit of one module's output has been silent; on the output's device, and never waited for."""

    def __init__(self) -> None:
        self._silent: torch.Tensor | None = None  # [unit], in this look
        self._looks: torch.Tensor | None = None  # [unit], on end

    def see(self, output: torch.Tensor, dimension: int) -> None:
        """One call in this look; units lie along ``dimension`` of ``output``. No autograd."""
        silent = silent_units(output, dimension)
        if self._silent is not None and _alike(self._silent, silent):
            silent = silent & self._silent
        self._silent = silent

    def end_look(self) -> torch.Tensor | None:
        """The number of dead units, None where there was no call in this look; another number of units starts over."""
        silent, self._silent = self._silent, None
        if silent is None:
            return None
        looks = self._looks
        if looks is None or not _alike(looks, silent):
            looks = torch.zeros_like(silent, dtype=torch.int32)
        self._looks = torch.where(silent, looks + 1, 0)
        return (self._looks >= WINDOW).sum()

    def forget_look(self) -> None:
        self._silent = None

    @property
    def number(self) -> int:
        """0 before the first look."""
        return 0 if self._looks is None else self._looks.numel()

    def dead(self) -> list[int]:
        """Indices of dead units; waits for the device."""
        if self._looks is None:
            return []
        indices: list[int] = (self._looks >= WINDOW).nonzero().flatten().tolist()
        return indices


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.device == other.device


def silent_units(output: torch.Tensor, dimension: int) -> torch.Tensor:
    """``[unit]``: whether all elements are below SILENT; one that is NaN is not."""
    dimension %= output.dim()
    first = -(-output.shape[0] // _FIRST) if output.is_cpu and dimension else output.shape[0]
    silent = _below(output[:first], dimension)
    if first < output.shape[0] and bool(silent.any()):
        left = silent.nonzero().flatten()
        silent[left] = _below(output[first:].index_select(dimension, left), dimension)
    return silent


def _below(output: torch.Tensor, dimension: int) -> torch.Tensor:
    others = [i for i in range(output.dim()) if i != dimension]
    if not others:
        return output.abs() < SILENT
    # No copy of the output, as its magnitudes would be.
    return torch.maximum(output.amax(others), -output.amin(others)) < SILENT
