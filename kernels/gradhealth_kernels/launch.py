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
from .scan import scan
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
        self._host_used = [False] * slots
        self._scan = scan()
        # The one ring that read every tensor of the last step, and whether the scan knows where they lie.
        self._reader: DeviceRing | None = None
        self._remembered = False

    def measure(
        self, slot: int, tensors: Sequence[torch.Tensor | None], inverse_scale: torch.Tensor | None = None
    ) -> None:
        """Fills ``[slot, :]``; a tensor that is None or cannot be measured gives the neutral entries.

        With ``inverse_scale``, one float32 on any device, the entries are those of ``x.float() * inverse_scale`` (of
        float64 products for float64), which is what ``GradScaler.unscale_`` computes; the saturated entry keeps the
        threshold of the tensor's own dtype. The tensors are not written. A tensor on the host waits for a device that
        the scale is on.

        Reads on the caller's current stream of each device, so the tensors may be freed or written right after.
        Raises ValueError for a slot or a number of tensors that the ring does not have, and for any other scale.
        """
        inverse_scale = self._accepted(slot, len(tensors), inverse_scale)
        self._remembered = False
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
            if _stays(dense.device):
                on_device.setdefault(dense.device, []).append((index, dense, implicit))
            else:
                on_host.append((index, dense if dense.is_cpu else dense.cpu(), implicit))
        self._clear_host(slot)
        if on_host:
            self._host_used[slot] = True
            factor = None if inverse_scale is None else inverse_scale.item()
            self._cpu.measure(on_host, self._host[slot], factor)
        for device, items in on_device.items():
            if device not in self._rings:
                self._rings[device] = DeviceRing(device, self.tensors, self.slots, self.near_zero)
            self._rings[device].measure(slot, items, inverse_scale)
        readers = [self._rings[device] for device, items in on_device.items() if items]
        self._reader = readers[0] if len(readers) == 1 and not on_host else None

    def measure_gradients(
        self, slot: int, parameters: Sequence[torch.Tensor], inverse_scale: torch.Tensor | None = None
    ) -> None:
        """What ``measure`` does with each parameter's ``grad``, without looking at every one of them closely.

        Where the fused kernels are in use and nothing moved since the last step, it launches them and is done.
        """
        inverse_scale = self._accepted(slot, len(parameters), inverse_scale)
        if (
            self._remembered
            and self._reader is not None
            and self._scan.same(parameters)
            and self._reader.repeat(slot, inverse_scale)
        ):
            self._clear_host(slot)
            for ring in self._rings.values():
                if ring is not self._reader:
                    ring.measure(slot, [])
            return
        self.measure(slot, [parameter.grad for parameter in parameters], inverse_scale)
        self._remembered = self._reader is not None and self._scan.remember(parameters)

    def _accepted(self, slot: int, tensors: int, inverse_scale: torch.Tensor | None) -> torch.Tensor | None:
        if not 0 <= slot < self.slots or tensors != self.tensors:
            raise ValueError(
                f"expected a slot in [0, {self.slots}) and {self.tensors} tensors, got slot {slot} and {tensors} "
                "tensors; pass None for a tensor that is absent"
            )
        if inverse_scale is None:
            return None
        if inverse_scale.dtype is not torch.float32 or inverse_scale.numel() != 1:
            raise ValueError(
                f"expected an inverse scale of one float32 element, got {inverse_scale.dtype} of shape "
                f"{tuple(inverse_scale.shape)}; pass scale.double().reciprocal().float()"
            )
        return inverse_scale.detach()

    def _clear_host(self, slot: int) -> None:
        if self._host_used[slot]:
            self._host[slot] = _NEUTRAL
            self._host_used[slot] = False

    def take(self, slots: int) -> Taken:
        """Hands off slots ``[0, slots)``, all measured since the last call; the ring may be filled again at once."""
        if not 0 <= slots <= self.slots:
            raise ValueError(f"expected at most {self.slots} slots, got {slots}; take what was measured")
        # A copy of what nothing was written to would cost 100 bytes per tensor and step.
        used = any(self._host_used[:slots])
        host = self._host[:slots].copy() if used else np.broadcast_to(_NEUTRAL, (slots, self.tensors))
        return Taken(host, [ring.copy(slots) for ring in self._rings.values()])


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
            self._slots = [buffer.unbind() for buffer in self._buffers]
            self._meter = meter_for(device, tensors, near_zero)
            self._side = self._module.Stream()
        self._filling = 0
        self._copied: list[Any] = [None, None]

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


def _stays(device: torch.device) -> bool:
    """Whether tensors there are measured there: not on the host, nor where float64 is lacking."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type not in ("cpu", "mps")
