"""What the optimizer added to the weights, and how much that is beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer

from gradhealth_kernels import figures
from gradhealth_kernels.launch import StepRing

from .stream import Sample, Source, Stream

UPDATES = Stream("updates", "Updates", "update", further=("weight_sq",))

#: What copies of the weights may take during a sampled step; what finds no room is not looked at, the smallest first.
COPY_BYTES = 1 << 30


class Updates(Source):
    """The weights after a sampled step less a copy of them from before it.

    A copy is the one way that holds for every optimizer, and that sees what rounding keeps of an update: those of
    bfloat16 weights are often lost whole, which no optimizer's state tells. It is there from just before the step to
    just after it. ``tell`` is told, once, what has no room.
    """

    def __init__(self, tell: Callable[[str], None], room: int = COPY_BYTES) -> None:
        self._tell, self._room = tell, room
        self._copies: list[torch.Tensor | None] = []
        self._ring: StepRing | None = None
        self._told = False

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        # What is frozen does not move; that it has no update tells it from what waits for its gradient.
        local = [
            one if parameter.requires_grad or parameter.grad is not None else None
            for one, parameter in zip(local, parameters, strict=True)
        ]
        chosen = self._chosen(local)
        self._copies = [
            one.clone() if one is not None and fits else None for one, fits in zip(local, chosen, strict=True)
        ]
        if self._ring is None:
            self._ring = StepRing(len(local), 1)
        self._ring.measure(0, self._copies)
        return ()

    def after(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        copies, self._copies = self._copies, []
        if self._ring is None or len(copies) != len(local):
            return
        weights = self._ring.take(1)
        for copy, now in zip(copies, local, strict=True):
            if copy is not None and now is not None:
                torch.sub(now, copy, out=copy)

        def weight_sq() -> npt.NDArray[np.float64]:
            squares: npt.NDArray[np.float64] = figures.norm(weights.entries()[0]) ** 2
            return squares

        yield Sample(UPDATES, copies, {"weight_sq": weight_sq})

    def forget(self) -> None:
        self._copies = []

    def _chosen(self, local: Sequence[torch.Tensor | None]) -> list[bool]:
        """Which tensors have room, the smallest first."""
        sizes = [0 if one is None else one.numel() * one.element_size() for one in local]
        chosen, left = [False] * len(sizes), self._room
        for index in sorted(range(len(sizes)), key=sizes.__getitem__):
            chosen[index] = sizes[index] <= left
            left -= sizes[index] if chosen[index] else 0
        if not all(chosen) and not self._told:
            self._told = True
            self._tell(
                f"updates of {chosen.count(False)} of {len(chosen)} tensors are not measured, nor counted in those of "
                f"their modules: copies of weights may take {self._room >> 20} MiB during a sampled step"
            )
        return chosen
