"""The rings of one optimizer, and what is handed off from them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.launch import Taken as RingTaken
from gradhealth_kernels.statistics import Entries, neutral

from . import shards
from .boundary.watch import Watch
from .store.blocks import Attempt, Taken

_FLATTENED = (
    "FullyShardedDataParallel keeps slices of flattened parameters on each rank; shard the model with fully_shard "
    "(FSDP2), whose gradients are measured"
)

Term = Callable[[], npt.NDArray[np.float64]]


class Part:
    """Measures the gradients of one optimizer, whose tensors are the columns ``[start, stop)`` of the session's."""

    def __init__(self, watch: Watch, start: int, slots: int, near_zero: float) -> None:
        named = watch.named()
        self.parameters = [one.tensor for one in named]
        self.pieces = [shards.piece(one) for one in named]
        self.start, self.stop = start, start + len(named)
        self._slots, self._near_zero = slots, near_zero
        self._sharded = any(shards.is_sharded(parameter) for parameter in self.parameters)
        self._foreign = {i: _FLATTENED for i, p in enumerate(self.parameters) if shards.is_flattened(p)}
        self._told: set[int] = set()
        self.has_double = any(parameter.dtype is torch.float64 for parameter in self.parameters)
        self._shapes = [parameter.shape for parameter in self.parameters]
        self._rings: dict[str, StepRing] = {}
        self._measured: dict[str, set[int]] = {}  # slots since the last hand-over
        self._terms: dict[str, dict[tuple[int, int], Term]] = {}  # (slot, column)

    def covers(self, watch: Watch, look_closer: bool) -> bool:
        """Whether the optimizer still has these parameters, and, where one looks closer, in these shapes."""
        at = 0
        for group in watch.groups():
            own = group["params"]
            if not all(map(operator.is_, own, self.parameters[at : at + len(own)])):
                return False
            at += len(own)
        return at == len(self.parameters) and not (look_closer and self._reshaped())

    def _reshaped(self) -> bool:
        return any(parameter.shape != shape for parameter, shape in zip(self.parameters, self._shapes, strict=True))

    @property
    def whole(self) -> bool:
        """Whether this process has all elements of the gradients."""
        return not self._sharded and not self._foreign

    def has(self, stream: str) -> bool:
        return stream in self._rings

    def measure(self, stream: str, slot: int, inverse_scale: torch.Tensor | None) -> str | None:
        """The gradients as they are now into ``slot``; returns a sentence on what is not measured, the first time."""
        ring = self._ring(stream)
        if not self.whole:
            ring.measure(slot, self._gradients(), inverse_scale)
            self._keep_terms(stream, slot, inverse_scale)
        else:
            ring.measure_gradients(slot, self.parameters, inverse_scale)
        self._measured[stream].add(slot)
        return self._unmeasured(ring) if ring.unmeasured or self._foreign else None

    def total_norm(self, stream: str, slot: int) -> torch.Tensor | None:
        """L2 norm, one float64 on their device, of the gradients just measured into ``slot``, which are whole.

        None where the ring cannot scale them.
        """
        return self._ring(stream).total_norm(slot, self.parameters)

    def scale(self, stream: str, slot: int, factor: torch.Tensor) -> None:
        """Multiplies the gradients that gave a total norm; ``slot`` then holds the products."""
        self._ring(stream).scale(slot, self.parameters, factor)

    def capture(self, stream: str) -> bool:
        """Inside a CUDA graph's capture: measures the gradients at each replay; False if that cannot be done."""
        return self.whole and self.has(stream) and self._ring(stream).capture(self.parameters)

    def replayed(self, stream: str, slot: int) -> None:
        """What the last replay measured into ``slot``."""
        self._ring(stream).replayed(slot)
        self._measured[stream].add(slot)

    def copy(self, stream: str, source: str, slot: int) -> None:
        """What was measured of ``source`` at ``slot`` is what ``stream`` has there, too."""
        self._ring(stream).copy_from(self._ring(source), slot)
        self._measured[stream].add(slot)

    def forget(self, stream: str, slot: int) -> None:
        """What was measured into ``slot`` does not count, unless it is confirmed."""
        if stream in self._rings:
            self._measured[stream].discard(slot)
            self._terms[stream] = {at: term for at, term in self._terms[stream].items() if at[0] != slot}

    def confirm(self, stream: str, slot: int) -> None:
        """What was last measured into ``slot`` counts; its gradients are no terms of others."""
        self._measured[stream].add(slot)

    def take(self, stream: str, steps: int) -> RingTaken:
        """Hand off the slots ``[0, steps)``; those in which nothing was measured hold nothing."""
        ring = self._ring(stream)
        for slot in set(range(steps)) - self._measured[stream]:
            ring.measure(slot, [None] * len(self.parameters))
        self._measured[stream].clear()
        return ring.take(steps)

    def take_terms(self, stream: str) -> dict[tuple[int, int], Term]:
        """(slot, column of the session) → this rank's term of a gradient that is to be added up."""
        kept, self._terms[stream] = self._terms.get(stream, {}), {}
        return {(slot, self.start + index): term for (slot, index), term in kept.items()}

    def _ring(self, stream: str) -> StepRing:
        if stream not in self._rings:
            self._rings[stream] = StepRing(len(self.parameters), self._slots, self._near_zero)
            self._measured[stream] = set()
            self._terms[stream] = {}
        return self._rings[stream]

    def _gradients(self) -> list[torch.Tensor | None]:
        gradients = shards.local_gradients(self.parameters)
        for index, piece in enumerate(self.pieces):
            if index in self._foreign or (piece.summed and shards.is_term(self.parameters[index].grad)):
                gradients[index] = None
        return gradients

    def _keep_terms(self, stream: str, slot: int, inverse_scale: torch.Tensor | None) -> None:
        for index, piece in enumerate(self.pieces):
            gradient = self.parameters[index].grad
            if piece.summed and shards.is_term(gradient):
                self._terms[stream][slot, index] = _fetch(*shards.term(gradient, inverse_scale))

    def _unmeasured(self, ring: StepRing) -> str | None:
        reasons = ring.unmeasured | self._foreign
        new = [index for index in reasons if index not in self._told]
        if not new:
            return None
        self._told.update(new)
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        return f"the gradient of {self.pieces[new[0]].name}{more} is not measured: {reasons[new[0]]}"


