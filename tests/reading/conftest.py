"""One recorded run, and what is true of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb_gradhealth import open_run
from tb_gradhealth.reading.opened import OpenRun
from tests.planted import Planted, written


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the run ``exp1`` in it. Not to be written to."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def truth(runs: Path) -> Planted:
    return written(runs / "exp1")


@pytest.fixture(scope="session")
def run(runs: Path, truth: Planted) -> OpenRun:
    return open_run(runs / "exp1")
