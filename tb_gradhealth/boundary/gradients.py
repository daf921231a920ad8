"""What the gradients of some parameters look like from outside: present or not, which objects, how often written."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch

Versions = list[int | None]
"""Of each gradient how often it was written in place; None where there is none, or nobody counts."""

Marks = tuple[list["weakref.ref[torch.Tensor] | None"], Versions]
"""Which objects the gradients are, and their versions."""


def any_present(parameters: Sequence[torch.Tensor]) -> bool:
    return any(parameter.grad is not None for parameter in parameters)


def versions(parameters: Sequence[torch.Tensor]) -> Versions:
    gradients = [parameter.grad for parameter in parameters]
    return [None if g is None or g.is_inference() else g._version for g in gradients]


def marks(parameters: Sequence[torch.Tensor]) -> Marks:
    """For :func:`unchanged`. An id would not do: that of a gradient that is gone is soon another's."""
    gradients = [parameter.grad for parameter in parameters]
    return [None if gradient is None else weakref.ref(gradient) for gradient in gradients], versions(parameters)


def unchanged(parameters: Sequence[torch.Tensor], marked: Marks) -> bool:
    """Whether these are the gradients that were marked, and nobody wrote to them since, as far as torch was told."""
    references, written = marked
    same = len(references) == len(parameters) and all(
        parameter.grad is (None if reference is None else reference())
        for parameter, reference in zip(parameters, references, strict=True)
    )
    return same and versions(parameters) == written


def first_dense(parameters: Sequence[torch.Tensor]) -> weakref.ref[torch.Tensor] | None:
    """The first dense gradient; unscaling may replace a sparse one."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.layout is torch.strided:
            return weakref.ref(gradient)
    return None
