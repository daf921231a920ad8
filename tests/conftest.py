"""Shared by all tests: property tests draw the same examples on every machine, and none has a stopwatch."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tb_gradhealth", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("tb_gradhealth")
