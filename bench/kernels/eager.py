"""Contenders in eager PyTorch, as a training loop would write them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .contender import Prepared, column, columns, near_zero, saturated

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
