"""What goes into the model and what it is to answer: their scale, and how samples and features differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradhealth_kernels.statistics import NEAR_ZERO

from ..diagnosis.memory import Mask
from ..rows import Floats
from ..streams.inputs import figures
from .asking import TARGETS
from .leaves import is_dense, leaves
from .measuring import measure

#: A feature that varies by less than this share of its size is constant.
CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Features:
    """``[feature]`` each."""

    mean: Floats
    std: Floats
    minimum: Floats
    maximum: Floats

    @property
    def size(self) -> Floats:
        """The largest magnitude."""
        found: Floats = np.maximum(np.abs(self.minimum), np.abs(self.maximum))
        return found

    @property
    def varies(self) -> Mask:
        found: Mask = self.std > CONSTANT * self.size
        return found


@dataclass(frozen=True)
class Given:
    """A tensor of a batch, ``[sample, …]``. Of whole numbers only the range is known."""

    name: str
    tensor: torch.Tensor
    minimum: float
    maximum: float
    bad: int = 0  # elements that are not finite
    mean: float = math.nan
    std: float = math.nan
    beyond: float = math.nan  # share of |x| > 3
    dead: float = math.nan  # share of features that are 0 in all samples
    features: Features | None = None
    spread: float = math.nan  # across the batch, as a share of the RMS

    @property
    def floats(self) -> bool:
        return self.tensor.is_floating_point() or self.tensor.is_complex()


def look(name: str, tensor: torch.Tensor, channels_first: bool) -> Given:
    """Dense, and not empty."""
    tensor = tensor.detach()
    if tensor.dtype is torch.bool or not (tensor.is_floating_point() or tensor.is_complex()):
        low, high = (float(one) for one in torch.aminmax(tensor.to(torch.int64)))
        return Given(name, tensor, low, high)
    whole = measure([tensor])
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    samples = real.reshape(len(real) if real.dim() else 1, -1)
    beyond, count, dead, between, total, _, _ = figures(samples.float(), NEAR_ZERO).tolist()
    spread = math.sqrt(between / total) if len(samples) > 1 and total > 0 else math.nan
    return Given(
        name,
        tensor,
        float(whole.minimum[0]),
        float(whole.maximum[0]),
        int(whole.bad[0]),
        float(whole.mean[0]),
        float(whole.std[0]),
        beyond / samples.numel(),
        dead / count,
        _features(real, channels_first),
        spread,
    )


def _features(tensor: torch.Tensor, channels_first: bool) -> Features | None:
    """Of the last dimension, or of channels; None where there are none, or not two values of each."""
    if tensor.dim() < 2:
        return None
    rows = tensor.movedim(1 if channels_first and tensor.dim() > 2 else -1, 0).flatten(1).double()
    if rows.shape[1] < 2:
        return None
    least, largest = torch.aminmax(rows, dim=1)
    columns = (rows.mean(1), rows.std(1, correction=0), least, largest)
    return Features(*(one.cpu().numpy() for one in columns))


def split(batch: Any, given: dict[str, Any] | None) -> tuple[list[tuple[str, torch.Tensor]], ...]:
    """Inputs and targets, by name: inputs are what the model was called with, but for what is called like labels. Where
    it was not called as a whole the last part of a tuple is the target."""
    every = [(name or "input", one) for name, one in leaves(batch) if one.numel() and is_dense(one)]
    if given is None:
        last = f"{len(batch) - 1}" if isinstance(batch, (tuple, list)) and len(batch) > 1 else ""
        targets = [(name, one) for name, one in every if is_target(name) or name.partition(".")[0] == last]
        return [(name, one) for name, one in every if all(one is not other for _, other in targets)], targets
    inputs: list[tuple[str, torch.Tensor]] = []
    labels: list[tuple[str, torch.Tensor]] = []
    for name, one in leaves(given):
        if one.numel() and is_dense(one):
            (labels if is_target(name) else inputs).append((name, one))
    known = {one.data_ptr() for _, one in (*inputs, *labels)}
    return inputs, [*labels, *((name, one) for name, one in every if one.data_ptr() not in known)]


def is_target(name: str) -> bool:
    return name.rpartition(".")[2].lower() in TARGETS
