"""Failures of the shared assertions tell both sides."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.examples.compare")
