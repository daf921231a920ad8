"""A ring of steps on one device, and slots of it on their way to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .device import meter_for
from .elements import Item
from .pinned import PinnedRing
from .statistics import COMBINE, NEAR_ZERO, Entries, neutral, table, table_of


class Copied:
    """Words ``[slot, tensor, entry]`` that are being copied to pinned memory, which is given back with this object."""

    def __init__(self, pinned: PinnedRing, block: torch.Tensor, slots: int, event: Any) -> None:
        self.words, self.event = block[:slots], event
        self._pinned, self._block = pinned, block

    def __del__(self) -> None:
        self._pinned.give_back(self._block, self.event)


class Taken:
    """Slots on their way to the host."""

    def __init__(self, host: Entries, copies: Sequence[Copied]) -> None:
        self._host = host
        self._copies = copies

    def ready(self) -> bool:
        """Whether ``entries()`` would return at once; never waits."""
        return all(copy.event.query() for copy in self._copies)

    def entries(self) -> Entries:
        """Entries ``[slot, tensor]``, after waiting for the copies from the devices: not for the training thread."""
        merged: Entries = self._host.copy()
        for copy in self._copies:
            copy.event.synchronize()
            measured: Entries = copy.words.numpy().view(merged.dtype)[..., 0]
            # A tensor lies on one device at a time, the others hold the neutral element for it.
            for entry in table_of(merged):
                COMBINE[entry.combine](merged[entry.name], measured[entry.name], out=merged[entry.name])
        return merged


class DeviceRing:
    """Two buffers ``[slot, tensor, entry]`` of words on a device: one is filled while the other is copied out."""

    def __init__(
        self, device: torch.device, tensors: int, slots: int, near_zero: float = NEAR_ZERO, signed: bool = False
    ) -> None:
        self._device = device
        self._module: Any = torch.get_device_module(device)
        self._stream = self._module.current_stream(device)
        shape = (slots, tensors, len(table(signed)))
        # Tensors made in inference mode could not be written outside it.
        with torch.inference_mode(False), self._module.stream(self._stream):
            nothing = torch.from_numpy(neutral((slots, tensors), signed).view(np.int64).reshape(shape))
            self._buffers = [nothing.to(device, copy=True) for _ in range(2)]
            self._slots = [buffer.unbind() for buffer in self._buffers]
            self._meter = meter_for(device, tensors, near_zero, signed)
            self._pinned = PinnedRing(device, shape)
            self._side = self._module.Stream()
        self._filling = 0
        self._copied: list[Any] = [None, None]
        self._replayed: torch.Tensor | None = None

    def measure(self, slot: int, items: Sequence[Item], inverse_scale: torch.Tensor | None = None) -> None:
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            self._order(stream)
            self._meter.measure(items, self._slots[self._filling][slot], self._here(inverse_scale))

    def repeat(self, slot: int, inverse_scale: torch.Tensor | None) -> bool:
        """Measures the items of the last :meth:`measure` again; False if the meter must be given them."""
        stream = self._module.current_stream(self._device)
        with self._module.stream(stream):
            self._order(stream)
            return self._meter.repeat(self._slots[self._filling][slot], self._here(inverse_scale))

    @property
    def fused(self) -> bool:
        """Whether the fused kernels are in use."""
        return self._meter.fused

    def prove(self) -> bool:
        """Settles whether the fused kernels are used, and whether they are; the first call waits for the device.

        When that happens must not depend on how fast a device is: ranks that clip differently drift apart.
        """
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            self._meter.prove()
        return self._meter.fused

    def total_norm(self, slot: int) -> torch.Tensor | None:
        """L2 norm, one float64 on the device, of what ``slot`` was measured from; None if it cannot be scaled here."""
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            self._order(stream)
            scaler = self._meter.scaler()
            return None if scaler is None else scaler.total_norm(self._slots[self._filling][slot])

    def scale(self, slot: int, factor: torch.Tensor) -> None:
        """Multiplies the items last measured by ``factor``, one float64 on the device; ``slot`` is then the products'.

        To be called after :meth:`total_norm` gave a norm.
        """
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            self._order(stream)
            scaler = self._meter.scaler()
            if scaler is None:
                raise RuntimeError("expected the fused kernels to scale what they measured; call total_norm() first")
            scaler.scale(self._slots[self._filling][slot], factor)

    def capture(self) -> bool:
        """Inside a CUDA graph's capture: measures the last items at each replay; False if that cannot be done."""
        # In the graph's own memory, and apart from the ring, whose copies the capture must not depend on.
        out = torch.empty(self._slots[0][0].shape, dtype=torch.int64, device=self._device)
        if not self._meter.capture(out):
            return False
        self._replayed = out
        return True

    def replayed(self, slot: int) -> None:
        """Fills ``slot`` with what the last replay on the current stream measured."""
        if self._replayed is None:
            raise RuntimeError("expected a captured step, got none; capture one first")
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), self._module.stream(stream):
            self._order(stream)
            self._slots[self._filling][slot].copy_(self._replayed)

    def copy_from(self, other: DeviceRing, slot: int) -> None:
        """Fills ``slot`` with that of ``other``, on the same device."""
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), self._module.stream(stream):
            self._order(stream)
            self._slots[self._filling][slot].copy_(other._slots[other._filling][slot])

    def _order(self, stream: Any) -> None:
        """What follows on ``stream`` comes after what ran before, and after the copy from the buffer being filled."""
        if stream != self._stream:
            stream.wait_stream(self._stream)
            self._stream = stream
        if self._copied[self._filling] is not None:
            stream.wait_event(self._copied[self._filling])
            self._copied[self._filling] = None

    def _here(self, inverse_scale: torch.Tensor | None) -> torch.Tensor | None:
        if inverse_scale is None or inverse_scale.device == self._device:
            return inverse_scale
        return inverse_scale.to(self._device, non_blocking=True)

    def copy(self, slots: int) -> Copied:
        """Starts copying slots ``[0, slots)`` to pinned memory; the ring may be filled again at once."""
        buffer, block = self._buffers[self._filling][:slots], self._pinned.borrow()
        self._side.wait_stream(self._stream)
        with torch.inference_mode(False), self._module.stream(self._side):
            block[:slots].copy_(buffer, non_blocking=True)
            event = self._module.Event()
            event.record(self._side)
        if self._device.type != "cpu":
            buffer.record_stream(self._side)  # the ring may be gone before the copy is over
        self._copied[self._filling] = event
        self._filling = 1 - self._filling
        return Copied(self._pinned, block, slots, event)
