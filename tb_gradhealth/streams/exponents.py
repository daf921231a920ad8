"""How large elements are: the histogram of log2 |x|, and what other number formats would lose."""

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
_FURTHER = tuple(one.name for one in KEPT)
GRADIENT_EXPONENTS = Stream("exponents", "Exponents of gradients", "gradient", further=_FURTHER, usual=False)
WEIGHT_EXPONENTS = Stream("weight_exponents", "Exponents of weights", "weight", further=_FURTHER, usual=False)
#: ``[kept, bin]``
_CHOSEN: npt.NDArray[np.int64] = np.array([one.chosen for one in KEPT], np.int64)


class Exponents(Source):
    """Of gradients or of weights as the optimizer finds them at each sampled step: one more read.

    Gradients count without a loss scale.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._histograms: ExponentHistograms | None = None

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        if self._histograms is None:
            self._histograms = ExponentHistograms(len(parameters))
        tensors, inverse = list(local), None
        if self._stream is GRADIENT_EXPONENTS:
            tensors = [
                None if own is None else shards.local_gradient(parameter)
                for parameter, own in zip(parameters, local, strict=True)
            ]
            # A GradScaler sets it on optimizers that unscale within their own step.
            scale = optimizer.__dict__.get("grad_scale")
            inverse = amp.inverse(scale) if isinstance(scale, torch.Tensor) else None
        counted = self._histograms.measure(tensors, inverse)

        @cache
        def kept() -> npt.NDArray[np.float64]:
            """``[kept, tensor]``; reading what was counted waits for a device."""
            chosen: npt.NDArray[np.float64] = (_CHOSEN @ counted.counts().T).astype(np.float64)
            return chosen

        further: dict[str, Fetch] = {one.name: partial(_row, kept, index) for index, one in enumerate(KEPT)}
        yield Sample(self._stream, tensors, further, inverse_scale=inverse)


def _row(kept: Fetch, index: int) -> npt.NDArray[np.float64]:
    row: npt.NDArray[np.float64] = kept()[index]
    return row
