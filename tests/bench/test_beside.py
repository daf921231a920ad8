"""Launches, waits and memory of a call: the logic alone, with stand-ins for what a GPU would answer."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.kernels import beside, ours, table
from bench.kernels import command as kernels
from bench.kernels.contender import Unavailable
from gradhealth_kernels.launch import StepRing

from .tiny import TINY

DEVICE = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch.cuda was told, in order."""
    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: told.append(mode))
    return told


def event(name: str, device: str, annotation: bool = False) -> Any:
    """As kineto hands it out: what it says is asked for by calls."""
    kind = SimpleNamespace(name=device)
    return SimpleNamespace(name=lambda: name, device_type=lambda: kind, is_user_annotation=lambda: annotation)


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

        profiler = SimpleNamespace(kineto_results=SimpleNamespace(events=lambda: events))

    monkeypatch.setattr(torch.profiler, "profile", Profile)
    assert beside.launches(lambda: None, DEVICE) == 2
    del events[1], events[-1]
    assert beside.launches(lambda: None, DEVICE) is None


def test_a_profile_on_this_torch_has_what_is_asked_of_it() -> None:
    """The stand-ins above are what torch's own events look like."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(3).neg()
    kineto: Any = profile.profiler
    found = {event.name(): event for event in kineto.kineto_results.events()}
    assert found["aten::neg"].device_type().name == "CPU"
    assert found["aten::neg"].is_user_annotation() is False


def test_launches_are_counted_once_nothing_is_left_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    rows = {"name": "ours", "launches": None}

    def timed(case: Any, *given: Any) -> dict[str, Any]:
        done.append(f"times {case.name}")
        return {"name": case.name, "contenders": [dict(rows)]}

    def launches_of(case: Any, contenders: Any, rows: list[dict[str, Any]], *given: Any) -> None:
        done.append(f"launches {case.name}")
        rows[0]["launches"] = len(done)

    for name, stand_in in {"timed": timed, "launches_of": launches_of, "gate": lambda *given: None}.items():
        monkeypatch.setattr(kernels, name, stand_in)
    monkeypatch.setattr(kernels, "unfit", lambda *given: None)
    monkeypatch.setattr(kernels, "clock_for", lambda device: None)
    monkeypatch.setattr(table, "of_case", lambda *given: "")
    saved: list[Any] = []
    result = kernels.measure(TINY[:2], [], DEVICE, 1, save=saved.append)
    names = [case.name for case in TINY[:2]]
    assert done == [f"{what} {name}" for what in ("times", "launches") for name in names]
    assert [case["contenders"][0]["launches"] for case in result["cases"]] == [3, 4]
    assert saved[-1] is result


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
        (StepRing(1, 2), LATE),
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


def test_a_table_of_a_gpu_shows_host_time_and_waits_and_at_last_launches() -> None:
    row = {
        **{"name": "ours", "computes": "all entries", "median": 0.00372, "p10": 0.0037, "p90": 0.0038},
        **{"bytes_per_second": 4.32e12, "ratio": 1.04, "turns": 50, "error": 3e-8, "extra": 0},
        **{"host_us": 123.4, "launches": 2, "waits": False},
    }
    waiting = {**row, "name": "eager", "launches": 2041, "waits": True, "ratio": None}
    case = {
        **{"name": "llama", "description": "Llama", "tensors": 291, "elements": 8_030_261_248, "dtype": "bfloat16"},
        **{"bytes": 16_060_522_496, "contenders": [row, waiting], "skipped": []},
        "noise": {"name": "read again", "ratio": 1.01, "p10": 0.98, "p90": 1.0451},
    }
    lines = [" ".join(line.split()) for line in table.of_case(case, "cuda").splitlines()[2:]]
    assert lines[0].endswith(" extra MB host µs waits")
    assert lines[1] == "ours 3.72 3.70 … 3.80 4,320 1.04 50 3e-08 0.000 123 none all entries"
    assert lines[2] == "eager 3.72 3.70 … 3.80 4,320 50 3e-08 0.000 123 waits all entries"
    assert lines[3] == "read again: 1.010 × roof, 0.980 … 1.045: a difference within that is noise"
    unseen = {**case, "name": "other", "contenders": [{**row, "launches": None}]}
    assert table.of_launches([case, unseen]).splitlines()[2:] == ["  llama: ours 2, eager 2041", "  other: ours ?"]
    assert "291 tensors, 8,030.3 M bfloat16, 16.06 GB" in table.of_case(case, "cuda")
