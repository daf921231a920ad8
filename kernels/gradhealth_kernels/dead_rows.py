"""Dead rows: rows of a gradient's matrix in which every |x| is below the near-zero threshold. NaN is alive.

In NumPy on the host (``cpu/rows.py``), with the fused kernels on CUDA, in plain torch elsewhere. It costs a read of its
own, so it is for sampled steps alone; that read ends where a row is found to be alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .chunks import ChunkTable, chunk_table
from .cpu.rows import mark_alive
from .elements import BITS, EIGHT_BIT, WIDE, Unmeasurable, bits_from, stays
from .pinned import uploaded
from .proof import Proof
from .rows import Rows, rows_of, units
from .statistics import NEAR_ZERO

#: Elements that plain torch looks at in one go, so that what it takes is bounded.
PIECE = 2**22
#: Of a tile: rows, bytes of each that a program reads in one turn, and units of a row that are one program's at most.
ROWS, TURN_BYTES, PART = 16, 512, 2**13
COUNT_BLOCK = 1024
#: What samples of the loss-scaled kernels are multiplied by: no power of two, so products are rounded.
_SAMPLE_SCALE = 0.3


Item = tuple[int, torch.Tensor, int, int]
"""(index, values ``[row, element]``, rows in all, place of the first of its marks)."""


class PlainRows:
    """Plain torch: what the fused kernels are checked against, and the path of the host and any other device."""

    def __init__(self, near_zero: float) -> None:
        self._near_zero = near_zero

    def measure(
        self, items: Sequence[Item], alive: torch.Tensor, out: torch.Tensor, inverse_scale: torch.Tensor | None = None
    ) -> None:
        """Sets uint8 ``alive[row]``, which are 0, of rows that are, and writes float64 ``out[tensor, 2]``."""
        out.zero_()
        if alive.is_cpu:
            every, counts = alive.numpy(), out.numpy()
            for index, values, total, first in items:
                own = every[first : first + values.shape[0]]
                mark_alive(values, own, self._near_zero, inverse_scale)
                counts[index] = total, total - np.count_nonzero(own)
            return
        for index, values, total, first in items:
            marks = alive[first : first + len(values)]
            step = max(1, PIECE // values.shape[1])
            for start in range(0, len(values), step):
                marks[start : start + step] = self._are_alive(values[start : start + step], inverse_scale)
            out[index, 0] = total
            out[index, 1] = total - marks.sum()

    def _are_alive(self, values: torch.Tensor, inverse_scale: torch.Tensor | None) -> torch.Tensor:
        """bool ``[row]``, by bit patterns."""
        if values.dtype not in WIDE or (inverse_scale is not None and values.dtype is not torch.float64):
            values = values.float()
        if inverse_scale is not None:
            values = values * inverse_scale.to(values.dtype)
        integer = BITS[values.itemsize]
        largest = (values.view(integer) & torch.iinfo(integer).max).amax(1)
        return largest >= bits_from(self._near_zero, values.dtype)


class FusedRows:
    """Launches the kernels: one of stage 1 per dtype and alignment present, one of stage 2.

    It runs rarely, so keeps nothing on the device; tables of tiles are made again when shapes change.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float, part: int = PART) -> None:
        self._device, self._tensors, self._near_zero, self._part = device, tensors, near_zero, part
        self._shape: tuple[Any, ...] | None = None
        self._layout: ChunkTable | None = None

    def measure(
        self, items: Sequence[Item], alive: torch.Tensor, out: torch.Tensor, inverse_scale: torch.Tensor | None = None
    ) -> None:
        """As :meth:`PlainRows.measure`."""
        table = np.zeros((7, self._tensors), np.int64)
        kinds: list[tuple[torch.dtype, int] | None] = [None] * self._tensors
        # Copies live until the launches: after that the stream's order keeps their memory.
        readable = [values.float() if values.dtype in EIGHT_BIT else values for _, values, _, _ in items]
        for (index, _, total, first), values in zip(items, readable, strict=True):
            vector, width, stride = units(values)
            table[:, index] = values.data_ptr(), len(values), width, stride, first, total, -(-width // self._part)
            kinds[index] = (values.dtype, vector) if len(values) else None
        if not items:
            out.zero_()
            return
        layout = self._lay_out(-(-table[1] // ROWS) * table[6], kinds)
        addresses, tile_tensor, tile_index = (
            uploaded(column, self._device) for column in (table, layout.tensor, layout.index)
        )
        for launch in layout.launches:
            self._kernels.mark_alive[(launch.stop - launch.start,)](
                addresses,
                tile_tensor,
                tile_index,
                alive,
                inverse_scale,
                self._tensors,
                launch.start,
                self._part,
                num_warps=4,
                enable_fp_fusion=True,
                **self.constants(launch.dtype, inverse_scale is not None),
            )
        self._kernels.count_dead[(self._tensors,)](
            addresses, alive, out, self._tensors, BLOCK=COUNT_BLOCK, num_warps=4, enable_fp_fusion=True
        )

    def constants(self, kind: Any, scaled: bool) -> dict[str, Any]:
        """Stage 1's compile-time constants for a dtype of :data:`~.elements.WIDE` and the units in 16 bytes, or 1."""
        import triton.language as tl

        dtype, vector = kind
        compared_as = torch.float32 if scaled and dtype is not torch.float64 else dtype
        return {
            "DTYPE": getattr(tl, str(dtype).removeprefix("torch.")),
            "VECTOR": vector,
            "NEAR_ZERO": bits_from(self._near_zero, compared_as),
            "SCALED": scaled,
            "ROWS": ROWS,
            "COLUMNS": TURN_BYTES // (8 if dtype is torch.float64 else 4),
        }

    def _lay_out(self, tiles: npt.NDArray[np.int64], kinds: list[tuple[torch.dtype, int] | None]) -> ChunkTable:
        shape = (*tiles.tolist(), *kinds)
        if self._layout is None or shape != self._shape:
            self._layout, self._shape = chunk_table(tiles.tolist(), kinds, 1), shape
        return self._layout

    @cached_property
    def _kernels(self) -> Any:
        from .fused import dead_rows

        return dead_rows


class RowMeter:
    """Marks and counts the rows of tensors on one device, without waiting for it.

    On CUDA, plain torch until the fused kernels have agreed with it on samples, then those.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float = NEAR_ZERO) -> None:
        self._device, self._tensors, self._near_zero = device, tensors, near_zero
        self._module: Any = torch.get_device_module(device)
        self._plain = PlainRows(near_zero)
        self._fused = FusedRows(device, tensors, near_zero)
        # By whether tensors are loss-scaled. None where there is nothing to prove.
        self._proof = Proof(device, "find dead rows", self._compare) if device.type == "cuda" else None

    def measure(
        self, items: Sequence[Item], marks: int, inverse_scale: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 ``[mark]``, 1 for a row that is alive, and float64 ``[tensor, 2]``: rows in all, dead ones; 0 where no
        item has the index.

        With ``inverse_scale``, one float32, rows are those of ``x.float() * inverse_scale`` (of float64 products for
        float64). Runs on the caller's current stream of the device.
        """
        stream = self._module.current_stream(self._device)
        with torch.inference_mode(False), torch.no_grad(), self._module.stream(stream):
            if inverse_scale is not None:
                inverse_scale = inverse_scale.detach().to(self._device, non_blocking=self._device.type != "cpu")
            alive = torch.zeros(marks, dtype=torch.uint8, device=self._device)
            out = torch.empty((self._tensors, 2), dtype=torch.float64, device=self._device)
            proven = self._proof is not None and self._proof.holds(inverse_scale is not None)
            (self._fused if proven else self._plain).measure(items, alive, out, inverse_scale)
        return alive, out

    def _compare(self, scaled: bool) -> torch.Tensor:
        samples = [sample(dtype, width, self._device) for dtype, width in product(sorted(WIDE, key=str), (1, 77, 1408))]
        rows = len(samples[0])
        items = [(index, values, rows, index * rows) for index, values in enumerate(samples)]
        inverse_scale = torch.full((1,), _SAMPLE_SCALE, device=self._device) if scaled else None
        alive = torch.zeros((2, rows * len(samples)), dtype=torch.uint8, device=self._device)
        counts = torch.zeros((2, len(samples), 2), dtype=torch.float64, device=self._device)
        PlainRows(self._near_zero).measure(items, alive[0], counts[0], inverse_scale)
        # Parts are so short that rows have several.
        FusedRows(self._device, len(samples), self._near_zero, part=512).measure(
            items, alive[1], counts[1], inverse_scale
        )
        return (alive[0] == alive[1]).all() & (counts[0] == counts[1]).all()


def sample(dtype: torch.dtype, width: int, device: torch.device) -> torch.Tensor:
    """49 rows, all zeros but for one element somewhere: NaN, or around the threshold, as it is or before scaling."""
    row = torch.arange(49, device=device)
    as_is, scaled = bits_from(NEAR_ZERO, dtype), bits_from(NEAR_ZERO / _SAMPLE_SCALE, dtype)
    integer = BITS[dtype.itemsize]
    patterns = (torch.where(row % 2 == 0, as_is, scaled) + row - 24).clamp_min(0)
    patterns[:1] = torch.iinfo(integer).max
    values = torch.zeros((len(row), width), dtype=integer, device=device)
    values[row, row * 29 % width] = patterns.to(integer)
    return values.view(dtype)


@dataclass(frozen=True)
class _Marked:
    """Marks of the rows of a tensor."""

    alive: torch.Tensor
    total: int
    places: torch.Tensor | None


class FoundRows:
    """What :meth:`DeadRows.measure` found. ``counts`` are float64 ``[tensor, 2]``, one on each device: rows, dead ones.

    They add up over the devices. Of a tensor without rows, which is none of ``has``, they are 0.
    """

    def __init__(self, counts: Sequence[torch.Tensor], marked: dict[int, _Marked], tensors: int) -> None:
        self.counts, self._marked = counts, marked
        self.has = np.array([index in marked for index in range(tensors)])

    def indices(self, index: int) -> npt.NDArray[np.int64]:
        """The dead rows of a tensor, ascending, after waiting for the device."""
        marked = self._marked.get(index)
        if marked is None:
            return np.empty(0, np.int64)
        if marked.alive.device.type != "cpu":  # they may be of another stream than the current one
            torch.get_device_module(marked.alive.device).synchronize(marked.alive.device)
        alive = marked.alive.cpu().numpy() != 0
        if marked.places is not None:
            present, alive = alive, np.zeros(marked.total, np.bool_)
            alive[marked.places.cpu().numpy()[present]] = True
        dead: npt.NDArray[np.int64] = np.flatnonzero(~alive)
        return dead


class DeadRows:
    """The door: dead rows of a list of tensors that lie anywhere, without waiting for a device.

    Only to coalesce a sparse tensor and to copy one from a device without float64 it waits.
    """

    def __init__(self, tensors: int, near_zero: float = NEAR_ZERO) -> None:
        self.tensors, self._near_zero = tensors, near_zero
        self._meters: dict[torch.device, RowMeter] = {}

    def measure(self, tensors: Sequence[torch.Tensor | None], inverse_scale: torch.Tensor | None = None) -> FoundRows:
        """Looks at each tensor's rows as they are now; one that is None or cannot be looked at has none.

        ``inverse_scale`` is one float32, as for the entries. Raises ValueError for another number of tensors.
        """
        if len(tensors) != self.tensors:
            raise ValueError(f"expected {self.tensors} tensors, got {len(tensors)}; pass None for one that is absent")
        by_device: dict[torch.device, list[tuple[int, Rows]]] = {}
        for index, tensor in enumerate(tensors):
            if tensor is None:
                continue
            try:
                rows = rows_of(tensor)
            except Unmeasurable:
                continue
            values = rows.values if stays(rows.values.device) else rows.values.cpu()
            by_device.setdefault(values.device, []).append((index, Rows(values, rows.total, rows.places)))
        counts: list[torch.Tensor] = []
        marked: dict[int, _Marked] = {}
        for device, found in by_device.items():
            if device not in self._meters:
                self._meters[device] = RowMeter(device, self.tensors, self._near_zero)
            firsts = np.cumsum([0, *(rows.values.shape[0] for _, rows in found)]).tolist()
            items = [(index, rows.values, rows.total, at) for (index, rows), at in zip(found, firsts, strict=False)]
            alive, out = self._meters[device].measure(items, firsts[-1], inverse_scale)
            counts.append(out)
            for (index, rows), at in zip(found, firsts, strict=False):
                # A gradient's own indices would keep it alive, and may be written to.
                places = None if rows.places is None else rows.places.clone()
                marked[index] = _Marked(alive[at : at + len(rows.values)], rows.total, places)
        return FoundRows(counts, marked, self.tensors)
