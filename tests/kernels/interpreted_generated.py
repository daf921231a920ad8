"""Generated cases for the fused kernels in Triton's interpreter. Run by ``test_generated.py``."""

from __future__ import annotations

from .generated import launches
from .interpreted import CPU, poisoned_memory, wrong

__all__ = ["poisoned_memory"]  # a fixture of each test here, too


def test_generated_cases() -> None:
    for setting, cases in launches(0, range(160), CPU):
        assert wrong(cases, setting.near_zero, setting.inverse_scale(CPU), chunk=setting.chunk) == {}, setting
