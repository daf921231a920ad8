"""The one door to measuring: a ring of step vectors on the host and on each device, read back without waiting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .cpu import CpuMeter
from .device import meter_for
from .elements import Item, Unmeasurable, prepare
from .statistics import ENTRIES, ENTRY_DTYPE, NEAR_ZERO, Entries, neutral

__all__ = ["StepRing", "Taken", "Unmeasurable", "prepare"]


class StepRing:
    """Entries ``[slot, tensor]`` of one stream, measured step by step and handed off many at once.

    ``near_zero`` is the magnitude below which an element counts as near zero. A ring serves one thread; what it hands
    off may be read in another. It never waits for a device, except to coalesce a sparse tensor and to copy one from a
    device without float64.
    """

    def __init__(self, tensors: int, slots: int, near_zero: float = NEAR_ZERO) -> None:
        if tensors < 0 or slots < 1:
            raise ValueError(f"expected at least 0 tensors and 1 slot, got {tensors} and {slots}; pass larger numbers")
        if not 0.0 < near_zero < math.inf:
            raise ValueError(f"expected a positive finite near-zero threshold, got {near_zero}; the usual one is 1e-8")
        self.tensors, self.slots, self.near_zero = tensors, slots, near_zero
        #: Tensor index → why it could not be measured, in a sentence, as of the last time that it could not.
        self.unmeasured: dict[int, str] = {}
        self._host = neutral((slots, tensors))
        self._cpu = CpuMeter(near_zero)
        self._rings: dict[torch.device, DeviceRing] = {}

    def measure(self, slot: int, tensors: Sequence[torch.Tensor | None]) -> None:
        """Fills ``[slot, :]``; a tensor that is None or cannot be measured gives the neutral entries.

        Reads on the caller's current stream of each device, so the tensors may be freed or written right after.
        Raises ValueError for a slot or a number of tensors that the ring does not have.
        """
        if not 0 <= slot < self.slots or len(tensors) != self.tensors:
            raise ValueError(
                f"expected a slot in [0, {self.slots}) and {self.tensors} tensors, got slot {slot} and {len(tensors)} "
                "tensors; pass None for a tensor that is absent"
            )
        on_host: list[Item] = []
        on_device: dict[torch.device, list[Item]] = {device: [] for device in self._rings}
        for index, tensor in enumerate(tensors):
            if tensor is None:
                continue
            try:
                dense, implicit = prepare(tensor)
            except Unmeasurable as error:
                self.unmeasured[index] = str(error)
                continue
            if dense.is_cpu:
                on_host.append((index, dense, implicit))
            elif _has_float64(dense.device):
                on_device.setdefault(dense.device, []).append((index, dense, implicit))
            else:
                on_host.append((index, dense.cpu(), implicit))
        self._host[slot] = _NEUTRAL
        self._cpu.measure(on_host, self._host[slot])
        for device, items in on_device.items():
            if device not in self._rings:
                self._rings[device] = DeviceRing(device, self.tensors, self.slots, self.near_zero)
            self._rings[device].measure(slot, items)

    def take(self, slots: int) -> Taken:
        """Hands off slots ``[0, slots)``, all measured since the last call; the ring may be filled again at once."""
        if not 0 <= slots <= self.slots:
            raise ValueError(f"expected at most {self.slots} slots, got {slots}; take what was measured")
        return Taken(self._host[:slots].copy(), [ring.copy(slots) for ring in self._rings.values()])


class Taken:
    """Slots on their way to the host."""

    def __init__(self, host: Entries, copies: Sequence[tuple[torch.Tensor, Any]]) -> None:
        self._host = host
        self._copies = copies

    def ready(self) -> bool:
        """Whether ``entries()`` would return at once; never waits."""
        return all(event.query() for _, event in self._copies)

    def entries(self) -> Entries:
        """Entries ``[slot, tensor]``, after waiting for the copies from the devices: not for the training thread."""
        merged: Entries = self._host.copy()
        for words, event in self._copies:
            event.synchronize()
            measured: Entries = words.numpy().view(ENTRY_DTYPE)[..., 0]
            # A tensor lies on one device at a time, the others hold the neutral element for it.
            for entry in ENTRIES:
                combine = np.add if entry.combine == "+" else np.maximum
                combine(merged[entry.name], measured[entry.name], out=merged[entry.name])
        return merged


class DeviceRing:
    """Two buffers ``[slot, tensor, entry]`` of words on a device: one is filled while the other is copied out."""

    def __init__(self, device: torch.device, tensors: int, slots: int, near_zero: float) -> None:
        self._device = device
        self._module: Any = torch.get_device_module(device)
        self._stream = self._module.current_stream(device)
        # Tensors made in inference mode could not be written outside it.
        with torch.inference_mode(False), self._module.stream(self._stream):
            shape = (slots, tensors, len(ENTRIES))
            self._buffers = [torch.zeros(shape, dtype=torch.int64, device=device) for _ in range(2)]
            self._meter = meter_for(device, tensors, near_zero)
            self._side = self._module.Stream()
        self._filling = 0
        self._copied: list[Any] = [None, None]

    def measure(self, slot: int, items: Sequence[Item]) -> None:
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            if stream != self._stream:
                stream.wait_stream(self._stream)
                self._stream = stream
            if self._copied[self._filling] is not None:
                stream.wait_event(self._copied[self._filling])
                self._copied[self._filling] = None
            self._meter.measure(items, self._buffers[self._filling][slot])

    def copy(self, slots: int) -> tuple[torch.Tensor, Any]:
        """Starts copying slots ``[0, slots)`` to pinned memory: (words there, event that says when they are)."""
        buffer = self._buffers[self._filling][:slots]
        with torch.inference_mode(False):
            words = torch.empty(buffer.shape, dtype=torch.int64, device="cpu", pin_memory=self._device.type != "cpu")
        self._side.wait_stream(self._stream)
        with self._module.stream(self._side):
            words.copy_(buffer, non_blocking=True)
            event = self._module.Event()
            event.record(self._side)
        self._copied[self._filling] = event
        self._filling = 1 - self._filling
        return words, event


_NEUTRAL = neutral((1,))[0]


def _has_float64(device: torch.device) -> bool:
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"
