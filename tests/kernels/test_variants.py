"""The fused kernels' variants, in Triton's interpreter."""

from __future__ import annotations

from pathlib import Path

from tests.triton_processes import interpret, needs_triton


@needs_triton
def test_the_variants_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted_variants.py"))
