"""Host half of the two kernels: their tables on the device, their launches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from . import constants
from .chunks import ChunkTable, chunk_size, chunk_table
from .constants import IN_PLACE, READ, SCALED, Variant
from .elements import EIGHT_BIT, Item
from .pinned import PinnedRing, programs, uploaded
from .statistics import neutral, table

#: Set to 1, this environment variable has the kernels use the packed instructions of compute capability 9.0 and above.
#: They have been compiled, but have not yet run on a GPU.
ASM_VARIABLE = "GRADHEALTH_ASM"


class FusedPair:
    """Keeps the tables on the device, uploads what changed, launches. Never waits.

    ``chunk`` is the number of elements of a chunk, a power of two; by default it follows from the tensors. ``signed``
    adds the signed extremes to each row; ``asm`` chooses the packed instructions, by default as the environment says.
    """

    def __init__(
        self,
        device: torch.device,
        tensors: int,
        near_zero: float,
        chunk: int | None = None,
        signed: bool = False,
        asm: bool | None = None,
    ) -> None:
        self._device, self._near_zero, self._chunk, self._signed = device, near_zero, chunk, signed
        self._asm = packed_instructions(device) if asm is None else asm
        self._elements = [0] * tensors
        self._dtypes: list[torch.dtype | None] = [None] * tensors
        self._layout: ChunkTable | None = None
        self._sent = np.full((3, tensors), -1, np.int64)
        self._uploads = PinnedRing(device, (3, tensors))
        self._table = torch.empty((3, tensors), dtype=torch.int64, device=device)
        self._static: list[torch.Tensor] = []
        self._merge, self._norm = constants.of_merge(signed), constants.of_norm(signed)
        self._constants_of: dict[tuple[Any, Variant], dict[str, Any]] = {}

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        if not items:
            out.copy_(self._nothing)
            return
        # Copies live until the launches: after that the stream's order keeps their memory.
        readable = [tensor.float() if tensor.dtype in EIGHT_BIT else tensor for _, tensor, _ in items]
        self._send(items, readable)
        self._layout = self._lay_out(items)
        self._launch(out, _variant(inverse_scale), inverse_scale)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> None:
        """Measures the items of the last :meth:`measure` again, which had some, all read in place, none moved since."""
        self._launch(out, _variant(inverse_scale), inverse_scale)

    def scale(self, out: torch.Tensor, factor: torch.Tensor) -> None:
        """Multiplies the items of the last launch, which stand where they stood and do not overlap, by ``factor``, one
        float64; ``out`` gets the entries of the products. A factor of 1 costs no read."""
        self._launch(out, IN_PLACE, factor)

    def total_norm(self, out: torch.Tensor) -> torch.Tensor:
        """L2 norm, float64 of no dimension, over all elements that ``out[tensor, entry]`` was measured from."""
        norm = torch.empty((), dtype=torch.float64, device=self._device)
        self._kernels.total_norm[(1,)](out, norm, len(self._elements), num_warps=4, **self._norm)
        return norm

    def _launch(self, out: torch.Tensor, variant: Variant, factor: torch.Tensor | None) -> None:
        assert self._layout is not None
        chunk_tensor, chunk_index, starts, stops, chunk_words = self._static
        tensors = len(self._elements)
        for launch in self._layout.launches:
            self._kernels.chunk_entries[(launch.stop - launch.start,)](
                self._table,
                chunk_tensor,
                chunk_index,
                chunk_words,
                factor,
                tensors,
                launch.start,
                self._layout.size,
                num_warps=constants.WARPS,
                enable_fp_fusion=True,
                **self._constants(launch.dtype, variant),
            )
        self._kernels.tensor_entries[(tensors,)](
            self._table, starts, stops, chunk_words, out, tensors, num_warps=4, enable_fp_fusion=True, **self._merge
        )

    def _send(self, items: Sequence[Item], readable: Sequence[torch.Tensor]) -> None:
        """Uploads address, element count and implicit zeros of every tensor, unless the device has them."""
        wanted = np.zeros_like(self._sent)
        for (index, _, implicit), tensor in zip(items, readable, strict=True):
            wanted[:, index] = tensor.data_ptr(), tensor.numel(), implicit
        if np.array_equal(wanted, self._sent):
            return
        block = self._uploads.borrow()
        block.numpy()[...] = wanted
        self._table.copy_(block, non_blocking=True)
        event: Any = torch.get_device_module(self._device).Event()
        event.record()
        self._uploads.give_back(block, event)
        self._sent = wanted

    def _lay_out(self, items: Sequence[Item]) -> ChunkTable:
        """The chunk table of every tensor seen so far: one that is absent this time keeps its chunks, empty."""
        elements, dtypes = self._elements.copy(), self._dtypes.copy()
        for index, tensor, _ in items:
            elements[index], dtypes[index] = tensor.numel(), tensor.dtype
        if self._layout is not None and elements == self._elements and dtypes == self._dtypes:
            return self._layout
        layout = chunk_table(elements, dtypes, self._chunk or chunk_size(sum(elements), programs(self._device)))
        columns = (layout.tensor, layout.index, layout.starts, layout.stops)
        static = [uploaded(column, self._device) for column in columns]
        shape = (len(layout.tensor), self._merge["WORDS"])
        static.append(torch.empty(shape, dtype=torch.int64, device=self._device))
        if self._device.type != "cpu":
            for tensor in self._static:
                # A stream other than the one that these were allocated on may still read them.
                tensor.record_stream(torch.get_device_module(self._device).current_stream(self._device))
        # All at once: after a failure above, the tables are still those of one layout.
        self._elements, self._dtypes, self._layout, self._static = elements, dtypes, layout, static
        return layout

    @cached_property
    def _nothing(self) -> torch.Tensor:
        """The neutral row ``[tensor, entry]`` on the device."""
        rows = neutral((len(self._elements),), self._signed)
        return uploaded(rows.view(np.int64).reshape(len(rows), len(table(self._signed))), self._device)

    def _constants(self, dtype: Any, variant: Variant) -> dict[str, Any]:
        made = self._constants_of.get((dtype, variant))
        if made is None:
            made = constants.of_chunks(dtype, self._near_zero, variant, self._signed, self._asm)
            made["DTYPE"] = self._types[torch.float32 if dtype in EIGHT_BIT else dtype]
            self._constants_of[dtype, variant] = made
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


def _variant(inverse_scale: torch.Tensor | None) -> Variant:
    return READ if inverse_scale is None else SCALED


def packed_instructions(device: torch.device) -> bool:
    """Whether the environment asks for packed instructions and ``device`` has them."""
    return os.environ.get(ASM_VARIABLE) == "1" and packed_possible(device)


def packed_possible(device: torch.device) -> bool:
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(device) >= (9, 0)
