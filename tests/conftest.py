"""Shared by all tests: property tests draw the same examples on every machine, and none has a stopwatch."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.demo.trained import Trained, train_both

settings.register_profile("tb_gradhealth", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("tb_gradhealth")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Both runs of the demo."""
    return train_both(tmp_path_factory.mktemp("demo"))
