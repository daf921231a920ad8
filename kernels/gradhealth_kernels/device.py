"""Measures tensors on one device without waiting for it: the fused kernels where they prove right, else plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from .elements import OF_ZERO, WIDE, Item, saturated_from
from .proof import Proof
from .reference import as_double, entries_of
from .statistics import BIG_SCALE, COUNTS, INDEX, NEAR_ZERO, SMALL_SCALE, neutral, table

if TYPE_CHECKING:
    from .constants import Variant
    from .pair import FusedPair

#: Elements that the plain path widens to float64 at a time, which bounds each of its temporaries to 32 MiB.
PIECE = 2**22
#: Elements of each sample that the fused kernels are checked on: more than one chunk.
SAMPLE = 20_001
#: What the samples of the scaled kernels are multiplied by: no power of two, so products are rounded.
SAMPLE_SCALE = 0.3


#: What replays of captured graphs read and write. Never freed, since a graph does not tell when it is gone.
CAPTURED: list[tuple[Any, torch.Tensor]] = []


class Meter(Protocol):
    @property
    def fused(self) -> bool:
        """Whether the fused kernels measured the last items."""

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        """Writes int64 words ``out[tensor, entry]``, a float64 as its bits; neutral where no item has the index.

        ``inverse_scale`` is one float32 on the same device: the entries are those of the tensors times that.
        """

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        """Measures the last items again, all read in place and none moved since; False if it must be given them."""

    def capture(self, out: torch.Tensor) -> bool:
        """Inside a CUDA graph's capture: launches that measure the last items into ``out`` at each replay.

        False, and nothing launched, if the fused kernels did not measure them.
        """

    def prove(self) -> None:
        """Settles whether the fused kernels are used, in place too. The first call waits for the device."""

    def scaler(self) -> FusedPair | None:
        """What can multiply the last items in place and measure the products in one go, if there is such a thing."""


class PlainMeter:
    """Plain torch in float64, for devices without Triton: some twenty operations per piece of a tensor."""

    def __init__(self, near_zero: float, signed: bool = False) -> None:
        self._near_zero, self._signed = near_zero, signed
        self.fused = False

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        entries = table(self._signed)
        for place, word in enumerate(neutral((1,), self._signed).view(np.int64).tolist()):
            out[:, place] = word
        for index, tensor, implicit in items:
            saturated = saturated_from(tensor.dtype)
            pieces = [
                entries_of(as_double(piece, inverse_scale), self._near_zero, saturated, self._signed)
                for piece in torch.split(tensor.view(-1), PIECE)
            ]
            words = []
            for entry in entries:
                column = torch.stack([piece[entry.name] for piece in pieces])
                if entry.combine == "+":
                    merged = column.sum() + (implicit if entry.name in OF_ZERO else 0)
                # An implicit zero bounds a signed extreme as any element does.
                elif entry.combine == "min":
                    merged = column.amin().clamp(max=0.0 if implicit else float("inf"))
                else:
                    merged = column.amax().clamp(min=0.0 if implicit else -float("inf"))
                words.append(merged.view(torch.int64))
            out[index] = torch.stack(words)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        return False

    def capture(self, out: torch.Tensor) -> bool:
        return False

    def prove(self) -> None:
        pass

    def scaler(self) -> FusedPair | None:
        return None


class CheckedMeter:
    """Plain torch until the fused kernels have agreed with it on samples, then those.

    So the first steps are measured slowly, but none waits. The scaled variants are compiled and checked when they are
    first asked for.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float, signed: bool = False) -> None:
        self._device, self._tensors, self._near_zero, self._signed = device, tensors, near_zero, signed
        self._plain = PlainMeter(near_zero, signed)
        self._proof = Proof(device, "measure gradients", self._compare)
        self._fused: FusedPair | None = None
        self._knows_items = False

    @property
    def fused(self) -> bool:
        return self._knows_items and bool(self._proof.settled)

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        proven = self._proof.holds(_variant(inverse_scale))
        self._knows_items = proven and len(items) > 0
        if proven:
            self._pair().measure(items, out, inverse_scale)
        else:
            self._plain.measure(items, out, inverse_scale)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        if not self._knows_items or _variant(inverse_scale) not in self._proof.settled:
            return False
        self._pair().repeat(out, inverse_scale)
        return True

    def capture(self, out: torch.Tensor) -> bool:
        if not self.repeat(out, None):
            return False
        CAPTURED.append((self._fused, out))
        self._fused, self._knows_items = None, False
        return True

    def prove(self) -> None:
        from .constants import IN_PLACE, READ

        if self._proof.wait(READ):
            self._proof.wait(IN_PLACE)

    def scaler(self) -> FusedPair | None:
        from .constants import IN_PLACE

        return self._pair() if self._knows_items and IN_PLACE in self._proof.settled else None

    def _pair(self) -> FusedPair:
        from .pair import FusedPair

        if self._fused is None:
            self._fused = FusedPair(self._device, self._tensors, self._near_zero, signed=self._signed)
        return self._fused

    def _compare(self, variant: Variant) -> torch.Tensor:
        from .pair import FusedPair

        samples = [_sample(dtype, self._device) for dtype in sorted(WIDE, key=str)]
        shape = (2, len(samples), len(table(self._signed)))
        words = torch.zeros(shape, dtype=torch.int64, device=self._device)
        pair = FusedPair(self._device, len(samples), self._near_zero, signed=self._signed)
        if variant.in_place:
            factor = torch.full((), SAMPLE_SCALE, dtype=torch.float64, device=self._device)
            expected = [_scaled(sample, factor) for sample in samples]
            self._plain.measure(_items(expected), words[0])
            pair.measure(_items(samples), words[1])
            pair.scale(words[1], factor)
            agrees = torch.stack([a.isclose(b, 0, 0, True).all() for a, b in zip(samples, expected, strict=True)]).all()
            agrees = agrees & _norms_agree(pair, words[1])
        else:
            inverse_scale = torch.full((1,), SAMPLE_SCALE, device=self._device) if variant.scaled else None
            self._plain.measure(_items(samples), words[0], inverse_scale)
            pair.measure(_items(samples), words[1], inverse_scale)
            agrees = torch.ones((), dtype=torch.bool, device=self._device)
        counts, numbers = words[..., : len(COUNTS)], words[..., len(COUNTS) :].view(torch.float64)
        return agrees & (counts[0] == counts[1]).all() & torch.isclose(numbers[0], numbers[1], 1e-5, 1e-5).all()


