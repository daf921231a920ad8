"""The one fixture of this folder: what went into the rows, before it was coded."""

from __future__ import annotations

import pytest

from .recorded import Recording


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    return Recording(monkeypatch)
