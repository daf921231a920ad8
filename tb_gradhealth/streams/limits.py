"""Where an activation function is at its limit: its gradient vanishes, and what is before it stops learning.

ReLU: its output is 0, and so is its derivative.

Tanh and sigmoid: the derivative is worked out from the output y, as 1 - y² and y·(1 - y). Just below 1 the values of
a dtype lie eps/2 apart (``torch.finfo``), so that y is known to eps/4, which leaves an error of up to eps/2 in 1 - y²
and of eps/4 in y·(1 - y). Within eps of the limit, |y| >= 1 - eps, these derivatives are at most 2·eps and eps: two
representable values and the limit are left, and the derivative has no correct digit to speak of. At the lower end of
the sigmoid y <= eps has the same derivative. In terms of the input that is |x| >= 8.3 (float32), 3.8 (float16) and 2.8
(bfloat16) for tanh, 15.9, 6.9 and 4.8 for the sigmoid.

GELU and SiLU: |x| > 3 of the input. Beyond, they are near 0 or near x: GELU's slope is within 0.012 of 0 or 1, SiLU's
within 0.089.

All others have no limit, or none that stops a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

#: Magnitude of the input beyond which GELU and SiLU are off.
INPUT_LIMIT = 3.0

Count = float | torch.Tensor
"""A number on the host, or one on a device that nobody waits for."""


@dataclass(frozen=True)
class Limit:
    """``of`` says whether the output's zeros, the output or the input is compared."""

    of: Literal["zeros", "output", "input"]
    function: Literal["relu", "tanh", "sigmoid", "gelu"]

    def count(self, tensor: torch.Tensor) -> Count:
        """Elements at the limit; not of "zeros", which every tensor's entries have."""
        eps = 0.0 if self.of == "input" else torch.finfo(tensor.dtype).eps
        if self.function == "gelu":
            low, high = -INPUT_LIMIT, INPUT_LIMIT
        elif self.function == "tanh":
            low, high = eps - 1, 1 - eps
        else:
            low, high = eps, 1 - eps
        if tensor.is_cpu:
            # Few are beyond, and extremes take a seventh of the time that comparing takes.
            least, largest = torch.aminmax(tensor)
            if bool(least > low) and bool(largest < high):
                return 0.0
        outside = (tensor < low) | (tensor > high) if self.of == "input" else (tensor <= low) | (tensor >= high)
        found = outside.sum()
        return float(found) if tensor.is_cpu else found


def limit_of(module: nn.Module) -> Limit | None:
    """None where there is no limit. By class, or by words in its name where that is not torch's."""
    called = type(module).__name__.lower()
    if isinstance(module, nn.ReLU) or called == "relu":
        return Limit("zeros", "relu")
    if isinstance(module, nn.Tanh):
        return Limit("output", "tanh")
    if isinstance(module, nn.Sigmoid):
        return Limit("output", "sigmoid")
    if isinstance(module, (nn.GELU, nn.SiLU)) or any(word in called for word in ("gelu", "silu", "swish")):
        return None if called.startswith("hard") else Limit("input", "gelu")
    return None