def _variant(inverse_scale: torch.Tensor | None) -> Variant:
    from .constants import READ, SCALED

    return READ if inverse_scale is None else SCALED


def _items(tensors: Sequence[torch.Tensor]) -> list[Item]:
    return [(index, tensor, 0) for index, tensor in enumerate(tensors)]


def _norms_agree(pair: FusedPair, rows: torch.Tensor) -> torch.Tensor:
    """Whether the total norm of ``rows``, which have a NaN, is NaN, and right without what is not finite."""
    first, last = COUNTS.index("nan"), COUNTS.index("neg_inf")
    finite = rows.clone()
    finite[:, first : last + 1] = 0
    squares = rows[:, INDEX["sum_sq"] : INDEX["sum_sq_small"] + 1].view(torch.float64).sum(0)
    middle, big, small = squares.sqrt()
    expected = torch.hypot(torch.hypot(middle, big / BIG_SCALE), small / SMALL_SCALE)
    return pair.total_norm(rows).isnan() & torch.isclose(pair.total_norm(finite), expected, 1e-5, 0.0)


def _scaled(values: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Products in float32 below float64, rounded to the dtype of ``values``."""
    if values.dtype is torch.float64:
        return values * factor
    return (values.float() * factor.float()).to(values.dtype)


def _sample(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Ordinary values of both signs, zeros and each special value, on an address that is no multiple of 16 bytes."""
    values = (torch.arange(SAMPLE, dtype=torch.float64, device=device) - SAMPLE // 3) * 1e-4
    for place, special in enumerate((float("nan"), float("inf"), -float("inf"), torch.finfo(dtype).max, 0.0)):
        values[10 + place] = special
    return values.to(dtype)[1:]


def meter_for(device: torch.device, tensors: int, near_zero: float = NEAR_ZERO, signed: bool = False) -> Meter:
    if device.type == "cuda":
        return CheckedMeter(device, tensors, near_zero, signed)
    return PlainMeter(near_zero, signed)
