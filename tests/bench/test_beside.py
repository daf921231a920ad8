"""Launches, waits and memory of a call: the logic alone, with stand-ins for what a GPU would answer."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.kernels import beside, ours, table
from bench.kernels.contender import Unavailable
from gradhealth_kernels.launch import StepRing

DEVICE = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch.cuda was told, in order."""
    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: told.append(mode))
    return told


def event(name: str, device: str, annotation: bool = False) -> Any:
    return SimpleNamespace(name=name, device_type=SimpleNamespace(name=device), is_user_annotation=annotation)


def test_kernels_are_counted_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("cudaLaunchKernel", "CPU"),
        event("chunk_entries", "CUDA"),
        event("Memcpy HtoD (Pinned -> Device)", "CUDA"),
        event("Memset (Device)", "CUDA"),
        event("a region", "CUDA", annotation=True),
        event("tensor_entries", "CUDA"),
    ]

    class Profile:
        def __init__(self, activities: list[Any]) -> None:
            assert activities == [torch.profiler.ProfilerActivity.CUDA]

        def __enter__(self) -> Profile:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def events(self) -> list[Any]:
            return events

    monkeypatch.setattr(torch.profiler, "profile", Profile)
    assert beside._launches(lambda: None, DEVICE) == 2


def test_a_call_that_makes_the_host_wait_is_found_and_the_mode_set_back(gpu: list[str]) -> None:
    def waits() -> None:
        raise RuntimeError("called a synchronizing CUDA operation")

    def fails() -> None:
        raise RuntimeError("out of memory")

    assert not beside._waits(lambda: gpu.append("run"), DEVICE)
    assert gpu == ["synchronize", "error", "run", "default", "synchronize"]
    assert beside._waits(waits, DEVICE)
    with pytest.raises(RuntimeError, match="out of memory"):
        beside._waits(fails, DEVICE)
    assert gpu[-2:] == ["default", "synchronize"]


def test_memory_on_the_host_is_what_came_on_top() -> None:
    if beside._host_memory(lambda: None) is None:
        pytest.skip("needs Linux's high-water mark and glibc")
    kept = np.ones(2**22)
    needed = beside._host_memory(lambda: kept * 2.0)
    assert needed is not None
    assert kept.nbytes * 0.9 < needed < kept.nbytes * 2


class Ring:
    """A StepRing whose kernels are proven after some steps, or given up with a warning."""

    def __init__(self, after: int, warning: str | None = None) -> None:
        self._after, self._warning, self.steps = after, warning, 0

    @property
    def fused(self) -> bool:
        return self.steps >= self._after

    def measure_gradients(self, slot: int, parameters: object) -> None:
        self.steps += 1
        if self._warning is not None and self.steps == 2:
            warnings.warn(self._warning, RuntimeWarning, stacklevel=1)


LATE = "plain torch is what ran: the fused kernels were not compared in time"


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        (Ring(after=3), None),
        (Ring(after=1000), LATE),
        (Ring(after=1000, warning="they disagree"), "plain torch is what ran: they disagree"),
        (StepRing(1, 1), LATE),
    ],
)
def test_ours_is_timed_only_where_the_fused_kernels_run(ring: Any, problem: str | None) -> None:
    parameters = [torch.nn.Parameter(torch.ones(3))]
    if problem is None:
        ours._prove(ring, parameters)
        assert ring.steps == 3
        return
    with pytest.raises(Unavailable, match=f"^{problem}$"):
        ours._prove(ring, parameters)


def test_a_table_of_a_gpu_shows_host_time_launches_and_waits() -> None:
    row = {
        **{"name": "ours", "computes": "all entries", "median": 0.00372, "p10": 0.0037, "p90": 0.0038},
        **{"bytes_per_second": 4.32e12, "ratio": 1.04, "turns": 50, "error": 3e-8, "extra": 0},
        **{"host_us": 123.4, "launches": 2, "waits": False},
    }
    waiting = {**row, "name": "eager", "launches": 2041, "waits": True, "ratio": None}
    case = {
        **{"name": "llama", "description": "Llama", "tensors": 291, "elements": 8_030_261_248, "dtype": "bfloat16"},
        **{"bytes": 16_060_522_496, "contenders": [row, waiting], "skipped": []},
    }
    lines = [" ".join(line.split()) for line in table.of_case(case, "cuda").splitlines()[2:]]
    assert lines[0].endswith(" extra MB host µs launches waits")
    assert lines[1] == "ours 3.72 3.70 … 3.80 4,320 1.04 50 3e-08 0.000 123 2 none all entries"
    assert lines[2] == "eager 3.72 3.70 … 3.80 4,320 50 3e-08 0.000 123 2041 waits all entries"
    assert "291 tensors, 8,030.3 M bfloat16, 16.06 GB" in table.of_case(case, "cuda")
