"""Counts the exponents of tensors: in plain torch anywhere, with the fused kernels on CUDA. ``exponent_table.py`` says
what is counted. It costs a read of its own, so it is for logged steps alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .chunks import SMALLEST, chunk_table
from .elements import BITS, EIGHT_BIT, WIDE, Item, Unmeasurable, prepare, stays
from .exponent_table import BINS, Counts
from .pinned import programs, uploaded
from .proof import Proof

#: Elements that plain torch counts at a time: within the cache on the host, few launches elsewhere.
HOST_PIECE, PIECE = 2**17, 2**22
TILE, MERGE_BLOCK = 1024, 16
#: What samples of the loss-scaled kernels are multiplied by: no power of two, so products are rounded.
_SAMPLE_SCALE = 0.3


class PlainExponents:
    """Plain torch: what the fused kernels are checked against, and the path of the host and any other device."""

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        out.zero_()
        for index, tensor, _ in items:
            for piece in torch.split(tensor.view(-1), HOST_PIECE if tensor.is_cpu else PIECE):
                values = piece if piece.dtype is torch.float64 else piece.float()
                if inverse_scale is not None:
                    values = values * inverse_scale.to(values.dtype)
                out[index] += histogram(values)


def histogram(values: torch.Tensor) -> torch.Tensor:
    """float32 or float64 ``values`` ``[element]`` → int64 ``[bin]``, without waiting for the device.

    Bit patterns decide, so a mode in which arithmetic takes subnormals for zeros changes nothing.
    """
    double = values.dtype is torch.float64
    integer = BITS[values.itemsize]
    magnitude = values.view(integer) & torch.iinfo(integer).max
    # By exponent bits, 0 for zeros and subnormals, all set for NaN and infinities.
    counts = _counted(magnitude >> (52 if double else 23), 2048 if double else 256)
    counts[0] -= magnitude.numel() - magnitude.count_nonzero()
    counts[-1].zero_()
    if not double:
        return counts
    # Exponents from -126 on have bins of their own up to 127.
    first, last = 1023 - 126, 1023 + 127
    return torch.cat([counts[:first].sum(0, True), counts[first : last + 1], counts[last + 1 :].sum(0, True)])


def _counted(numbers: torch.Tensor, size: int) -> torch.Tensor:
    """How often each of ``[0, size)`` is among ``numbers``."""
    if numbers.is_cpu:
        return torch.bincount(numbers, minlength=size)
    # bincount would wait for the device to tell the largest number.
    counts = torch.zeros(size, dtype=torch.int64, device=numbers.device)
    return counts.scatter_add_(0, numbers.long(), torch.ones_like(counts[:1]).expand(numbers.numel()))


class FusedExponents:
    """Launches the kernels: one of stage 1 per dtype present, one of stage 2. It runs rarely, so keeps no tables.

    ``chunk`` is elements per program of stage 1, by default what keeps the device busy.
    """

    def __init__(self, device: torch.device, tensors: int, chunk: int | None = None) -> None:
        self._device, self._tensors, self._chunk = device, tensors, chunk

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        table = np.zeros((2, self._tensors), np.int64)
        dtypes: list[torch.dtype | None] = [None] * self._tensors
        # Copies live until the launches: after that the stream's order keeps their memory.
        readable = [tensor.float() if tensor.dtype in EIGHT_BIT else tensor for _, tensor, _ in items]
        for (index, _, _), tensor in zip(items, readable, strict=True):
            table[:, index] = tensor.data_ptr(), tensor.numel()
            dtypes[index] = tensor.dtype
        if not table[1].any():
            out.zero_()
            return
        elements = table[1].tolist()
        chunk = self._chunk or chunk_of(sum(elements), programs(self._device))
        layout = chunk_table(elements, dtypes, chunk)
        addresses, tensor_of, index_of, starts, stops = (
            uploaded(column, self._device)
            for column in (table, layout.tensor, layout.index, layout.starts, layout.stops)
        )
        chunk_counts = torch.empty((len(layout.tensor), BINS), dtype=torch.int32, device=self._device)
        for launch in layout.launches:
            self._kernels.chunk_exponents[(launch.stop - launch.start,)](
                addresses,
                tensor_of,
                index_of,
                chunk_counts,
                inverse_scale,
                self._tensors,
                launch.start,
                chunk,
                num_warps=4,
                enable_fp_fusion=True,
                **self.constants(launch.dtype, inverse_scale is not None),
            )
        self._kernels.tensor_exponents[(self._tensors,)](
            starts, stops, chunk_counts, out, BINS=BINS, BLOCK=MERGE_BLOCK, num_warps=4, enable_fp_fusion=True
        )

    def constants(self, dtype: Any, scaled: bool) -> dict[str, Any]:
        """Stage 1's compile-time constants for one of :data:`~.elements.WIDE`."""
        import triton.language as tl

        return {"DTYPE": getattr(tl, str(dtype).removeprefix("torch.")), "SCALED": scaled, "BINS": BINS, "TILE": TILE}

    @cached_property
    def _kernels(self) -> Any:
        from .fused import exponents

        return exponents


def chunk_of(elements: int, programs: int) -> int:
    """Elements per chunk, a power of two: for large models more than the entries' chunks have, as counts stay exact.

    So the counts of all chunks take at most 1 KiB per program and tensor.
    """
    size = SMALLEST
    while elements > size * programs:
        size *= 2
    return size


