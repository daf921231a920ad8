"""The one door to measuring: a ring of steps on the host and on each device, read back without waiting."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from . import figures
from .cpu import CpuMeter
from .device_ring import DeviceRing, Taken
from .elements import Item, Unmeasurable, prepare, stays
from .scan import disjoint, scan
from .statistics import NEAR_ZERO, neutral

__all__ = ["StepRing", "Taken", "Unmeasurable", "Unmeasured", "multiply", "prepare"]


class Unmeasured(RuntimeError):
    """The gradients were multiplied as asked, but what became of them was not measured."""


def multiply(gradients: Sequence[torch.Tensor], factor: torch.Tensor) -> None:
    """Multiplies in place by ``factor``, one float64 on the same device: as float32, float64 gradients as it is."""
    for wide in (False, True):
        chosen = [gradient for gradient in gradients if (gradient.dtype is torch.float64) == wide]
        if chosen:
            with torch.no_grad():
                torch._foreach_mul_(chosen, factor if wide else factor.float())


class StepRing:
    """Entries ``[slot, tensor]`` of one stream, measured step by step and handed off many at once.

    ``near_zero`` is the magnitude below which an element counts as near zero; ``signed`` adds the signed extremes to
    the entries. A ring serves one thread; what it hands off may be read in another. It never waits for a device, except
    to coalesce a sparse tensor and to copy one from a device without float64.
    """

    def __init__(self, tensors: int, slots: int, near_zero: float = NEAR_ZERO, signed: bool = False) -> None:
        if tensors < 0 or slots < 1:
            raise ValueError(f"expected at least 0 tensors and 1 slot, got {tensors} and {slots}; pass larger numbers")
        if not 0.0 < near_zero < math.inf:
            raise ValueError(f"expected a positive finite near-zero threshold, got {near_zero}; the usual one is 1e-8")
        self.tensors, self.slots, self.near_zero, self.signed = tensors, slots, near_zero, signed
        #: Tensor index → why it could not be measured, in a sentence, as of the last time that it could not.
        self.unmeasured: dict[int, str] = {}
        self._nothing = neutral((1,), signed)[0]
        self._host = neutral((slots, tensors), signed)
        self._cpu = CpuMeter(near_zero)
        self._rings: dict[torch.device, DeviceRing] = {}
        self._host_used = [False] * slots
        self._scan = scan()
        # The one ring that read every tensor of the last step, and whether the scan knows where they lie.
        self._reader: DeviceRing | None = None
        self._remembered = False
        self._captured: DeviceRing | None = None
        self._disjoint: bool | None = None  # whether the gradients last measured can be scaled; None when not looked

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
        self._remembered, self._disjoint = False, None
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
            if stays(dense.device):
                on_device.setdefault(dense.device, []).append((index, dense, implicit))
            else:
                on_host.append((index, dense if dense.is_cpu else dense.cpu(), implicit))
        self._clear_host(slot)
        if on_host:
            self._host_used[slot] = True
            factor = None if inverse_scale is None else inverse_scale.item()
            self._cpu.measure(on_host, self._host[slot], factor)
        for device, items in on_device.items():
            self._ring(device).measure(slot, items, inverse_scale)
        readers = [self._rings[device] for device, items in on_device.items() if items]
        self._reader = readers[0] if len(readers) == 1 and not on_host else None

    @property
    def fused(self) -> bool:
        """Whether the fused kernels measured all gradients of the last step, and can do so again."""
        return self._remembered and self._reader is not None and self._reader.fused

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

    def total_norm(self, slot: int, parameters: Sequence[torch.Tensor]) -> torch.Tensor | None:
        """L2 norm over all gradients, which ``measure_gradients`` has just read into ``slot``: one float64 on their
        device, not finite if an element is not. None if they could not be scaled here: on several devices, sparse,
        overlapping, or without the fused kernels.
        """
        if self._disjoint is None:
            self._disjoint = disjoint(parameter.grad for parameter in parameters)
        if not self._disjoint:
            return None
        if self._reader is not None:
            if not self._reader.prove():
                self._remembered = False
                self.measure_gradients(slot, parameters)
            return self._reader.total_norm(slot) if self.fused else None
        if any(parameter.grad is not None and not parameter.grad.is_cpu for parameter in parameters):
            return None
        entries = self._host[slot]
        norm = math.hypot(*figures.norm(entries).tolist())
        if entries["nan"].any():
            norm = math.nan
        elif figures.nonfinite(entries).any():
            norm = math.inf
        return torch.tensor(norm, dtype=torch.float64, device="cpu")

    def scale(self, slot: int, parameters: Sequence[torch.Tensor], factor: torch.Tensor) -> None:
        """Multiplies the gradients by ``factor``, one float64 on their device; ``slot`` is then that of the products.

        Products are those of torch's multiplication by a float32, of float64 gradients by a float64. To be called after
        :meth:`total_norm` gave a norm. A factor of 1 costs no read of the gradients. Raises :class:`Unmeasured` where
        the gradients were multiplied, but not measured.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self._reader is not None:
            torch.autograd.graph.increment_version(gradients)
            self._reader.scale(slot, factor)
        elif factor.item() != 1.0:
            multiply(gradients, factor)
            try:
                self.measure_gradients(slot, parameters)
            except Exception as error:
                raise Unmeasured(f"{type(error).__name__}: {error}") from error

    def capture(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Inside a CUDA graph's capture: launches that measure the gradients at each replay of the graph.

        The gradients must lie where the last step saw them, and the fused kernels must have measured them. False, and
        nothing launched, if not.
        """
        reader = self._reader
        if reader is None or not self.fused or not self._scan.same(parameters) or not reader.capture():
            return False
        self._captured, self._remembered = reader, False
        return True

    def replayed(self, slot: int) -> None:
        """Fills ``[slot, :]`` with what the last replay on the current stream measured. Raises RuntimeError without
        a captured step."""
        if self._captured is None:
            raise RuntimeError("expected a captured step, got none; capture one first")
        self._remembered, self._disjoint = False, None
        self._clear_host(slot)
        for ring in self._rings.values():
            if ring is not self._captured:
                ring.measure(slot, [])
        self._captured.replayed(slot)

    def copy_from(self, other: StepRing, slot: int) -> None:
        """Fills ``slot`` with that of another ring of as many tensors and slots."""
        self._remembered, self._reader, self._disjoint = False, None, None
        self._host[slot] = other._host[slot]
        self._host_used[slot] = self._host_used[slot] or other._host_used[slot]
        for device, ring in other._rings.items():
            self._ring(device).copy_from(ring, slot)
        for device, ring in self._rings.items():
            if device not in other._rings:
                ring.measure(slot, [])

    def _ring(self, device: torch.device) -> DeviceRing:
        if device not in self._rings:
            self._rings[device] = DeviceRing(device, self.tensors, self.slots, self.near_zero, self.signed)
        return self._rings[device]

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
            self._host[slot] = self._nothing
            self._host_used[slot] = False

    def take(self, slots: int) -> Taken:
        """Hands off slots ``[0, slots)``, all measured since the last call; the ring may be filled again at once."""
        if not 0 <= slots <= self.slots:
            raise ValueError(f"expected at most {self.slots} slots, got {slots}; take what was measured")
        # A copy of what nothing was written to would cost 100 bytes per tensor and step.
        used = any(self._host_used[:slots])
        host = self._host[:slots].copy() if used else np.broadcast_to(self._nothing, (slots, self.tensors))
        return Taken(host, [ring.copy(slots) for ring in self._rings.values()])
