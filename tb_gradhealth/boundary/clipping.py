"""Opt-in: torch's clipping functions tell us before they clip.

While a writer with ``unclipped=True`` is open, the functions below are replaced in ``torch.nn.utils`` by ones that
first let it measure and then call the original; so loops in libraries, which call them there, are seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch._compile import _disable_dynamo

FUNCTIONS = ("clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_")
_MODULES = (torch.nn.utils, torch.nn.utils.clip_grad)

BeforeClip = Callable[[list[torch.Tensor]], None]
_observers: list[BeforeClip] = []
_originals: dict[tuple[Any, str], Any] = {}


def observe(before_clip: BeforeClip) -> None:
    """Call ``before_clip(parameters)`` before each clipping until :func:`forget`."""
    if not _observers:
        for module in _MODULES:
            for name in FUNCTIONS:
                original = getattr(module, name, None)
                if original is not None:
                    _originals[module, name] = original
                    setattr(module, name, _observed(original))
    _observers.append(before_clip)


def forget(before_clip: BeforeClip) -> None:
    """Undo :func:`observe`; the last one restores torch's functions, unless somebody replaced them meanwhile."""
    if before_clip not in _observers:
        return
    _observers.remove(before_clip)
    if not _observers:
        for (module, name), original in _originals.items():
            if getattr(getattr(module, name), "__wrapped__", None) is original:
                setattr(module, name, original)
        _originals.clear()


def _observed(original: Any) -> Any:
    @functools.wraps(original)
    def clip(parameters: torch.Tensor | Iterable[torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # inside a compiled function nobody can look
            return original(parameters, *args, **kwargs)
        listed = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        _tell(listed)
        return original(listed, *args, **kwargs)

    return clip


@_disable_dynamo
def _tell(parameters: list[torch.Tensor]) -> None:
    for before_clip in list(_observers):
        before_clip(parameters)