class ExponentMeter:
    """Counts the elements of tensors on one device per bin, without waiting for it.

    On CUDA, plain torch until the fused kernels have agreed with it on samples, then those.
    """

    def __init__(self, device: torch.device, tensors: int) -> None:
        self._device, self._tensors = device, tensors
        self._module: Any = torch.get_device_module(device)
        self._plain = PlainExponents()
        self._fused = FusedExponents(device, tensors)
        # By whether tensors are loss-scaled. None where there is nothing to prove.
        self._proof = Proof(device, "count exponents", self._compare) if device.type == "cuda" else None

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        """Writes int64 ``out[tensor, bin]`` on the device; 0 where no item has the index.

        Items are as ``prepare`` gives them, an element that a sparse tensor leaves out is in no bin. With
        ``inverse_scale``, one float32, the histogram is that of ``x.float() * inverse_scale`` (of float64 products for
        float64). Runs on the caller's current stream of the device. Raises ValueError for an ``out`` of another kind.
        """
        if out.shape != (self._tensors, BINS) or out.dtype is not torch.int64 or not out.is_contiguous():
            raise ValueError(
                f"expected a contiguous int64 tensor of shape ({self._tensors}, {BINS}) to write counts to, got "
                f"{out.dtype} of shape {tuple(out.shape)} and strides {out.stride()}; pass one row per tensor"
            )
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            if inverse_scale is not None:
                inverse_scale = inverse_scale.detach().to(self._device, non_blocking=self._device.type != "cpu")
            proven = self._proof is not None and self._proof.holds(inverse_scale is not None)
            (self._fused if proven else self._plain).measure(items, out, inverse_scale)

    def _compare(self, scaled: bool) -> torch.Tensor:
        samples = [(index, sample(dtype, self._device), 0) for index, dtype in enumerate(sorted(WIDE, key=str))]
        inverse_scale = torch.full((1,), _SAMPLE_SCALE, device=self._device) if scaled else None
        counts = torch.zeros((2, len(samples), BINS), dtype=torch.int64, device=self._device)
        self._plain.measure(samples, counts[0], inverse_scale)
        FusedExponents(self._device, len(samples)).measure(samples, counts[1], inverse_scale)
        return (counts[0] == counts[1]).all()


class ExponentHistograms:
    """The door: histograms of a list of tensors that lie anywhere, without waiting for a device.

    One object serves one thread; what it hands off may be read in another.
    """

    def __init__(self, tensors: int) -> None:
        self.tensors = tensors
        self._meters: dict[torch.device, ExponentMeter] = {}

    def measure(
        self, tensors: Sequence[torch.Tensor | None], inverse_scale: torch.Tensor | None = None
    ) -> TakenExponents:
        """Counts each tensor's exponents as it is now; one that is None or cannot be measured has none.

        ``inverse_scale`` is one float32, as for the entries. Raises ValueError for another number of tensors.
        """
        if len(tensors) != self.tensors:
            raise ValueError(f"expected {self.tensors} tensors, got {len(tensors)}; pass None for one that is absent")
        by_device: dict[torch.device, list[Item]] = {}
        for index, tensor in enumerate(tensors):
            if tensor is None:
                continue
            try:
                dense, implicit = prepare(tensor)
            except Unmeasurable:
                continue  # the entries' ring says why
            dense = dense if stays(dense.device) else dense.cpu()
            by_device.setdefault(dense.device, []).append((index, dense, implicit))
        copies = [self._counted(device, items, inverse_scale) for device, items in by_device.items()]
        return TakenExponents(self.tensors, copies)

    def _counted(
        self, device: torch.device, items: Sequence[Item], inverse_scale: torch.Tensor | None
    ) -> tuple[torch.Tensor, Any]:
        if device not in self._meters:
            self._meters[device] = ExponentMeter(device, self.tensors)
        with torch.inference_mode(False):
            counts = torch.empty((self.tensors, BINS), dtype=torch.int64, device=device)
            self._meters[device].measure(items, counts, inverse_scale)
            if device.type == "cpu":
                return counts, None
            copied = torch.empty(counts.shape, dtype=torch.int64, device="cpu", pin_memory=True)
            copied.copy_(counts, non_blocking=True)
            event: Any = torch.get_device_module(device).Event()
            event.record(torch.get_device_module(device).current_stream(device))
        return copied, event


class TakenExponents:
    """Histograms on their way to the host."""

    def __init__(self, tensors: int, copies: Sequence[tuple[torch.Tensor, Any]]) -> None:
        self._tensors, self._copies = tensors, copies

    def ready(self) -> bool:
        """Whether ``counts()`` would return at once; never waits."""
        return all(event is None or event.query() for _, event in self._copies)

    def counts(self) -> Counts:
        """int64 ``[tensor, bin]``, after waiting for the copies from the devices: not for the training thread."""
        total: Counts = np.zeros((self._tensors, BINS), np.int64)
        for copied, event in self._copies:
            if event is not None:
                event.synchronize()
            total += copied.numpy()
        return total


def sample(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Every pattern but one of the upper 16 bits of ``dtype``, on an address that is no multiple of 16 bytes."""
    patterns = torch.arange(2**16, dtype=torch.int64, device=device) << (8 * dtype.itemsize - 16)
    return patterns.to(BITS[dtype.itemsize]).view(dtype)[1:]
