"""THE cases: which gradients are measured. Sizes, dtype, addresses and rare values decide what one read costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from gradhealth_kernels.chunks import LARGEST

from .shapes import Shape, Shapes, gpt, llama_3_8b, many, resnet_50

#: Of every so many elements one is 0 and one below the near-zero threshold, so that no count is 0 by luck.
SPARSE = 64
#: Elements between those that are not finite: where chunks are the largest, one chunk in a hundred holds one.
POISONED = 100 * LARGEST


@dataclass(frozen=True)
class Case:
    """Gradients to measure. ``devices`` are those that the case is meant for; naming it runs it on any."""

    name: str
    description: str
    parameters: Shapes
    dtype: torch.dtype
    devices: tuple[str, ...] = ("cpu", "cuda")
    content: Literal["ordinary", "poisoned"] = "ordinary"
    misaligned: bool = False

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for _, shape in self.parameters)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements ``[tensor]``."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def elements(self) -> int:
        return sum(self.sizes)

    @property
    def bytes(self) -> int:
        return self.elements * self.dtype.itemsize

    @property
    def memory(self) -> int:
        """Bytes that a run needs: the gradients, a contender's temporaries for the largest of them, and some room."""
        return self.bytes * 5 // 4 + 4 * max(self.sizes) * self.dtype.itemsize + 2**30

    def tensors(self, device: torch.device) -> list[torch.Tensor]:
        """The gradients, the same values on each call: normal with a standard deviation of 1e-3, as training has it.

        Misaligned ones begin 1, 3, 5 or 7 elements behind a multiple of 16 bytes. Poisoned ones hold NaN and both
        infinities in turn, each tensor beginning with another, and the last one a saturated element that is finite:
        in a larger tensor its magnitude would hide what is wrong with a sum.
        """
        generator = torch.Generator(device).manual_seed(0)
        made = []
        for index, (shape, size) in enumerate(zip(self.shapes, self.sizes, strict=True)):
            offset = 2 * (index % 4) + 1 if self.misaligned else 0
            flat = torch.empty(size + offset, dtype=self.dtype, device=device)[offset:]
            flat.normal_(0.0, 1e-3, generator=generator)
            flat[::SPARSE] = 0.0
            flat[1::SPARSE] = 1e-9
            if self.content == "poisoned":
                for kind, value in enumerate((math.nan, math.inf, -math.inf)):
                    flat[(kind - index) % 3 * POISONED + LARGEST // 3 :: 3 * POISONED] = value
            made.append(flat.view(shape))
        if self.content == "poisoned":
            made[-1].view(-1)[LARGEST // 5] = torch.finfo(self.dtype).max
        return made


_GPT2 = gpt(width=768, layers=12, context=1024)
_SINGLE, _HALF = torch.float32, torch.bfloat16
_POISONED_SHAPES = (*many(1, 2**27), ("beside", (LARGEST,)))
_POISONED_TEXT = "1 % of the chunks not finite, one chunk saturated too"

CASES: tuple[Case, ...] = (
    Case("llama-8b-bf16", "Llama 3 8B", llama_3_8b(), _HALF, devices=("cuda",)),
    Case("llama-8b-fp32", "Llama 3 8B", llama_3_8b(), _SINGLE, devices=("cuda",)),
    Case(
        "gpt-1.3b-fp32",
        "GPT of 24 layers, width 2048",
        gpt(width=2048, layers=24, context=2048),
        _SINGLE,
        devices=("cuda",),
    ),
    Case("one-500m-fp32", "one tensor of 500 M elements", many(1, 500_000_000), _SINGLE, devices=("cuda",)),
    Case("one-100m-fp32", "one tensor of 100 M elements", many(1, 100_000_000), _SINGLE, devices=("cpu",)),
    Case("gpt2-fp32", "GPT-2 124M", _GPT2, _SINGLE),
    Case("resnet50-fp32", "ResNet-50", resnet_50(), _SINGLE),
    Case("small-10000-fp32", "10,000 tensors of 1 Ki elements", many(10_000, 1024), _SINGLE, devices=("cuda",)),
    Case("small-500-fp32", "500 tensors of 1 Ki elements", many(500, 1024), _SINGLE, devices=("cpu",)),
    Case("small-500-bf16", "500 tensors of 1 Ki elements", many(500, 1024), _HALF, devices=("cpu",)),
    Case("misaligned-bf16", "GPT-2 124M, tensors at odd element offsets", _GPT2, _HALF, misaligned=True),
    Case("nonfinite-fp32", _POISONED_TEXT, _POISONED_SHAPES, _SINGLE, content="poisoned"),
    Case("nonfinite-bf16", _POISONED_TEXT, _POISONED_SHAPES, _HALF, content="poisoned"),
)
