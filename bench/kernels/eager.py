"""Contenders in eager PyTorch, as a training loop would write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .contender import ALL_ENTRIES, Prepared, column, columns, near_zero, saturated
from .gate import Results

NINE: tuple[str, ...] = (
    "total",
    "total_sq",
    "total_abs",
    "largest",
    "zero",
    "near_zero",
    "saturated",
    "nan",
    "inf",
)
# torch's norms on the CPU add float32 without widening: over a long row they are off by per cents.
_ROW = 4096
_PIECE = 2**18

Figures = npt.NDArray[np.float64]
"""``[figure, tensor]``: largest |x|, sum, sum of |x|, norm, elements that are not 0, elements from the threshold on."""


def total(tensors: Sequence[torch.Tensor]) -> Prepared:
    """The roof on a CPU: one read, one sum."""

    def run() -> list[torch.Tensor]:
        return [x.sum() for x in tensors]

    return Prepared(run, lambda totals: column("total", torch.stack(totals)))


def nine(tensors: Sequence[torch.Tensor]) -> Prepared:
    """One expression per quantity. They stay tensors: ``.item()`` on each would wait for the device nine times."""
    eps, large = near_zero(tensors[0].dtype), saturated(tensors[0].dtype)

    def measure(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            x.sum(),
            (x * x).sum(),
            x.abs().sum(),
            x.abs().max(),
            (x == 0).sum(),
            (x.abs() < eps).sum(),
            (x.abs() >= large).sum(),
            x.isnan().sum(),
            x.isinf().sum(),
        )

    return Prepared(lambda: [measure(x) for x in tensors], lambda values: columns(NINE, values))


def foreach_norm(tensors: Sequence[torch.Tensor]) -> Prepared:
    listed: list[torch.Tensor] = list(tensors)
    return Prepared(
        lambda: torch._foreach_norm(listed, 2),
        lambda norms: column("norm", torch.stack(list(norms))),
    )


def clip(tensors: Sequence[torch.Tensor]) -> Prepared:
    """With a limit that no norm reaches: torch reads and writes all gradients then too, to multiply them by 1."""
    parameters = with_gradients(tensors)
    return Prepared(
        lambda: torch.nn.utils.clip_grad_norm_(parameters, max_norm=1e30), lambda norm: column("norm", norm.view(1))
    )


def with_gradients(tensors: Sequence[torch.Tensor]) -> list[torch.nn.Parameter]:
    """Parameters that have these gradients. They share their memory: nothing reads a parameter here."""
    parameters = [torch.nn.Parameter(x) for x in tensors]
    for parameter, x in zip(parameters, tensors, strict=True):
        parameter.grad = x
    return parameters


def best(tensors: Sequence[torch.Tensor]) -> Prepared:
    """All entries in the fewest and fastest calls: six figures per tensor, read back together.

    They settle the other entries where everything is finite and ordinary; a tensor where it is not is read again.
    """
    listed: list[torch.Tensor] = list(tensors)
    figures = _HostFigures(listed) if listed[0].is_cpu else _DeviceFigures(listed)
    sizes, large = np.array([x.numel() for x in listed]), saturated(listed[0].dtype)

    def run() -> Results:
        # The one time that the host waits.
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


class _DeviceFigures:
    """Norms for all tensors in few launches; a sum and two counts of each, for which torch has no such call."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._tensors = tensors
        # What hardshrink keeps is above the value below the threshold.
        self._below = _below(near_zero(tensors[0].dtype), tensors[0].dtype)

    def __call__(self) -> Figures:
        largest, sums_abs, norms = (
            torch._foreach_norm(self._tensors, order, dtype=torch.float32) for order in (float("inf"), 1, 2)
        )
        sums = [x.sum(dtype=torch.float32) for x in self._tensors]
        nonzero = [torch.count_nonzero(x) for x in self._tensors]
        far = [torch.count_nonzero(torch.nn.functional.hardshrink(x, self._below)) for x in self._tensors]
        return _stacked(largest, sums, sums_abs, norms, nonzero, far)


class _HostFigures:
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
    stacked = torch.stack([torch.stack(list(figure)).double() for figure in figures])
    values: Figures = stacked.cpu().numpy()
    return values


def _below(value: float, dtype: torch.dtype) -> float:
    return float(torch.nextafter(torch.tensor(value, dtype=dtype), torch.tensor(0.0, dtype=dtype)))
