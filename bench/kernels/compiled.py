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
    measure = _compiled(flat[0], dynamic=len({x.numel() for x in flat}) > 1)
    return Prepared(lambda: [measure(x) for x in flat], lambda values: columns(ALL_ENTRIES, values))


def flattened(tensors: Sequence[torch.Tensor]) -> Prepared:
    """Entries of the whole model alone, from a buffer that holds all gradients already: copying them is not timed."""
    buffer = torch.cat([x.view(-1) for x in tensors])
    measure = _compiled(buffer, dynamic=False)
    return Prepared(lambda: [measure(buffer)], lambda values: columns(ALL_ENTRIES, values))


def _compiled(x: torch.Tensor, dynamic: bool) -> Callable[[torch.Tensor], Entries]:
    problem = _problem(x.device)
    if problem is not None:
        raise Unavailable(problem)
    eps, large = near_zero(x.dtype), saturated(x.dtype)

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
            finite.square().sum(),
            finite_size.max(),
        )

    # What other cases compiled counts towards a limit beyond which a graph is no longer compiled but run eagerly.
    torch.compiler.reset()
    compiled: Callable[[torch.Tensor], Entries] = torch.compile(measure, dynamic=dynamic, fullgraph=True)
    return compiled


@lru_cache
def _problem(device: torch.device) -> str | None:
    """Why torch.compile does not work here, None if it does."""
    try:
        torch.compile(lambda x: x + 1, dynamic=False)(torch.ones(8, device=device))
    # Whatever a missing compiler raises.
    except Exception as error:
        return f"torch.compile fails here: {str(error).strip().splitlines()[0]}"
    return None
