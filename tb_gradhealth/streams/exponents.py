"""How large the elements of gradients are: the histogram of log2 |x|, and what other number formats would lose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer

from gradhealth_kernels.exponent_table import LOSSES, SPANS, Loss, Span
from gradhealth_kernels.exponents import ExponentHistograms

from .. import shards
from ..boundary import amp
from .stream import Fetch, Sample, Source, Stream

KEPT: tuple[Loss | Span, ...] = (*LOSSES, *SPANS)
EXPONENTS = Stream(
    "exponents", "Exponents of gradients", "gradient", further=tuple(one.name for one in KEPT), usual=False
)
#: ``[kept, bin]``
_CHOSEN: npt.NDArray[np.int64] = np.array([one.chosen for one in KEPT], np.int64)


class Exponents(Source):
    """Of the gradients as the optimizer finds them at each sampled step, without a loss scale: one more read."""

    def __init__(self) -> None:
        self._histograms: ExponentHistograms | None = None

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        if self._histograms is None:
            self._histograms = ExponentHistograms(len(parameters))
        gradients = [
            None if own is None else shards.local_gradient(parameter)
            for parameter, own in zip(parameters, local, strict=True)
        ]
        # A GradScaler sets it on optimizers that unscale within their own step.
        scale = optimizer.__dict__.get("grad_scale")
        inverse = amp.inverse(scale) if isinstance(scale, torch.Tensor) else None
        counted = self._histograms.measure(gradients, inverse)

        @cache
        def kept() -> npt.NDArray[np.float64]:
            """``[kept, tensor]``; reading what was counted waits for a device."""
            chosen: npt.NDArray[np.float64] = (_CHOSEN @ counted.counts().T).astype(np.float64)
            return chosen

        further: dict[str, Fetch] = {one.name: partial(_row, kept, index) for index, one in enumerate(KEPT)}
        yield Sample(EXPONENTS, gradients, further, inverse_scale=inverse)


def _row(kept: Fetch, index: int) -> npt.NDArray[np.float64]:
    row: npt.NDArray[np.float64] = kept()[index]
    return row
