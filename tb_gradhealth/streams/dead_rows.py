"""Output neurons that no gradient reaches: rows of a weight's gradient that are near zero from end to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer

from gradhealth_kernels.dead_rows import DeadRows as Measure
from gradhealth_kernels.dead_rows import FoundRows
from gradhealth_kernels.statistics import NEAR_ZERO

from .. import shards
from ..boundary import amp
from .stream import Fetch, Sample, Source, Stream, later

DEAD_ROWS = Stream("dead_rows", "Dead rows", "gradient", further=("rows_total", "rows_dead"))


class DeadRows(Source):
    """Gradients of matrices and of convolutions as the optimizer finds them, with the first dimension as the row.

    A row is an output neuron of a linear layer or convolution, a token of an embedding, an input channel of a
    transposed convolution. Of sharded gradients those are looked at whose rows are whole on this rank. An optimizer
    that unscales by itself (``fused=True`` under a GradScaler) finds scaled gradients: they are looked at as if
    multiplied with the inverse scale.
    """

    every = DEAD_ROWS.every

    def __init__(self, near_zero: float = NEAR_ZERO) -> None:
        self._near_zero = near_zero
        self._measure: Measure | None = None
        self._found: FoundRows | None = None

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        if all(parameter.dim() < 2 for parameter in parameters):  # of whole ones, so that ranks agree
            return
        gradients = [
            None if own is None else _rows_here(parameter) for parameter, own in zip(parameters, local, strict=True)
        ]
        if self._measure is None:
            self._measure = Measure(len(gradients), self._near_zero)
        scale = optimizer.__dict__.get("grad_scale")
        inverse_scale = amp.inverse(scale) if isinstance(scale, torch.Tensor) else None
        self._found = found = self._measure.measure(gradients, inverse_scale)
        tensors = [gradient if has else None for gradient, has in zip(gradients, found.has, strict=True)]
        counts = [later(one) for one in found.counts]
        further = {name: _column(counts, found.has, place) for place, name in enumerate(DEAD_ROWS.further)}
        yield Sample(DEAD_ROWS, tensors, further, inverse_scale=inverse_scale)

    def last(self) -> dict[int, npt.NDArray[np.int64]]:
        """The dead rows found last, by parameter, of those that have any; waits for the device."""
        found = self._found
        if found is None:
            return {}
        indices = {index: found.indices(index) for index in np.flatnonzero(found.has).tolist()}
        return {index: rows for index, rows in indices.items() if len(rows)}


def _rows_here(parameter: torch.Tensor) -> torch.Tensor | None:
    """The gradient on this rank, None where its rows are not whole here."""
    gradient: Any = parameter.grad
    if gradient is None or gradient.dim() < 2:
        return None
    if shards.is_sharded(gradient) and not all(one.is_replicate() or one.is_shard(0) for one in gradient.placements):
        return None
    here = shards.local_gradient(parameter)
    if here is None or shards.is_sharded(here):
        return None
    return here.detach().coalesce() if here.layout is torch.sparse_coo else here


def _column(counts: Sequence[Fetch], has: npt.NDArray[np.bool_], place: int) -> Fetch:
    def fetch() -> npt.NDArray[np.float64]:
        return np.where(has, sum(one()[:, place] for one in counts), np.nan)

    return fetch
