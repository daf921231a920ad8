"""The Triton contenders without a GPU: in the interpreter, and compiled for sm_90. Each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.kernels import launched

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton, which Linux has")


def output(arguments: list[str], **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | variables
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_contenders_in_the_interpreter() -> None:
    output(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "interpreted.py")], TRITON_INTERPRET="1")


@pytest.fixture(scope="module")
def kernels() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(output(["-m", "tests.bench.compiled"]))
    return made


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
