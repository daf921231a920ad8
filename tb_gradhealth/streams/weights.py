"""The weights as the optimizer finds them, and how many dimensions its matrices use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch.optim import Optimizer

from .stream import Sample, Source, Stream, later

WEIGHTS = Stream("weights", "Weights", "weight")
SPECTRUM = Stream("spectrum", "Weight spectrum", "weight", every=10, further=("rank", "rank_least", "matrices"))

#: Of a matrix with more rows and columns so many evenly spaced rows are looked at: 2·512² operations a column.
MAX_SIDE = 512


class Weights(Source):
    """The weights before each sampled step, so that the first row has them as they were before any."""

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        yield Sample(WEIGHTS, local)


class Spectrum(Source):
    """The participation ratio of each matrix: the number of singular values, if they were all alike. A kernel of a
    convolution is the matrix of its output channels by all else.

    It takes 2·min(m, n, 512)²·max(m, n) operations for an m × n matrix, so it is looked at in every tenth row alone.
    Only matrices that are whole on this rank have it; of one with more than 512 rows and columns it is that of 512
    evenly spaced rows.
    """

    every = SPECTRUM.every

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        matrices = [
            one if one is not None and one.shape == whole.shape and _is_matrix(one) else None
            for one, whole in zip(local, parameters, strict=True)
        ]
        if not any(matrix is not None for matrix in matrices):
            return
        ranks = [None if matrix is None else participation(matrix.flatten(1)) for matrix in matrices]
        device = next(rank.device for rank in ranks if rank is not None)
        missing = torch.full((), np.nan, dtype=torch.float64, device=device)
        found = torch.stack([missing if rank is None else rank.to(device, non_blocking=True) for rank in ranks])
        rank = later(found)

        def matrices_of() -> np.ndarray:
            return np.where(np.isnan(rank()), np.nan, 1.0)

        yield Sample(SPECTRUM, matrices, {"rank": rank, "rank_least": rank, "matrices": matrices_of})


def _is_matrix(tensor: torch.Tensor) -> bool:
    dense = tensor.is_floating_point() and not tensor.is_sparse
    return dense and tensor.dim() > 1 and min(tensor.shape[0], tensor.shape[1:].numel()) > 1


def participation(matrix: torch.Tensor) -> torch.Tensor:
    """(Σσ²)² / Σσ⁴ over the singular values σ: 1 for a matrix of rank 1, its smaller side for an orthogonal one.

    Of the Gram matrix G of the smaller side that is (tr G)² / ‖G‖², so no decomposition is needed; float64 of no
    dimension. Elements that are not finite count as 0; a matrix of zeros has rank 0.
    """
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    side = matrix.shape[0]
    if side > MAX_SIDE:
        matrix = matrix[torch.arange(MAX_SIDE, device=matrix.device) * side // MAX_SIDE]
    wide = matrix if matrix.dtype is torch.float64 else matrix.float()
    wide = torch.nan_to_num(wide, nan=0.0, posinf=0.0, neginf=0.0)
    # Squares of squares then neither overflow nor vanish.
    wide = wide / wide.abs().amax().clamp(min=torch.finfo(wide.dtype).tiny)
    gram = wide @ wide.T
    squares = gram.double().square().sum()
    return gram.diagonal().double().sum().square() / torch.where(squares > 0, squares, 1.0)
