"""Contenders that ``torch.compile`` fuses into one read: all entries of each tensor, or of one flat buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch

from .contender import ALL_ENTRIES, Prepared, Unavailable, columns, near_zero, saturated

Entries = tuple[torch.Tensor, ...]


def per_tensor(tensors: Sequence[torch.Tensor]) -> Prepared:
    """One graph for all sizes; where there is one size alone it is compiled for that, which is faster."""
    flat = [x.view(-1) for x in tensors]
    measure = _compiled(flat)
    return Prepared(lambda: [measure(x) for x in flat], lambda values: columns(ALL_ENTRIES, values))


def flattened(tensors: Sequence[torch.Tensor]) -> Prepared:
    """Entries of the whole model alone, from a buffer that holds all gradients already: copying them is not timed."""
    buffer = torch.cat([x.view(-1) for x in tensors])
    measure = _compiled([buffer])
    return Prepared(lambda: [measure(buffer)], lambda values: columns(ALL_ENTRIES, values))


def _compiled(tensors: Sequence[torch.Tensor]) -> Callable[[torch.Tensor], Entries]:
    """Compiled on the largest: what a compiler assumes of it holds for the others too.

    Squares are added in float64 only where float32 cannot hold one: knowing that beforehand favours the contender.
    """
    largest = max(tensors, key=torch.Tensor.numel)
    problem = _problem(largest.device)
    if problem is not None:
        raise Unavailable(problem)
    eps, large = near_zero(largest.dtype), saturated(largest.dtype)
    squares = torch.float64 if _overflows(tensors) else torch.float32
    dynamic = len({x.numel() for x in tensors}) > 1

    def measure(x: torch.Tensor) -> Entries:
        size = x.abs()
        finite = torch.where(x.isfinite(), x, 0.0).float()
        finite_size = finite.abs()
        return (
            torch.full((), x.numel(), dtype=torch.int64, device=x.device),
            (x == 0).sum(),
            (size < eps).sum(),
            (size >= large).sum(),
            x.isnan().sum(),
            (x == float("inf")).sum(),
            (x == -float("inf")).sum(),
            finite.sum(),
            finite_size.sum(),
            finite.to(squares).square().sum(),
            finite_size.max(),
        )

    # What other cases compiled counts towards a limit beyond which a graph is no longer compiled but run eagerly.
    torch.compiler.reset()
    compiled: Callable[[torch.Tensor], Entries] = torch.compile(measure, dynamic=dynamic, fullgraph=True)
    compiled(largest)
    return compiled


def _overflows(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether a finite element has a square that float32 cannot hold."""
    largest = [torch.where(x.isfinite(), x, 0.0).abs().max() for x in tensors]
    return bool((torch.stack(largest).float().square() == float("inf")).any())


@lru_cache
def _problem(device: torch.device) -> str | None:
    """Why torch.compile does not work here, None if it does."""
    try:
        torch.compile(lambda x: x + 1, dynamic=False)(torch.ones(8, device=device))
    # Whatever a missing compiler raises.
    except Exception as error:
        return f"torch.compile fails here: {str(error).strip().splitlines()[0]}"
    return None
