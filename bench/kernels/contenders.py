"""THE contenders: who is compared. The roof of a device reads as much and does as little as can be."""

from __future__ import annotations

from . import best, compiled, eager, launched, ours
from .contender import ALL_ENTRIES, Contender

OURS = "ours"
#: Device type → the contender that others are a multiple of.
ROOFS: dict[str, str] = {"cpu": "sum", "cuda": "read"}

CONTENDERS: tuple[Contender, ...] = (
    Contender(
        "read", "one word per chunk: a pure read", ("words",), launched.pure_read, devices=("cuda",), tolerance=0.0
    ),
    # In 16 bits torch rounds the sums that it returns, here and below, to 2^-9.
    Contender("sum", "x.sum()", ("total",), eager.total, tolerance=4e-3),
    Contender(OURS, "all entries", ALL_ENTRIES, ours.every_entry, tolerance=1e-5),
    # torch's norm on a CPU adds float32 in one chain: 1e8 elements give a norm that is 1 % off.
    Contender("foreach-norm", "L2 norm: torch._foreach_norm", ("norm",), eager.foreach_norm, tolerance=0.05),
    Contender(
        "clip",
        "L2 norm of the model, and scaling: clip_grad_norm_",
        ("norm",),
        eager.clip,
        whole=True,
        tolerance=0.05,
        spoils=True,
    ),
    Contender(
        "triton-norm",
        "L2 norm: a launch per tensor, atomics",
        ("total_sq",),
        launched.atomic_norm,
        devices=("cuda",),
        tolerance=1e-3,
    ),
    Contender("compile", "all entries: torch.compile, per tensor", ALL_ENTRIES, compiled.per_tensor),
    Contender(
        "compile-flat",
        "all entries of the model alone: torch.compile, one buffer",
        ALL_ENTRIES,
        compiled.flattened,
        whole=True,
        copies=1,
    ),
    Contender("eager", "all entries, read back: the fewest and fastest calls", ALL_ENTRIES, best.every_entry),
    Contender("naive", "nine expressions", eager.NINE, eager.nine, tolerance=1e-2),
)
