"""Batches that go into a model and come out of it: their scale, dead features, and how much samples differ."""

from __future__ import annotations

import torch

from gradhealth_kernels.statistics import NEAR_ZERO

from .look import Look, spaced
from .stream import Stream

#: The range that inputs of scale 1 stay in.
USUAL = 3.0
#: Samples whose distances are looked at, evenly spaced: fewer where they have more than 2**16 elements each, so that it
#: takes at most 2**28 multiplications, but no less than two.
MAX_SAMPLES, PAIRED = 64, 1 << 22
#: Elements that are in memory as float64 at a time.
BLOCK = 1 << 20
#: Stands for the squares of a batch that is 0 everywhere.
LEAST = 2.0**-1022

ENTRIES = ("beyond", "features", "dead_features", "between_sq", "total_sq", "pair_sum", "pairs")


class Batches:
    """The first dimension counts samples, all others are features; a tensor of one dimension has one feature.

    A batch of one sample, as the last one of an epoch may be, tells nothing of how samples differ, and is left out
    where larger ones of that name came before.
    """

    def __init__(self, stream: str, label: str, what: str, near_zero: float = NEAR_ZERO) -> None:
        self._near_zero = near_zero
        self.stream = Stream(stream, label, what, signed=True, further=ENTRIES)
        self._several: set[str] = set()  # names of which a batch had more than one sample

    def look(self, name: str, tensor: torch.Tensor) -> Look | None:
        batch = tensor.reshape(len(tensor) if tensor.dim() else 1, -1)
        if len(batch) > 1:
            self._several.add(name)
        elif name in self._several:
            return None
        return Look(("",), [tensor], ENTRIES, figures(batch, self._near_zero).unsqueeze(1))


def figures(batch: torch.Tensor, near_zero: float) -> torch.Tensor:
    """The entries :data:`ENTRIES` of ``batch [sample, feature]``, float64 ``[entry]``.

    An element that is not finite is left out of all means and sums of squares, and has no part in a distance; an
    infinite one lies beyond any range.
    """
    samples, features = batch.shape
    chosen = spaced(samples, min(MAX_SAMPLES, max(2, PAIRED // features)), batch.device)
    sums = torch.zeros(4, dtype=torch.float64, device=batch.device)
    products = torch.zeros((len(chosen), len(chosen)), dtype=torch.float64, device=batch.device)
    width = max(1, BLOCK // samples)
    for first in range(0, features, width):
        block = batch[:, first : first + width]
        magnitude = block.abs()
        largest = magnitude.amax(0).double()
        wide, centred = _centred(block.double(), whole=block.is_cpu and bool(largest.isfinite().all()))
        counts = [(magnitude > USUAL).count_nonzero(), (largest < near_zero).count_nonzero()]
        sums += torch.stack([*counts, torch.linalg.vector_norm(centred) ** 2, torch.linalg.vector_norm(wide) ** 2])
        # Distances do not depend on where the origin lies; from the mean little cancels.
        some = centred[chosen]
        products += some @ some.T
    squares = products.diagonal()
    distances = (squares + squares.unsqueeze(1) - 2 * products).clamp_(min=0).sqrt_().triu_(1)
    beyond, dead, between, total = sums.unbind()
    # The spread of one sample is unknown, that of zeros is 0.
    total = total.clamp(min=LEAST) if samples > 1 else sums.new_zeros(())
    count, pairs = sums.new_full((), features), sums.new_full((), len(chosen) * (len(chosen) - 1) // 2)
    return torch.stack([beyond, count, dead, between, total, distances.sum(), pairs])


def _centred(wide: torch.Tensor, whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """``wide [sample, feature]`` and what it differs by from its mean over the samples, 0 for what is not finite;
    ``whole`` says that all of it is known to be."""
    if whole:
        return wide, wide - wide.mean(0)
    known = wide.isfinite()
    wide = wide.where(known, 0.0)
    return wide, (wide - wide.sum(0) / known.sum(0).clamp_(min=1)).where(known, 0.0)
