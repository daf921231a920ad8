"""What a contender is: a way to compute some quantities of many tensors, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from gradhealth_kernels.elements import BITS, bits_from, saturated_from
from gradhealth_kernels.statistics import ENTRIES, NEAR_ZERO

from .gate import Results

#: The entries that a tensor of 32 or 16 bits can have; Blue's outer accumulators are for float64 alone.
ALL_ENTRIES: tuple[str, ...] = tuple(e.name for e in ENTRIES if e.name not in ("sum_sq_big", "sum_sq_small"))


class Unavailable(RuntimeError):
    """The contender cannot run here; the text says why."""


@dataclass(frozen=True)
class Prepared:
    """``run`` is what is timed; ``read`` turns what it returns into numbers on the host, untimed."""

    run: Callable[[], Any]
    read: Callable[[Any], Results]


@dataclass(frozen=True)
class Contender:
    """``prepare`` may allocate, compile and upload: a training does that once. It raises Unavailable.

    whole: quantities are those of all tensors together, not of each.
    tolerance: the error that the gate allows where numbers are rounded, relative to the terms that were added.
    copies: copies of all gradients that are kept, for the check of the memory.
    spoils: gradients that are not finite would be overwritten, so such cases are skipped.
    """

    name: str
    computes: str
    quantities: tuple[str, ...]
    prepare: Callable[[Sequence[torch.Tensor]], Prepared]
    devices: tuple[str, ...] = ("cpu", "cuda")
    whole: bool = False
    tolerance: float = 1e-4
    copies: int = 0
    spoils: bool = False


@lru_cache
def threshold(value: float, dtype: torch.dtype) -> float:
    """The smallest value of ``dtype`` at or above ``value``: comparing with it is exact, whatever the rounding."""
    return float(torch.tensor(bits_from(value, dtype), dtype=BITS[dtype.itemsize]).view(dtype))


def near_zero(dtype: torch.dtype) -> float:
    return threshold(NEAR_ZERO, dtype)


def saturated(dtype: torch.dtype) -> float:
    return threshold(saturated_from(dtype), dtype)


def columns(names: Sequence[str], values: Sequence[Sequence[torch.Tensor]]) -> Results:
    """Tensors of no dimension, ``values[tensor][quantity]`` → quantity → ``[tensor]``; waits for the device."""
    stacked = [torch.stack(column).double().cpu().numpy() for column in zip(*values, strict=True)]
    return dict(zip(names, stacked, strict=True))


def column(name: str, values: torch.Tensor) -> Results:
    """One quantity ``[tensor]``; waits for the device."""
    found: Results = {name: values.double().cpu().numpy().astype(np.float64)}
    return found
