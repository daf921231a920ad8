"""Triton decides at its first import whether it interprets kernels or compiles them: each in a process of its own."""

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

ROOT = Path(__file__).parents[1]


def _version() -> tuple[int, ...]:
    found = importlib.util.find_spec("triton") is not None
    return tuple(map(int, importlib.metadata.version("triton").split(".")[:2])) if found else ()


needs_triton = pytest.mark.skipif(not _version(), reason="needs triton, which Linux has")
needs_compiler = pytest.mark.skipif(_version() < (3, 3), reason="needs the compile interface of triton 3.3, on Linux")


def interpret(file: Path) -> None:
    """Asserts that all tests of ``file`` pass in the interpreter."""
    _run("pytest", "-q", "-p", "tests.interpreter", "-p", "no:cacheprovider", str(file), TRITON_INTERPRET="1")


def compiled(module: str) -> dict[str, Any]:
    """What ``module`` prints as JSON, with kernels that it compiles."""
    made: dict[str, Any] = json.loads(_run(module))
    return made


def _run(module: str, *arguments: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | variables
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
