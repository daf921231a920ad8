"""A few runs of the ground, made once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.diagnosis.cells import Cell
from bench.diagnosis.making import Run, make
from tests.shared import once

SAMPLE = (
    Cell("development", "mlp", "plain", 1),
    Cell("development", "mlp", "clipping", 1),
    Cell("development", "mlp", "plain", 1, "nan_weight", "sudden"),
    Cell("development", "mlp", "plain", 1, "dead_units", "sudden"),
)


def sample(factory: pytest.TempPathFactory) -> list[Run]:
    """Not to be written to."""
    made: list[Run] = once(factory, "pathology", _make)
    return made


def _make(folder: Path) -> list[Run]:
    return make(SAMPLE, folder)
