"""The Triton contenders without a GPU: in the interpreter, and compiled for sm_90. Each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.kernels import launched
from tests.triton_processes import compiled, interpret, needs_triton

pytestmark = needs_triton


def test_the_contenders_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted.py"))


@pytest.fixture(scope="module")
def kernels() -> dict[str, Any]:
    return compiled("tests.bench.compiled")


def test_the_pure_read_does_little_but_read(kernels: dict[str, Any]) -> None:
    reads = {name: made for name, made in kernels.items() if name.startswith("read")}
    assert len(reads) == 4
    for name, made in reads.items():
        assert (made["stack"], made["local"]) == (0, 0), name
        assert not {"ATOM", "ATOMG", "RED", "REDG"} & set(made["opcodes"]), name
        (main,) = (loop for loop in made["loops"] if "16" in loop["loaded"])
        assert set(main["loaded"]) == {"16"}, name
        # One addition for each 4 bytes is the least.
        assert main["instructions"] < 2 * main["loaded"]["16"] / 4, name


def test_the_roof_is_the_fastest_of_its_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[int, int]] = []
    reader: Any = SimpleNamespace(_device=None, run=lambda rows, warps: ran.append((rows, warps)))

    def seconds(run: Callable[[], object]) -> float:
        run()
        # One outlier must not decide.
        slow = {launched.SHAPES[2]: 1.0, launched.SHAPES[4]: 0.5 if len(ran) % 7 else 9.0}
        return slow.get(ran[-1], 2.0)

    monkeypatch.setattr(launched, "clock_for", lambda device: SimpleNamespace(seconds=seconds))
    assert launched._fastest(reader) == launched.SHAPES[4]
    assert set(ran) == set(launched.SHAPES)


def test_the_norm_of_the_usual_style_is_one(kernels: dict[str, Any]) -> None:
    assert {"ATOMG", "RED", "REDG"} & set(kernels["norm"]["opcodes"])