def _fetch(values: torch.Tensor, event: Any) -> Term:
    def fetch() -> npt.NDArray[np.float64]:
        if event is not None:
            event.synchronize()
        fetched: npt.NDArray[np.float64] = values.double().numpy()
        return fetched

    return fetch


class Joined:
    """What several optimizers' rings hold of the same steps, side by side; nothing in the columns of the others."""

    def __init__(self, steps: int, tensors: int, taken: Sequence[tuple[int, RingTaken]]) -> None:
        self._steps, self._tensors, self._taken = steps, tensors, taken

    def entries(self) -> Entries:
        joined = neutral((self._steps, self._tensors))
        for start, taken in self._taken:
            entries = taken.entries()
            joined[:, start : start + entries.shape[1]] = entries
        return joined


class Steps:
    """Some of the steps that were taken."""

    def __init__(self, taken: Taken, steps: slice) -> None:
        self._taken, self._steps = taken, steps

    def entries(self) -> Entries:
        return self._taken.entries()[self._steps]


class Applied:
    """Gradients as applied; of attempts that were not, those from before clipping, which smears a NaN over all."""

    def __init__(self, first: int, applied: Taken, before: Taken | None, attempts: Sequence[Attempt]) -> None:
        self._first, self._applied, self._before, self._attempts = first, applied, before, attempts

    def entries(self) -> Entries:
        entries = self._applied.entries()
        if self._before is None:
            return entries
        missed = [attempt for attempt in self._attempts if attempt.settled().outcome != "step"]
        if missed:
            before = self._before.entries()
            for attempt in missed:
                at = attempt.step - self._first
                if before["count"][at, attempt.columns].any():
                    entries[at, attempt.columns] = before[at, attempt.columns]
        return entries
