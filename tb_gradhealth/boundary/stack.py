"""What the call stack tells about a step: who is inside one, and whose it is."""

from __future__ import annotations

import sys
from typing import Any

from torch.optim import Optimizer

_HOOKED_STEP = Optimizer.profile_hook_step(lambda self: None).__code__


def steps_on_the_stack(optimizer: Any) -> int:
    """How often ``optimizer.step`` is on the call stack."""
    frame, calls = sys._getframe(2), 0
    while frame is not None:
        if frame.f_code is _HOOKED_STEP and (frame.f_locals.get("self") or frame.f_locals["args"][0]) is optimizer:
            calls += 1
        frame = frame.f_back  # type: ignore[assignment]
    return calls


def initialises_state(optimizer: Any) -> bool:
    """Whether this step is the one that distributed checkpoint makes, with gradients of zero, to have the optimizer
    allocate its state."""
    if optimizer.__dict__.get("state"):
        return False
    frame = sys._getframe(1)
    for _ in range(12):
        if frame.f_back is None:
            return False
        frame = frame.f_back
        if frame.f_code.co_name == "_init_optim_state":
            return str(frame.f_globals.get("__name__")).startswith("torch.distributed.")
    return False
