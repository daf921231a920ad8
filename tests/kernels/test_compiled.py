"""What ptxas makes of the kernels for sm_90, in a process where Triton does not interpret."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = ("float16", "bfloat16", "float32")
STREAMED = (*PLAIN, *(f"{name} scaled" for name in PLAIN))
KERNELS = (*STREAMED, "float64", "float64 scaled", "merge")


def triton_version() -> tuple[int, ...]:
    found = importlib.util.find_spec("triton") is not None
    return tuple(map(int, importlib.metadata.version("triton").split(".")[:2])) if found else ()


pytestmark = pytest.mark.skipif(triton_version() < (3, 3), reason="needs the compile interface of triton 3.3, on Linux")


@pytest.fixture(scope="module")
def kernels() -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.compiled"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_is_atomic_so_results_are_reproducible(kernels: dict[str, Any], name: str) -> None:
    operations = {opcode.split(".")[0] for opcode in kernels[name]["opcodes"]}
    assert "LDG" in operations
    assert operations & {"ATOM", "ATOMG", "ATOMS", "RED"} == set()


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_spills(kernels: dict[str, Any], name: str) -> None:
    """ptxas may reserve 8 bytes of stack that no instruction uses."""
    made = kernels[name]
    assert {opcode.split(".")[0] for opcode in made["opcodes"]} & {"STL", "LDL"} == set()
    assert made["local"] == 0
    assert made["stack"] <= 8
    assert made["registers"] <= (64 if name in STREAMED else 80)


@pytest.mark.parametrize("name", STREAMED)
def test_the_main_loop_loads_16_bytes_at_once(kernels: dict[str, Any], name: str) -> None:
    assert "LDG.E.128" in kernels[name]["opcodes"]
