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

ENTRIES = ("beyond", "features", "dead_features", "between_sq", "total_sq", "pair_sum", "pairs")


class Batches:
    """The first dimension counts samples, all others are features; a tensor of one dimension has one feature.

    A batch of one sample, as the last one of an epoch may be, tells nothing of how samples differ, and is left out
    where larger ones of that name came before.
    """

    def __init__(self, stream: str, label: str, what: str) -> None:
        self.stream = Stream(stream, label, what, signed=True, further=ENTRIES)
        self._several: set[str] = set()  # names of which a batch had more than one sample

    def look(self, name: str, tensor: torch.Tensor) -> Look | None:
        batch = tensor.reshape(len(tensor) if tensor.dim() else 1, -1)
        if len(batch) > 1:
            self._several.add(name)
        elif name in self._several:
            return None
        return Look(("",), [tensor], ENTRIES, figures(batch).unsqueeze(1))


def figures(batch: torch.Tensor) -> torch.Tensor:
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
        wide = batch[:, first : first + width].double()
        magnitude, known = wide.abs(), wide.isfinite()
        wide = wide.where(known, 0.0)
        mean = wide.sum(0) / known.sum(0).clamp_(min=1)
        centred = (wide - mean).where(known, 0.0)
        dead = (magnitude < NEAR_ZERO).all(0)
        sums += torch.stack([(magnitude > USUAL).sum(), dead.sum(), centred.square().sum(), wide.square().sum()])
        # Distances do not depend on where the origin lies; from the mean little cancels.
        some = centred[chosen]
        products += some @ some.T
    squares = products.diagonal()
    distances = (squares + squares.unsqueeze(1) - 2 * products).clamp_(min=0).sqrt_().triu_(1)
    beyond, dead, between, total = sums.unbind()
    count, pairs = sums.new_full((), features), sums.new_full((), len(chosen) * (len(chosen) - 1) // 2)
    return torch.stack([beyond, count, dead, between, total, distances.sum(), pairs])
