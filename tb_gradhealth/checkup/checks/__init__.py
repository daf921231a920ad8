"""THE list of checks, each declared with what it looks at."""

from __future__ import annotations

from ..check import Check
from . import answers, gradients, inputs, signal, start, training, values

CHECKS: tuple[Check, ...] = (
    *values.CHECKS,
    *inputs.CHECKS,
    *training.CHECKS,
    *start.CHECKS,
    *signal.CHECKS,
    *gradients.CHECKS,
    *answers.CHECKS,
)
