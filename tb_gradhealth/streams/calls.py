"""Tensors that are there for a moment each, measured as they come: a slot of a ring a call, merged by module."""

from __future__ import annotations

import threading

import numpy as np
import torch

from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.launch import Taken as RingTaken
from gradhealth_kernels.statistics import Entries, merge, neutral

SLOTS = 64
#: Calls that are measured at a look; a loop that makes more is no training step.
MAX_CALLS = 1 << 14


class Calls:
    """Measures calls of numbered modules, on whatever thread they are made."""

    def __init__(self, near_zero: float) -> None:
        self._ring = StepRing(1, SLOTS, near_zero, signed=True)
        self._modules: list[int] = []  # of each slot of the ring
        self._taken: list[tuple[list[int], RingTaken]] = []
        self._lock = threading.RLock()  # the collector may close us within a call

    def measure(self, module: int, tensor: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        """Reads ``tensor``, times ``inverse_scale``, on the current stream. Raises ValueError where it cannot be
        measured."""
        with self._lock:
            if len(self._taken) * SLOTS >= MAX_CALLS:
                raise ValueError(f"more than {MAX_CALLS} calls of modules within a step: the rest is not measured")
            self._ring.measure(len(self._modules), [tensor], inverse_scale)
            if self._ring.unmeasured:
                raise ValueError(self._ring.unmeasured.popitem()[1])
            self._modules.append(module)
            if len(self._modules) == SLOTS:
                self._take()

    def _take(self) -> None:
        if self._modules:
            modules, self._modules = self._modules, []
            self._taken.append((modules, self._ring.take(len(modules))))

    def take(self) -> Merged | None:
        """What was measured since the last time, None if nothing."""
        with self._lock:
            self._take()
            taken, self._taken = self._taken, []
        return Merged(taken) if taken else None


class Merged:
    """Calls that may still be on their way from a device."""

    def __init__(self, taken: list[tuple[list[int], RingTaken]]) -> None:
        self._taken = taken

    def entries(self, modules: int) -> Entries:
        """``[module]``; neutral where there was no call."""
        called = np.concatenate([numbers for numbers, _ in self._taken])
        order = np.argsort(called, kind="stable")
        entries: Entries = np.concatenate(
            [neutral((0,), signed=True), *(one.entries()[:, 0] for _, one in self._taken)]
        )
        starts = np.searchsorted(called[order], np.arange(modules), "left")
        stops = np.searchsorted(called[order], np.arange(modules), "right")
        return merge(entries[order], starts, stops)
