"""What takes long to make is made once for all workers of pytest-xdist: by the one that asks first."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> Any:
    """What ``make(directory)`` returned to the first worker. It is pickled, and nobody else writes to ``directory``."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / f"{name}.pickle"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            directory = factory.mktemp(name)
            made.write_bytes(pickle.dumps(make(directory)))
        return pickle.loads(made.read_bytes())
