"""The best of eager PyTorch: all entries in the fewest and fastest calls, in the form that is the fastest on a case."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from .contender import ALL_ENTRIES, Prepared, near_zero, saturated
from .gate import Results

# torch's norms on the CPU add float32 without widening: over a long row they are off by per cents.
_ROW = 4096
_PIECE = 2**18
#: Calls that the choice of a form is made from.
_TRIALS = 3

Figures = npt.NDArray[np.float64]
"""``[figure, tensor]``: largest |x|, sum, sum of |x|, norm, elements that are not 0, elements from the threshold on."""


class Form(Protocol):
    """A way to the figures. The call reads them back, which is the one time that the host waits."""

    def __call__(self) -> Figures: ...


def every_entry(tensors: Sequence[torch.Tensor]) -> Prepared:
    """All entries from six figures per tensor, read back together.

    They settle the other entries where everything is finite and ordinary; a tensor where it is not is read again.
    """
    listed: list[torch.Tensor] = list(tensors)
    figures = fastest(forms(listed))
    sizes, large = np.array([x.numel() for x in listed]), saturated(listed[0].dtype)

    def run() -> Results:
        largest, sums, sums_abs, norms, nonzero, far = figures()
        entries = {name: np.zeros(len(listed)) for name in ALL_ENTRIES}
        entries |= {"count": sizes.astype(np.float64), "zero": sizes - nonzero, "near_zero": sizes - far}
        entries |= {"sum": sums, "sum_abs": sums_abs, "sum_sq": norms**2, "abs_max": largest}
        # False for NaN too. Squares that overflow or vanish do so in the norm.
        ordinary = (largest < large) & (norms < np.inf) & ((norms > 0) | (nonzero == 0))
        for index in np.flatnonzero(~ordinary):
            for name, value in _careful(listed[index]).items():
                entries[name][index] = value
        return entries

    return Prepared(run, lambda entries: entries)


def forms(tensors: list[torch.Tensor]) -> list[Form]:
    """Those that can be had for these tensors; which is the fastest depends on sizes and device."""
    found: list[Form]
    found = [OnHost(tensors)] if tensors[0].is_cpu else [OnDevice(tensors), OnDevice(tensors, compare=True)]
    sizes = {x.numel() for x in tensors}
    if len(tensors) > 1 and len(sizes) == 1 and max(sizes) <= _ROW:
        found.append(Joined(tensors))
    return found


def fastest(found: Sequence[Form]) -> Form:
    def seconds(form: Form) -> float:
        form()
        taken = []
        for _ in range(_TRIALS):
            begin = time.perf_counter()
            form()
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)

    return found[0] if len(found) == 1 else min(found, key=seconds)


class Joined:
    """Small tensors of one size side by side: one call for all of them."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._tensors = [x.view(-1) for x in tensors]
        self._below = _below(near_zero(tensors[0].dtype), torch.float32)

    def __call__(self) -> Figures:
        x = torch.stack(self._tensors).float()
        far = torch.nn.functional.hardshrink(x, self._below)
        figures = (
            torch.maximum(x.amax(1), -x.amin(1)),
            x.sum(1),
            torch.linalg.vector_norm(x, 1, dim=1),
            torch.linalg.vector_norm(x, 2, dim=1),
            torch.count_nonzero(x, dim=1),
            torch.count_nonzero(far, dim=1),
        )
        return _on_host(torch.stack([figure.double() for figure in figures]))


