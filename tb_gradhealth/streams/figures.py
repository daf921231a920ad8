"""What is known of one module's output beside its entries: elements at a limit, dead units, spread across the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from . import spread
from .choosing import Kind
from .limits import Count, Limit, limit_of
from .stream import Fetch, later
from .units import Units

#: ``[figure]`` of a module at a look.
NAMES = ("limited", "limitable", "units", "dead_units", "between_sq", "total_sq")


class Layout:
    """Along which dimension the units of an output lie: where the layer that made it has them, as long as what follows
    leaves the shape alone. Else dimension 1 of images, and the last one of all others."""

    def __init__(self) -> None:
        self._shape: torch.Size | None = None
        self._dimension = -1

    def of(self, module: nn.Module, kind: Kind, output: torch.Tensor) -> int:
        if kind == "conv":
            self._remember(output, output.dim() - 1 - len(getattr(module, "kernel_size", ())))
        elif kind == "linear":
            self._remember(output, -1)
        elif kind == "norm" and output.shape != self._shape:
            self._remember(output, 1 if isinstance(module, nn.modules.batchnorm._NormBase) else -1)
        if output.shape == self._shape:
            return self._dimension
        return 1 if output.dim() > 3 else -1

    def _remember(self, output: torch.Tensor, dimension: int) -> None:
        self._shape, self._dimension = output.shape, dimension


class Figures:
    """Of one module, call by call, added up over a look."""

    def __init__(self, module: nn.Module, kind: Kind) -> None:
        self.limit: Limit | None = limit_of(module) if kind == "activation" else None
        self.units: Units | None = Units() if kind in ("linear", "conv", "activation") else None
        self.forget()

    def forget(self) -> None:
        """What was seen in this look does not count."""
        self._limited: list[Count] = []
        self._limitable = 0
        self._between: list[torch.Tensor] = []
        if self.units is not None:
            self.units.forget_look()

    def see_input(self, tensor: torch.Tensor) -> None:
        if self.limit is not None and self.limit.of == "input":
            self._limited.append(self.limit.count(tensor))
            self._limitable += tensor.numel()

    def see_output(self, tensor: torch.Tensor, dimension: int) -> None:
        """Not empty; units lie along ``dimension``."""
        if spread.has_spread(tensor):
            self._between.append(spread.between(tensor))
        if tensor.dim() and self.units is not None and not tensor.is_complex():
            self.units.see(tensor, dimension)
        if self.limit is not None and self.limit.of == "output":
            self._limitable += tensor.numel()
            self._limited.append(self.limit.count(tensor))

    def take(self) -> tuple[list[float], list[tuple[int, torch.Tensor]]]:
        """``[figure]``, NaN where there is nothing, and what is still on a device to be added to them, by place.

        Where the limit is 0 its two are missing: the entries have them.
        """
        known = [np.nan] * len(NAMES)
        waiting: list[tuple[int, torch.Tensor]] = []
        if self._limitable and self.limit is not None:
            known[1] = float(self._limitable)
            known[0] = sum(one for one in self._limited if isinstance(one, float))
            waiting += [(0, one) for one in self._limited if not isinstance(one, float)]
        dead = None if self.units is None else self.units.end_look()
        if self.units is not None and dead is not None:
            known[2], known[3] = float(self.units.number), 0.0
            waiting.append((3, dead))
        for one in self._between:
            known[4] = known[5] = 0.0
            waiting += [(4, one[0]), (5, one[1])]
        self.forget()
        return known, waiting


def fetch_all(
    taken: Sequence[tuple[list[float], list[tuple[int, torch.Tensor]]]],
) -> Callable[[], npt.NDArray[np.float64]]:
    """``[module, figure]`` of what :meth:`Figures.take` gave, with one copy from each device."""
    known = np.array([one for one, _ in taken], np.float64).reshape(len(taken), len(NAMES))
    by_device: dict[torch.device, list[tuple[int, int, torch.Tensor]]] = {}
    for module, (_, waiting) in enumerate(taken):
        for figure, tensor in waiting:
            by_device.setdefault(tensor.device, []).append((module, figure, tensor))
    fetches: list[tuple[list[tuple[int, int]], Fetch]] = []
    for device, items in by_device.items():
        wide = torch.float32 if device.type == "mps" else torch.float64
        stacked = torch.stack([tensor.to(wide) for _, _, tensor in items])
        fetches.append(([(module, figure) for module, figure, _ in items], later(stacked)))

    def fetch() -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = known.copy()
        for places, values in fetches:
            for place, value in zip(places, values(), strict=True):
                found[place] += value
        return found

    return fetch
