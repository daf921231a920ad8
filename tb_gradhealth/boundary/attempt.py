"""An attempt of an optimizer at a step, and how what we do about it is kept from the training loop."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import torch

from . import gradients

if TYPE_CHECKING:
    from .watch import Watch


@dataclass
class Attempt:
    """An attempt that has begun: something looked at the gradients before the optimizer's step."""

    step: int
    looked_at: weakref.ref[torch.Tensor] | None  # one of the gradients
    scale: torch.Tensor | None = None
    stepping: bool = False  # GradScaler.step has been entered
    applied: bool = False  # measured as they will be applied
    unclipped: bool = False  # measured as they were before clipping
    guessed: bool = False  # on the assumption that a scaler seen before is still in use
    left: gradients.Marks | None = None  # how our own clipping left the gradients, which it measured


P = ParamSpec("P")
R = TypeVar("R")


def guarded(method: Callable[Concatenate[Watch, P], R]) -> Callable[Concatenate[Watch, P], R | None]:
    """Nothing that goes wrong in ``method`` reaches the training loop; it is reported, and None returned."""

    def guarded(watch: Watch, /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return method(watch, *args, **kwargs)
        except Exception as error:
            watch.monitor.report(f"{type(error).__name__}: {error}")
            return None

    functools.update_wrapper(guarded, method)
    return guarded
