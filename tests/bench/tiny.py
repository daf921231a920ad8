"""Cases that take milliseconds, of the kinds that the registry has."""

from __future__ import annotations

import torch

from bench.kernels.cases import Case
from bench.kernels.shapes import many
from gradhealth_kernels.chunks import LARGEST

SHAPES = (("wide", (33, 70)), ("long", (9001,)), ("short", (7,)))

TINY: tuple[Case, ...] = (
    Case("tiny-fp32", "three tensors", SHAPES, torch.float32),
    Case("tiny-bf16", "three tensors", SHAPES, torch.bfloat16),
    Case("tiny-misaligned-bf16", "three tensors at odd element offsets", SHAPES, torch.bfloat16, misaligned=True),
    Case("tiny-nonfinite-fp32", "three tensors", many(3, LARGEST // 2), torch.float32, content="poisoned"),
    Case("tiny-nonfinite-bf16", "three tensors", many(3, LARGEST // 2), torch.bfloat16, content="poisoned"),
)
