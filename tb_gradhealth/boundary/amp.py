"""GradScaler, seen from the optimizer: it reads two of the optimizer's attributes, and the reader is the event.

Declaring ``_step_supports_amp_scaling`` would change what Accelerate, Lightning and ShardedGradScaler do. So the
optimizer answers with its own value, and takes note of who asks: ``GradScaler.step`` asks once when an attempt begins,
and ``_unscale_grads_`` walks ``param_groups``.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType

import torch
from torch.amp.grad_scaler import GradScaler, OptState

_STEP = GradScaler.step.__code__


def _unscaling() -> set[CodeType]:
    codes = {GradScaler._unscale_grads_.__code__}
    sharded = sys.modules.get("torch.distributed.fsdp.sharded_grad_scaler")
    if sharded is not None:
        codes.add(sharded.ShardedGradScaler._unscale_grads_.__code__)
    return codes


def scaler_that_steps(frame: FrameType) -> GradScaler | None:
    """The GradScaler whose ``step`` runs in ``frame``."""
    return frame.f_locals["self"] if frame.f_code is _STEP else None


def scaler_that_unscales(frame: FrameType) -> tuple[GradScaler, torch.Tensor] | None:
    """The GradScaler that is about to unscale in ``frame`` because the loop asked for it, and its factor."""
    if frame.f_code.co_name != "_unscale_grads_" or frame.f_code not in _unscaling():
        return None
    caller = frame.f_back
    if caller is None or caller.f_code is _STEP or (caller.f_back is not None and caller.f_back.f_code is _STEP):
        return None
    return frame.f_locals["self"], frame.f_locals["inv_scale"]


def stage(scaler: GradScaler, optimizer: object) -> OptState:
    """How far ``scaler`` is with ``optimizer`` since its last ``update()``."""
    state = scaler._per_optimizer_states.get(id(optimizer))
    return OptState.READY if state is None else state["stage"]


def inverse(scale: torch.Tensor) -> torch.Tensor:
    """1 / scale in the scaler's own arithmetic."""
    if scale.device.type == "mps":
        return scale.reciprocal()
    return scale.double().reciprocal().float()
