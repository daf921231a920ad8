"""Turns, medians and ratios against closed forms, with a clock that is told what to say."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.kernels import timing
from bench.kernels.timing import DeviceClock, HostClock, in_turns, noise, summarise


class Told:
    """A clock on which each call takes what the call returns, in seconds. It remembers the calls' order."""

    def __init__(self) -> None:
        self.order: list[float] = []

    def seconds(self, run: Callable[[], Any]) -> float:
        taken = float(run())
        self.order.append(taken)
        return taken


def test_each_turn_begins_with_another_contender_after_warm_ups() -> None:
    clock = Told()
    told = {"a": 0.1, "b": 0.2, "c": 0.3}
    seconds = in_turns({name: lambda s=s: s for name, s in told.items()}, clock, 4, lambda text: None)
    warm_ups = timing.WARM_UPS * len(told)
    assert clock.order[warm_ups:] == [0.1, 0.2, 0.3, 0.2, 0.3, 0.1, 0.3, 0.1, 0.2, 0.1, 0.2, 0.3]
    assert seconds == {name: dict.fromkeys(range(4), s) for name, s in told.items()}


def test_slow_contenders_have_fewer_turns_spread_over_all() -> None:
    told = {"fast": 0.1, "slow": 1.0, "slowest": 60.0}
    seconds = in_turns({name: lambda s=s: s for name, s in told.items()}, Told(), 30, lambda text: None)
    assert sorted(seconds["fast"]) == list(range(30))
    assert sorted(seconds["slow"]) == list(range(0, 30, 6))
    assert sorted(seconds["slowest"]) == [0, 10, 20]


def test_what_a_first_call_compiles_does_not_take_turns_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], [0]

    def run() -> None:
        calls[0] += 1
        now[0] += 100.0 if calls[0] == 1 else 0.1

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    seconds = in_turns({"compiled": run}, HostClock(), 20, lambda text: None)
    assert sorted(seconds["compiled"]) == list(range(20))
    assert list(seconds["compiled"].values()) == pytest.approx([0.1] * 20)


def test_noise_is_the_spread_of_the_second_time_over_the_first() -> None:
    roof = dict(enumerate([1.0, 2.0, 4.0, 8.0, 16.0]))
    again = dict(enumerate([0.9, 2.2, 4.0, 8.8, 19.2]))
    found = noise("sum again", again, roof)
    assert (found.name, found.ratio) == ("sum again", pytest.approx(1.1))
    assert (found.p10, found.p90) == (pytest.approx(0.94), pytest.approx(1.16))


def test_figures_are_percentiles_and_the_median_of_ratios_within_turns() -> None:
    roof = {0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0, 4: 16.0}
    seconds = {0: 3.0, 2: 8.0, 4: 160.0}
    figures = summarise(seconds, roof, 1000, 1e-7, {"extra": 12})
    assert (figures.median, figures.p10, figures.p90) == (8.0, pytest.approx(4.0), pytest.approx(129.6))
    assert figures.ratio == 3.0
    assert (figures.bytes_per_second, figures.turns, figures.error, figures.extra) == (125.0, 3, 1e-7, 12)
    assert summarise(seconds, None, 1000, 0.0, {}).ratio is None


def test_the_host_clock_calls_once_untimed_and_writes_over_the_cache_before_the_other_call() -> None:
    clock = HostClock()
    seen: list[int] = []
    for _ in range(2):
        assert clock.seconds(lambda: seen.append(int(clock._buffer[-1]))) > 0
    assert seen == [0, 1, 1, 2]
    assert clock._buffer.numel() >= 2 * timing.last_level_cache() >= 2**20


def test_the_device_clock_takes_what_lies_between_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            done.append("event")

        def elapsed_time(self, end: Event) -> float:
            assert end is not self
            return 12.5

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(L2_cache_size=2**20))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: done.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(timing, "HEAD_START", 2**29)
    clock = DeviceClock(torch.device("cpu"))
    assert clock._buffer.numel() == 2**28
    assert clock.seconds(lambda: done.append("run")) == 0.0125
    assert done == ["run", "synchronize", "event", "run", "event", "synchronize"]
