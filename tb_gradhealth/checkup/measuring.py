"""Figures of many tensors at once, by the kernels that measure training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gradhealth_kernels import metrics
from gradhealth_kernels.figures import finite, nonfinite
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.statistics import NEAR_ZERO, Entries

from ..rows import Floats, Ints
from ..shards import local


@dataclass(frozen=True, eq=False)
class Figures:
    """``[tensor]`` each; NaN where a tensor has no such figure, as one that is absent or has no finite element."""

    norm: Floats
    rms: Floats
    std: Floats
    mean: Floats
    minimum: Floats
    maximum: Floats
    zero_fraction: Floats
    bad: Ints  # elements that are NaN or infinite
    nan: Ints
    count: Ints


def figures(entries: Entries) -> Figures:
    names = ("norm", "rms", "std", "mean", "zero_fraction")
    chosen = metrics.select(names)
    values = dict(zip((one.name for one in chosen), metrics.compute(entries, chosen), strict=True))
    has_finite = finite(entries) > 0
    return Figures(
        minimum=np.where(has_finite, entries["minimum"], np.nan),
        maximum=np.where(has_finite, entries["maximum"], np.nan),
        bad=nonfinite(entries),
        nan=entries["nan"].astype(np.int64),
        count=entries["count"].astype(np.int64),
        **values,
    )


def measure(tensors: Sequence[torch.Tensor | None]) -> Figures:
    ring = StepRing(len(tensors), 1, NEAR_ZERO, signed=True)
    with torch.no_grad():
        ring.measure(0, [None if one is None or one.is_meta else local(one) for one in tensors])
    return figures(ring.take(1).entries()[0])


def first_bad(tensor: torch.Tensor) -> tuple[int, ...]:
    """The index of the first element that is not finite."""
    wrong = ~local(tensor).isfinite()
    place = int(wrong.reshape(-1).to(torch.uint8).argmax())
    return tuple(int(one) for one in np.unravel_index(place, tuple(wrong.shape)))
