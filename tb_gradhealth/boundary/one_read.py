"""Clipping by a norm that comes from the reading which is recorded anyway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from gradhealth_kernels.launch import Unmeasured, multiply

from . import gradients
from .watch import APPLIED, Watch

if TYPE_CHECKING:
    from ..session import Session


def total_norm(watches: Sequence[Watch], session: Callable[[], Session | None]) -> torch.Tensor | None:
    """The L2 norm of all gradients, which are measured for it: one float64 on their device. None where torch must clip.

    ``session`` gives the one that records, which may come about only with the first measurement.
    """
    norms = []
    for watch in with_gradients(watches):
        ready, recording = watch.before_own_clip(), session()
        if not ready or recording is None:
            return None
        recording.show_unclipped()
        norm = recording.total_norm(watch, APPLIED)
        if norm is None:
            return None
        norms.append(norm)
    if len({norm.device for norm in norms}) != 1:
        return None
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def clip(watches: Sequence[Watch], session: Session, total: torch.Tensor, max_norm: float) -> bool:
    """Scales all gradients as ``torch.nn.utils.clip_grad_norm_`` does, without waiting for ``total``; True.

    Raises only before it has scaled any: torch's function can still do it then, and never on what is half scaled.
    """
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for place, watch in enumerate(with_gradients(watches)):
        try:
            session.scale(watch, APPLIED, factor)
        except Unmeasured as error:
            watch.monitor.report(str(error))
            continue
        except Exception as error:
            if place == 0:
                raise
            watch.monitor.report(f"{type(error).__name__}: {error}")
            multiply([parameter.grad for parameter in watch.parameters() if parameter.grad is not None], factor)
            continue
        watch.after_own_clip()
    return True


def with_gradients(watches: Sequence[Watch]) -> list[Watch]:
    return [watch for watch in watches if gradients.any_present(watch.parameters())]
