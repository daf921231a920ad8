"""What the gradients of some parameters look like from outside: present or not, which objects, how often written."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch

Versions = list[int | None]
"""Of each gradient how often it was written in place; None where there is none, or nobody counts."""

Marks = tuple[list[int], Versions]
"""Which objects the gradients are, and their versions."""


def any_present(parameters: Sequence[torch.Tensor]) -> bool:
    return any(parameter.grad is not None for parameter in parameters)


def versions(parameters: Sequence[torch.Tensor]) -> Versions:
    gradients = [parameter.grad for parameter in parameters]
    return [None if g is None or g.is_inference() else g._version for g in gradients]


def marks(parameters: Sequence[torch.Tensor]) -> Marks:
    """Equal marks mean the same gradients with the same content, as far as torch was told of writes."""
    return [id(parameter.grad) for parameter in parameters], versions(parameters)


def first_dense(parameters: Sequence[torch.Tensor]) -> weakref.ref[torch.Tensor] | None:
    """The first dense gradient; unscaling may replace a sparse one."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.layout is torch.strided:
            return weakref.ref(gradient)
    return None
