"""The command in this process or in one of its own, and runs to use it on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted import written


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``exp1`` with an archive, ``deep/exp2`` without. Not to be written to."""
    root = tmp_path_factory.mktemp("runs")
    written(root / "exp1")
    written(root / "deep" / "exp2", archive=False)
    return root


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def gradhealth(*arguments: object, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "tb_gradhealth", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment(**more), cwd=cwd)
