"""The tensors in what functions take and return: tuples, dictionaries, dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from gradhealth_kernels.elements import WIDE

from ..streams.module_hooks import MAX_DEPTH


def leaves(value: Any, name: str = "", depth: int = MAX_DEPTH) -> Iterator[tuple[str, torch.Tensor]]:
    """Names such as ``1.mask`` and tensors, depth first; a tensor by itself is called ``name``."""
    if isinstance(value, torch.Tensor):
        yield name, value
        return
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, (tuple, list)):
        inside = enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
    if depth:
        for key, one in inside:
            yield from leaves(one, f"{name}.{key}" if name else str(key), depth - 1)


def has_numbers(tensor: torch.Tensor) -> bool:
    """Whether there are floating-point or complex numbers in it that torch works with: not those of eight bits, which
    have no arithmetic."""
    wide = tensor.dtype in WIDE or tensor.is_complex()
    return wide and is_dense(tensor) and tensor.numel() > 0


def is_dense(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_meta


def is_finite(value: Any) -> bool:
    return all(bool(tensor.isfinite().all()) for _, tensor in leaves(value) if has_numbers(tensor))


def moved(value: Any, device: torch.device) -> Any:
    """The same with all tensors on ``device``."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict) or (isinstance(value, Mapping) and callable(getattr(value, "to", None))):
        # What tokenizers return can be moved as a whole.
        to = getattr(value, "to", None)
        return to(device) if callable(to) else {key: moved(one, device) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(one, device) for one in value))
    if isinstance(value, (tuple, list)):
        return type(value)(moved(one, device) for one in value)
    return value