class OnDevice:
    """Norms for all tensors in few launches; a sum and two counts of each, for which torch has no such call.

    ``compare``: counts come from a norm of order 0 and two comparisons instead of ``count_nonzero``.
    """

    def __init__(self, tensors: list[torch.Tensor], compare: bool = False) -> None:
        self._tensors, self._compare = tensors, compare
        self._threshold = near_zero(tensors[0].dtype)
        # What hardshrink keeps is above the value below the threshold.
        self._below = _below(self._threshold, tensors[0].dtype)

    def __call__(self) -> Figures:
        largest, sums_abs, norms = (
            torch._foreach_norm(self._tensors, order, dtype=torch.float32) for order in (float("inf"), 1, 2)
        )
        sums = [x.sum(dtype=torch.float32) for x in self._tensors]
        nonzero, far = [self._nonzero(x) for x in self._tensors], [self._far(x) for x in self._tensors]
        return _stacked(largest, sums, sums_abs, norms, nonzero, far)

    def _nonzero(self, x: torch.Tensor) -> torch.Tensor:
        # A norm counts in float32, which is exact up to 2^24.
        if self._compare and x.numel() <= 2**24:
            counted: torch.Tensor = torch.linalg.vector_norm(x, 0, dtype=torch.float32)
            return counted
        return torch.count_nonzero(x)

    def _far(self, x: torch.Tensor) -> torch.Tensor:
        if self._compare:
            return (x >= self._threshold).sum() + (x <= -self._threshold).sum()
        return torch.count_nonzero(torch.nn.functional.hardshrink(x, self._below))


class OnHost:
    """The fastest calls on one core: 16 bits widened once, norms of short rows, comparisons into a kept buffer."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._tensors = [x.view(-1) for x in tensors]
        self._flags = torch.empty(max(x.numel() for x in tensors), dtype=torch.bool)
        self._threshold = near_zero(tensors[0].dtype)
        self._below = _below(self._threshold, torch.float32)

    def __call__(self) -> Figures:
        figures = [self._of(x if x.itemsize == 4 else x.float()) for x in self._tensors]
        return _stacked(*zip(*figures, strict=True))

    def _of(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        smallest, highest = torch.aminmax(x)
        largest = torch.maximum(highest, -smallest)
        return largest, x.sum(), _norm(x, 1), _norm(x, 2), torch.count_nonzero(x), self._far(x)

    def _far(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel() <= _ROW:
            return torch.count_nonzero(torch.nn.functional.hardshrink(x, self._below))
        flags = self._flags[: x.numel()]
        above = torch.count_nonzero(torch.ge(x, self._threshold, out=flags))
        return above + torch.count_nonzero(torch.le(x, -self._threshold, out=flags))


def _norm(x: torch.Tensor, order: int) -> torch.Tensor:
    if x.numel() <= _ROW:
        norm: torch.Tensor = torch.linalg.vector_norm(x, order)
        return norm
    body = x.numel() // _ROW * _ROW
    of_rows = torch.linalg.vector_norm(x[:body].view(-1, _ROW), order, dim=1).double()
    rest = torch.linalg.vector_norm(x[body:], order).double()
    joined: torch.Tensor = of_rows.sum() + rest if order == 1 else (of_rows.square().sum() + rest.square()).sqrt()
    return joined


def _stacked(*figures: Any) -> Figures:
    return _on_host(torch.stack([torch.stack(list(figure)).double() for figure in figures]))


def _on_host(figures: torch.Tensor) -> Figures:
    values: Figures = figures.cpu().numpy()
    return values


def _below(value: float, dtype: torch.dtype) -> float:
    return float(torch.nextafter(torch.tensor(value, dtype=dtype), torch.tensor(0.0, dtype=dtype)))


def _careful(x: torch.Tensor) -> dict[str, float]:
    """Every entry on its own, with sums over the finite elements in float64; on a CPU in pieces that stay in cache."""
    pieces = torch.split(x.view(-1), _PIECE if x.is_cpu else x.numel())
    found = torch.stack([_entries(piece) for piece in pieces]).cpu()
    values = [*found[:, :-1].sum(0).tolist(), float(found[:, -1].max())]
    return dict(zip(ALL_ENTRIES[1:], values, strict=True))


def _entries(x: torch.Tensor) -> torch.Tensor:
    """``[entry]`` in the table's order from "zero" on, the maximum last."""
    # The faster of two ways to count on either device.
    count: Any = torch.count_nonzero if x.is_cpu else torch.sum
    size = x.abs()
    finite = torch.where(x.isfinite(), x, 0.0).double()
    found = (
        count(x == 0),
        count(size < near_zero(x.dtype)),
        count(size >= saturated(x.dtype)),
        count(x.isnan()),
        count(x == float("inf")),
        count(x == -float("inf")),
        finite.sum(),
        finite.abs().sum(),
        finite.square().sum(),
        finite.abs().max(),
    )
    return torch.stack([value.double() for value in found])
