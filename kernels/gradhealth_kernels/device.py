"""Measures tensors on one device without waiting for it: the fused kernels where they prove right, else plain torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .elements import OF_ZERO, WIDE, Item, saturated_from
from .reference import as_double, entries_of
from .statistics import COUNTS, ENTRIES

if TYPE_CHECKING:
    from .pair import FusedPair

#: Elements that the plain path widens to float64 at a time, which bounds each of its temporaries to 32 MiB.
PIECE = 2**22
#: Elements of each sample that the fused kernels are checked on: more than one chunk.
SAMPLE = 20_001
#: What the samples of the loss-scaled kernels are multiplied by: no power of two, so products are rounded.
SAMPLE_SCALE = 0.3


class Meter(Protocol):
    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        """Writes int64 words ``out[tensor, entry]``, a float64 as its bits; neutral where no item has the index.

        ``inverse_scale`` is one float32 on the same device: the entries are those of the tensors times that.
        """

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        """Measures the last items again, all read in place and none moved since; False if it must be given them."""


class PlainMeter:
    """Plain torch in float64, for devices without Triton: some twenty operations per piece of a tensor."""

    def __init__(self, near_zero: float) -> None:
        self._near_zero = near_zero

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        out.zero_()
        for index, tensor, implicit in items:
            saturated = saturated_from(tensor.dtype)
            pieces = [
                entries_of(as_double(piece, inverse_scale), self._near_zero, saturated)
                for piece in torch.split(tensor.view(-1), PIECE)
            ]
            words = []
            for entry in ENTRIES:
                column = torch.stack([piece[entry.name] for piece in pieces])
                merged = column.sum() if entry.combine == "+" else column.amax()
                words.append((merged + implicit if entry.name in OF_ZERO else merged).view(torch.int64))
            out[index] = torch.stack(words)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        return False


class CheckedMeter:
    """Plain torch until the fused kernels have agreed with it on samples, then those.

    The comparison runs on the device and its outcome is polled, so the first steps are measured slowly, but none waits.
    The kernels for loss-scaled tensors are compiled and checked when the first such step comes. Kernels that cannot run
    or disagree are given up with one warning, and the others with them.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float) -> None:
        self._device = device
        self._tensors, self._near_zero = tensors, near_zero
        self._plain = PlainMeter(near_zero)
        self._fused: FusedPair | None = None
        self._given_up = False
        # By whether tensors are loss-scaled: the comparison under way, and what has agreed.
        self._answers: dict[bool, tuple[torch.Tensor, Any]] = {}
        self._settled: set[bool] = set()
        self._knows_items = False

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        fused = self._proven(scaled=inverse_scale is not None)
        self._knows_items = fused is not None and len(items) > 0
        if fused is None:
            self._plain.measure(items, out, inverse_scale)
        else:
            fused.measure(items, out, inverse_scale)

    def repeat(self, out: torch.Tensor, inverse_scale: torch.Tensor | None) -> bool:
        if self._fused is None or not self._knows_items or (inverse_scale is not None) not in self._settled:
            return False
        self._fused.repeat(out, inverse_scale)
        return True

    def _proven(self, scaled: bool) -> FusedPair | None:
        """The fused kernels if they have agreed with plain torch; starts or polls their comparison if need be."""
        if self._given_up:
            return None
        if scaled not in self._settled:
            self._check(scaled)
        return self._fused if scaled in self._settled else None

    def _check(self, scaled: bool) -> None:
        if scaled not in self._answers:
            try:
                self._answers[scaled] = self._compare(scaled)
            # Whatever a compiler or driver raises here, plain torch still measures.
            except Exception as error:
                self._give_up(f"could not run ({type(error).__name__}: {error})")
            return
        agrees, event = self._answers[scaled]
        if event.query():
            if agrees.item():
                self._settled.add(scaled)
            else:
                self._give_up("disagree with plain torch")

    def _give_up(self, why: str) -> None:
        self._fused, self._given_up = None, True
        self._settled.clear()
        warnings.warn(
            f"tb_gradhealth: expected the fused Triton kernels to measure gradients on {self._device}, but they {why}; "
            "measuring with plain torch instead, which is right but slower. Install the triton release that this torch "
            "was built with.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _compare(self, scaled: bool) -> tuple[torch.Tensor, Any]:
        from .pair import FusedPair

        samples = [(index, _sample(dtype, self._device), 0) for index, dtype in enumerate(sorted(WIDE, key=str))]
        inverse_scale = torch.full((1,), SAMPLE_SCALE, device=self._device) if scaled else None
        words = torch.zeros((2, len(samples), len(ENTRIES)), dtype=torch.int64, device=self._device)
        self._plain.measure(samples, words[0], inverse_scale)
        FusedPair(self._device, len(samples), self._near_zero).measure(samples, words[1], inverse_scale)
        counts, numbers = words[..., : len(COUNTS)], words[..., len(COUNTS) :].view(torch.float64)
        agrees = (counts[0] == counts[1]).all() & torch.isclose(numbers[0], numbers[1], rtol=1e-5, atol=1e-5).all()
        answer = torch.empty((), dtype=torch.bool, device="cpu", pin_memory=self._device.type != "cpu")
        answer.copy_(agrees, non_blocking=True)
        event: Any = torch.get_device_module(self._device).Event()
        event.record()
        if self._fused is None:
            self._fused = FusedPair(self._device, self._tensors, self._near_zero)
        return answer, event


def _sample(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Ordinary values of both signs, zeros and each special value, on an address that is no multiple of 16 bytes."""
    values = (torch.arange(SAMPLE, dtype=torch.float64, device=device) - SAMPLE // 3) * 1e-4
    for place, special in enumerate((float("nan"), float("inf"), -float("inf"), torch.finfo(dtype).max, 0.0)):
        values[10 + place] = special
    return values.to(dtype)[1:]


def meter_for(device: torch.device, tensors: int, near_zero: float) -> Meter:
    return CheckedMeter(device, tensors, near_zero) if device.type == "cuda" else PlainMeter(near_zero)
