"""The benchmark's GPU half: clocks, launches, waits and memory of a call, and the command on tiny cases."""

from __future__ import annotations

import pytest
import torch

from bench.kernels import command as kernels
from bench.kernels.contenders import CONTENDERS

from .tiny import TINY

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_every_contender_passes_and_has_all_figures() -> None:
    result = kernels.measure(TINY, CONTENDERS, torch.device("cuda", 0), repeats=3)
    assert len(result["cases"]) == len(TINY)
    for case in result["cases"]:
        rows = {row["name"]: row for row in case["contenders"]}
        skipped = {row["name"] for row in case["skipped"]}
        assert skipped == ({"clip"} if "nonfinite" in case["name"] else set())
        for row in rows.values():
            assert row["median"] > 0
            assert row["ratio"] > 0
            assert row["host_us"] > 0
            assert row["extra"] >= 0
            assert row["launches"] > 0
        assert rows["read"]["launches"] == 1
        assert rows["triton-norm"]["launches"] == case["tensors"] + 1  # and one that clears the sums
        assert rows["ours"]["launches"] == 2
        assert not rows["ours"]["waits"]
        assert rows["eager"]["waits"]
