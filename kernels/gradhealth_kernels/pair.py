"""Host half of the two kernels: their tables on the device, their constants, their launches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .chunks import ChunkTable, chunk_size, chunk_table
from .cpu import HIGH, LOW
from .elements import EIGHT_BIT, OF_ZERO, Item, bits_from, infinity_bits, saturated_from
from .statistics import BIG_FROM, BIG_SCALE, ENTRIES, INDEX, SMALL_BELOW, SMALL_SCALE

WORDS = len(ENTRIES)
_ROWS, _MERGE_BLOCK = 256, 64


class FusedPair:
    """Keeps the tables on the device, uploads what changed, launches.

    Pinned memory comes from torch's caching host allocator, which hands a block out again only once the copies
    from it have run; so an upload neither waits nor overwrites one under way.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float, chunk: int | None = None) -> None:
        self._device = device
        self._near_zero = near_zero
        self._chunk = chunk
        self._elements = [0] * tensors
        self._dtypes: list[torch.dtype | None] = [None] * tensors
        self._layout: ChunkTable | None = None
        self._sent = np.full((3, tensors), -1, np.int64)
        self._table = torch.empty((3, tensors), dtype=torch.int64, device=device)
        self._static: list[torch.Tensor] = []
        self._constants_of: dict[tuple[Any, bool], dict[str, Any]] = {}

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        if not items:
            out.zero_()
            return
        # Copies live until the launches: after that the stream's order keeps their memory.
        readable = [tensor.float() if tensor.dtype in EIGHT_BIT else tensor for _, tensor, _ in items]
        self._send(items, readable)
        self._layout = self._lay_out(items)
        self._launch(self._layout, out, inverse_scale)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> None:
        """Measures the items of the last :meth:`measure` again, which had some, all read in place, none moved since."""
        assert self._layout is not None
        self._launch(self._layout, out, inverse_scale)

    def _launch(self, layout: ChunkTable, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> None:
        chunk_tensor, chunk_index, starts, stops, chunk_words = self._static
        tensors, scaled = len(self._elements), inverse_scale is not None
        for launch in layout.launches:
            self._kernels.chunk_entries[(launch.stop - launch.start,)](
                self._table,
                chunk_tensor,
                chunk_index,
                chunk_words,
                inverse_scale,
                tensors,
                launch.start,
                CHUNK=layout.size,
                num_warps=4,
                enable_fp_fusion=True,
                **self._constants(launch.dtype, scaled),
            )
        self._kernels.tensor_entries[(tensors,)](
            self._table, starts, stops, chunk_words, out, tensors, num_warps=4, enable_fp_fusion=True, **MERGE_CONSTANTS
        )

    def _send(self, items: Sequence[Item], readable: Sequence[torch.Tensor]) -> None:
        """Uploads address, element count and implicit zeros of every tensor, unless the device has them."""
        wanted = np.zeros_like(self._sent)
        for (index, _, implicit), tensor in zip(items, readable, strict=True):
            wanted[:, index] = tensor.data_ptr(), tensor.numel(), implicit
        if not np.array_equal(wanted, self._sent):
            self._table.copy_(self._pinned(wanted), non_blocking=True)
            self._sent = wanted

    def _lay_out(self, items: Sequence[Item]) -> ChunkTable:
        """The chunk table of every tensor seen so far: one that is absent this time keeps its chunks, empty."""
        changed = self._layout is None
        for index, tensor, _ in items:
            elements, dtype = tensor.numel(), tensor.dtype
            if elements != self._elements[index] or dtype is not self._dtypes[index]:
                self._elements[index], self._dtypes[index] = elements, dtype
                changed = True
        if self._layout is None or changed:
            size = self._chunk or chunk_size(sum(self._elements), self._programs())
            self._layout = chunk_table(self._elements, self._dtypes, size)
            if self._device.type != "cpu":
                for tensor in self._static:
                    # A stream other than the one that these were allocated on may still read them.
                    tensor.record_stream(torch.get_device_module(self._device).current_stream(self._device))
            columns = (self._layout.tensor, self._layout.index, self._layout.starts, self._layout.stops)
            self._static = [self._pinned(column).to(self._device, non_blocking=True) for column in columns]
            words = torch.empty((len(self._layout.tensor), WORDS), dtype=torch.int64, device=self._device)
            self._static.append(words)
        return self._layout

    def _programs(self) -> int:
        """Eight waves of eight programs on each multiprocessor."""
        if self._device.type == "cpu":
            return 1
        properties = torch.get_device_module(self._device).get_device_properties(self._device)
        return 64 * int(properties.multi_processor_count)

    def _pinned(self, values: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(values)
        return tensor.clone() if self._device.type == "cpu" else tensor.pin_memory()

    def _constants(self, dtype: Any, scaled: bool) -> dict[str, Any]:
        made = self._constants_of.get((dtype, scaled))
        if made is None:
            read_as = torch.float32 if dtype in EIGHT_BIT else dtype
            made = chunk_constants(dtype, read_as, self._near_zero, scaled) | {"DTYPE": self._types[read_as]}
            self._constants_of[dtype, scaled] = made
        return made

    @cached_property
    def _kernels(self) -> Any:
        from . import fused

        return fused

    @cached_property
    def _types(self) -> dict[torch.dtype, Any]:
        import triton.language as tl

        return {
            torch.float16: tl.float16,
            torch.bfloat16: tl.bfloat16,
            torch.float32: tl.float32,
            torch.float64: tl.float64,
        }


def chunk_constants(dtype: torch.dtype, read_as: torch.dtype, near_zero: float, scaled: bool) -> dict[str, Any]:
    """Stage 1's compile-time constants but for DTYPE and CHUNK; saturation is that of the tensor's own ``dtype``."""
    double = read_as is torch.float64
    low, high = (SMALL_BELOW, BIG_FROM) if double else (LOW, HIGH)
    compared_as = torch.float32 if scaled and not double else read_as
    return {
        "BYTES": read_as.itemsize,
        "ROWS": _ROWS,
        "WORDS": WORDS,
        "NEAR_ZERO": bits_from(near_zero, compared_as),
        "SATURATED": bits_from(saturated_from(dtype), compared_as),
        "INFINITY": infinity_bits(compared_as),
        "LOW": bits_from(low, compared_as),
        "HIGH": bits_from(high, compared_as),
        "BIG_SCALE": BIG_SCALE,
        "SMALL_SCALE": SMALL_SCALE,
        "SCALED": scaled,
    }


def _columns(chosen: Sequence[str]) -> int:
    return sum(1 << INDEX[name] for name in chosen)


MERGE_CONSTANTS: dict[str, int] = {
    "WORDS": WORDS,
    "COLUMNS": 1 << (WORDS - 1).bit_length(),
    "BLOCK": _MERGE_BLOCK,
    "FLOATS": _columns([entry.name for entry in ENTRIES if entry.dtype == "float64"]),
    "MAXIMA": _columns([entry.name for entry in ENTRIES if entry.combine == "max"]),
    "ZEROS": _columns(sorted(OF_ZERO)),
}
