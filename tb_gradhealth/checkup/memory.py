"""What memory goes into, phase by phase, and how long the passes take."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..shards import local

#: Elements of the parameter on which an optimizer shows what it keeps.
_SAMPLE = (32, 32)


@dataclass(frozen=True)
class Memory:
    """Bytes; None where that is not known. ``resident`` is what the process had in memory at the start, after the
    forward pass and after the backward pass; ``peak`` the most that a device held, and ``room`` all that it has."""

    parameters: int
    buffers: int
    gradients: int
    kept: int | None = None  # for the backward pass
    optimizer: int | None = None
    optimizer_name: str = ""
    resident: tuple[int, int, int] | None = None
    peak: int | None = None
    room: int | None = None

    @property
    def needed(self) -> int:
        """At the end of the forward pass, with what an optimizer keeps from its first step on."""
        return self.parameters + self.buffers + self.gradients + (self.kept or 0) + (self.optimizer or 0)


@dataclass(frozen=True)
class Seconds:
    forward: float
    backward: float


class Saved:
    """Hooks for ``saved_tensors_hooks``: the bytes of all storages that autograd keeps, each once, without those that
    are there anyway."""

    def __init__(self, there: Iterable[torch.Tensor]) -> None:
        self._known = {_storage(one) for one in there if _has_storage(one)}
        self.bytes = 0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        if _has_storage(tensor):
            storage = _storage(tensor)
            if storage not in self._known:
                self._known.add(storage)
                self.bytes += local(tensor).untyped_storage().nbytes()
        return tensor

    @staticmethod
    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        return tensor


def _has_storage(tensor: torch.Tensor) -> bool:
    return not is_lazy(tensor) and tensor.layout is torch.strided and not tensor.is_meta


def _storage(tensor: torch.Tensor) -> tuple[torch.device, int]:
    own = local(tensor)
    return own.device, own.untyped_storage().data_ptr()


def resident() -> int | None:
    """Bytes of this process that are in memory; Linux says so."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class Stopwatch:
    """Wall-clock seconds, with what ``device`` has still to do."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began = self._now()

    def lap(self) -> float:
        """Since the last lap."""
        before, self._began = self._began, self._now()
        return self._began - before

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def kept_by(optimizer: torch.optim.Optimizer) -> float | None:
    """Bytes that an optimizer keeps for each byte of a parameter: it is tried on a small one."""
    try:
        taken = inspect.signature(type(optimizer)).parameters
        settings: dict[str, Any] = {key: value for key, value in optimizer.defaults.items() if key in taken}
        sample = torch.nn.Parameter(torch.ones(_SAMPLE, device="cpu"))
        for key in ("fused", "capturable"):
            settings.pop(key, None)
        tried: Any = type(optimizer)([sample], **settings)
        sample.grad = torch.ones_like(sample)
        tried.step()
        state = tried.state[sample].values()
    except Exception:
        return None
    kept = sum(one.numel() * one.element_size() for one in state if isinstance(one, torch.Tensor) and one.dim())
    return kept / (sample.numel() * sample.element_size())
