"""Measures tensors on one device without waiting for it: the fused kernels where they prove right, else plain torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

import torch

from .elements import OF_ZERO, WIDE, Item, saturated_from
from .reference import entries_of
from .statistics import COUNTS, ENTRIES

#: Elements that the plain path widens to float64 at a time, which bounds each of its temporaries to 32 MiB.
PIECE = 2**22
#: Elements of each sample that the fused kernels are checked on: more than one chunk.
SAMPLE = 20_001


class Meter(Protocol):
    def measure(self, items: Sequence[Item], out: torch.Tensor) -> None:
        """Writes int64 words ``out[tensor, entry]``, a float64 as its bits; neutral where no item has the index."""


class PlainMeter:
    """Plain torch in float64, for devices without Triton: some twenty operations per piece of a tensor."""

    def __init__(self, near_zero: float) -> None:
        self._near_zero = near_zero

    def measure(self, items: Sequence[Item], out: torch.Tensor) -> None:
        out.zero_()
        for index, tensor, implicit in items:
            saturated = saturated_from(tensor.dtype)
            pieces = [entries_of(p.double(), self._near_zero, saturated) for p in torch.split(tensor.view(-1), PIECE)]
            words = []
            for entry in ENTRIES:
                column = torch.stack([piece[entry.name] for piece in pieces])
                merged = column.sum() if entry.combine == "+" else column.amax()
                words.append((merged + implicit if entry.name in OF_ZERO else merged).view(torch.int64))
            out[index] = torch.stack(words)


class CheckedMeter:
    """Plain torch until the fused kernels have agreed with it on samples, then those.

    The comparison runs on the device and its outcome is polled, so the first steps are measured slowly, but none waits.
    Kernels that cannot run or disagree are given up with one warning.
    """

    def __init__(self, device: torch.device, tensors: int, near_zero: float) -> None:
        self._device = device
        self._tensors, self._near_zero = tensors, near_zero
        self._plain = PlainMeter(near_zero)
        self._fused: Meter | None = None
        self._agrees: torch.Tensor | None = None
        self._event = torch.get_device_module(device).Event()
        self._settled = False

    def measure(self, items: Sequence[Item], out: torch.Tensor) -> None:
        if not self._settled:
            self._check()
        meter = self._fused if self._settled and self._fused is not None else self._plain
        meter.measure(items, out)

    def _check(self) -> None:
        if self._agrees is None:
            try:
                self._fused, self._agrees = self._compare()
            # Whatever a compiler or driver raises here, plain torch still measures.
            except Exception as error:
                self._give_up(f"could not run ({type(error).__name__}: {error})")
        elif self._event.query():
            self._settled = True
            if not self._agrees.item():
                self._give_up("disagree with plain torch")

    def _give_up(self, why: str) -> None:
        self._fused, self._settled = None, True
        warnings.warn(
            f"tb_gradhealth: expected the fused Triton kernels to measure gradients on {self._device}, but they {why}; "
            "measuring with plain torch instead, which is right but slower. Install the triton release that this torch "
            "was built with.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _compare(self) -> tuple[Meter, torch.Tensor]:
        from .pair import FusedPair

        samples = [(index, _sample(dtype, self._device), 0) for index, dtype in enumerate(sorted(WIDE, key=str))]
        words = torch.zeros((2, len(samples), len(ENTRIES)), dtype=torch.int64, device=self._device)
        self._plain.measure(samples, words[0])
        FusedPair(self._device, len(samples), self._near_zero).measure(samples, words[1])
        counts, numbers = words[..., : len(COUNTS)], words[..., len(COUNTS) :].view(torch.float64)
        agrees = (counts[0] == counts[1]).all() & torch.isclose(numbers[0], numbers[1], rtol=1e-5, atol=1e-5).all()
        answer = torch.empty((), dtype=torch.bool, device="cpu", pin_memory=self._device.type != "cpu")
        answer.copy_(agrees, non_blocking=True)
        self._event.record()
        return FusedPair(self._device, self._tensors, self._near_zero), answer


def _sample(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Ordinary values of both signs, zeros and each special value, on an address that is no multiple of 16 bytes."""
    values = (torch.arange(SAMPLE, dtype=torch.float64, device=device) - SAMPLE // 3) * 1e-4
    for place, special in enumerate((float("nan"), float("inf"), -float("inf"), torch.finfo(dtype).max, 0.0)):
        values[10 + place] = special
    return values.to(dtype)[1:]


def meter_for(device: torch.device, tensors: int, near_zero: float) -> Meter:
    return CheckedMeter(device, tensors, near_zero) if device.type == "cuda" else PlainMeter(near_zero)
