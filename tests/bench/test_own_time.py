"""What the overhead's figures are made of: time of the monitor's own, and the summary of pairs."""

from __future__ import annotations

import math
import threading
import time

import pytest
import torch

from bench.overhead.own_time import Own, OwnTime, other_threads
from bench.overhead.summary import kind_of_interval, summarise
from bench.overhead.trainings import Block

CPU = torch.device("cpu")


def block(wall: float, own: float = 0.0, others: float = 0.0, cpu: float = 1.0) -> Block:
    return Block(wall=wall, cpu=cpu, own_cpu=own, own_wall=2 * own, own_device=own / 10, others_cpu=others)


def test_equal_pairs_have_an_interval_of_no_width() -> None:
    pair = block(0.2, own=0.01, cpu=0.1), block(0.21, own=0.013, others=0.002, cpu=0.11)
    summary = summarise([pair] * 5, on_device=False)
    assert (summary.bare_ms, summary.with_ms) == pytest.approx((200, 210))
    assert (summary.ratio, *summary.ratio_interval) == pytest.approx((1.05, 1.05, 1.05))
    assert (summary.own_loop, summary.own_threads) == pytest.approx((0.03, 0.02))
    assert (summary.own, *summary.own_interval) == pytest.approx((0.05, 0.05, 0.05))
    assert summary.host_ms == pytest.approx(6)
    on_device = summarise([pair] * 5, on_device=True)
    share = 0.0003 / 0.2
    assert (on_device.own_loop, on_device.own_threads) == pytest.approx((share, 0.002 / 0.2))
    assert (on_device.own, *on_device.own_interval) == pytest.approx((share,) * 3)


def test_of_fewer_than_six_pairs_the_range_is_given() -> None:
    # A bootstrap interval of own time would be narrower: all five draws are the costliest pair in 0.03 % of the ways.
    walls, own = (1.3, 1.0, 1.1, 1.05, 1.2), (0.2, 0.0, 0.1, 0.1, 0.1)
    blocks = [(block(1.0, cpu=2.0), block(wall, own=spent)) for wall, spent in zip(walls, own, strict=True)]
    summary = summarise(blocks, on_device=False)
    assert summary.pairs == 5
    assert kind_of_interval(summary.pairs) == "range"
    assert (summary.ratio, *summary.ratio_interval) == pytest.approx((1.1, 1.0, 1.3))
    assert (summary.own, *summary.own_interval) == pytest.approx((0.5 / 10, 0.0, 0.2 / 2))


def test_from_six_pairs_on_intervals_are_bootstrap_ones() -> None:
    # Drawn are as many of the one costly pair as a binomial of 6 and 1/6 says: up to 2 in 93.8 % of the ways, up to 3
    # in 99.1 %. The median needs three of it, halfway, or four, in 0.9 %.
    blocks = [(block(1.0, cpu=2.0), block(wall, own=wall - 1)) for wall in (1.0, 1.0, 1.0, 1.2, 1.0, 1.0)]
    summary = summarise(blocks, on_device=False)
    assert kind_of_interval(summary.pairs) == "95 % interval"
    assert (summary.ratio, *summary.ratio_interval) == pytest.approx((1.0, 1.0, 1.1))
    assert (summary.own, *summary.own_interval) == pytest.approx((0.2 / 12, 0.0, 3 * 0.2 / 12))


def test_own_time_is_a_share_of_totals() -> None:
    blocks = [(block(1.0, cpu=1.0), block(1.0, own=0.0)), (block(1.0, cpu=3.0), block(1.0, own=0.2))]
    assert summarise(blocks, on_device=False).own == pytest.approx(0.2 / 4)


def burn(seconds: float) -> float:
    """CPU seconds of this thread that were spent."""
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        math.factorial(200)
    return time.thread_time() - begin


def test_own_time_is_that_of_the_timed_calls() -> None:
    own = OwnTime(CPU)
    inside: list[bool] = []

    def call(seconds: float) -> float:
        inside.append(own.inside)
        return burn(seconds)

    begin = time.thread_time()
    spent = own.timed(call)(0.01) + own.timed(call)(0.01)
    limit = time.thread_time() - begin
    burn(0.05)
    taken = own.take()
    assert spent <= taken.cpu <= limit
    assert taken.wall > 0
    assert inside == [True, True]
    assert not own.inside
    assert own.take() == Own(0.0, 0.0, 0.0)


def test_a_call_that_raises_is_timed_too() -> None:
    own = OwnTime(CPU)
    with pytest.raises(ZeroDivisionError):
        own.timed(lambda: burn(0.01) / 0)()
    assert own.take().cpu >= 0.01
    assert not own.inside


class FakeEvent:
    """A CUDA event; the device advances 3 ms between records."""

    now = 0.0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        FakeEvent.now += 3.0
        self.at = FakeEvent.now

    def elapsed_time(self, end: FakeEvent) -> float:
        return end.at - self.at


def test_on_cuda_events_stand_around_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    own = OwnTime(torch.device("cuda"))
    for _ in range(2):
        own.timed(lambda: None)()
    assert own.take().device == pytest.approx(0.006)
    assert own.take().device == 0


def test_other_threads_are_read_by_their_own_clocks() -> None:
    spent: list[float] = []
    done, leave = threading.Event(), threading.Event()

    def work() -> None:
        burn(0.02)
        spent.append(time.thread_time())
        done.set()
        leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    done.wait()
    found = other_threads()
    leave.set()
    thread.join()
    assert thread.ident is not None
    assert found[thread.ident] >= spent[0] >= 0.02
    assert threading.get_ident() not in found
