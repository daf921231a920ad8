"""Ranks agree on the step behind which all stop, whatever comes when: threads stand for ranks, and for what merges
their rows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch.distributed as dist

from tb_gradhealth.findings import Evidence, Finding
from tb_gradhealth.live import stopping
from tb_gradhealth.live.actions import Alarm, parse
from tb_gradhealth.live.stopping import Channel, Stopping
from tb_gradhealth.ranks import Membership

FINDING = Finding("EXPLODING", "critical", "", 3, 9, 8, (Evidence("loss", 31.2, 2.31, ""),), (), (), "", "loss_growth")


class Rank:
    """A training thread that makes steps, and one that merges: ``pause()`` seconds lie between what they do."""

    def __init__(self, me: Membership, pause: Callable[[], float], store: object = None) -> None:
        self.me = replace(me, store=store or me.store)
        self.alarm = Alarm(parse("stop"), lambda problem: None)
        self.stopping = Stopping(self.alarm, lambda: False)
        self.channel = self.stopping.channel()
        self.pause = pause
        self.waited = 0.0

    def train(self, steps: int) -> tuple[int, Finding] | None:
        """The step behind which it stopped, and why."""
        for step in range(steps):
            time.sleep(self.pause())
            began = time.monotonic()
            finding = self.stopping.due(step)
            self.waited = max(self.waited, time.monotonic() - began)
            if finding is not None:
                return step, finding
        return None

    def merge(self, times: int, highest: Callable[[int, bool], tuple[int, bool]]) -> None:
        for _ in range(times):
            time.sleep(self.pause())
            _, asked = highest(0, self.channel.asks())
            if asked:
                self.channel.agree(self.me, "room", lambda step: highest(step, False)[0])


class Highest:
    """A collective of threads."""

    def __init__(self, count: int) -> None:
        self._given: list[tuple[int, bool]] = []
        self._found = 0, False
        self._barrier = threading.Barrier(count, self._look)

    def _look(self) -> None:
        self._found = max(step for step, _ in self._given), any(asked for _, asked in self._given)
        self._given = []

    def __call__(self, step: int, asked: bool) -> tuple[int, bool]:
        self._given.append((step, asked))
        self._barrier.wait(20)
        return self._found


def together(count: int, pause: Callable[[int], float], steps: int = 400) -> list[Rank]:
    store = dist.HashStore()
    ranks = [
        Rank(Membership(store, tuple(range(count)), place), lambda place=place: pause(place)) for place in range(count)
    ]
    ranks[0].alarm.tell(FINDING)
    highest = Highest(count)
    with ThreadPoolExecutor(2 * count) as pool:
        merging = [pool.submit(rank.merge, 12, highest) for rank in ranks]
        ended = [pool.submit(rank.train, steps) for rank in ranks]
        for one in merging:
            one.result()
        stopped = [one.result() for one in ended]
    # At the same step on all, or, where they never could, on none.
    assert len(set(stopped)) == 1
    if stopped[0] is not None:
        assert stopped[0][1] == FINDING
        assert ranks[0].alarm.stop is None
    return ranks


def test_all_stop_behind_one_step_whatever_comes_when() -> None:
    for seed in range(24):
        dice = random.Random(seed)
        slow = [dice.choice([0.0, 1e-4, 2e-3]) for _ in range(3)]
        together(3, lambda place, dice=dice, slow=slow: dice.random() * slow[place])


def test_a_rank_that_does_not_promise_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopping, "PROMISE_SECONDS", 0.2)
    monkeypatch.setattr(stopping, "MAX_TRIES", 2)
    agree = Channel.agree

    def silent(self: Channel, me: Membership, room: str, highest: Callable[[int], int]) -> None:
        if me.place == 1:
            highest(0)
        else:
            agree(self, me, room, highest)

    monkeypatch.setattr(Channel, "agree", silent)
    ranks = together(2, lambda place: 1e-3)
    assert ranks[0].alarm.stop is None
    assert max(rank.waited for rank in ranks) < 1.0
    (line,) = caplog.messages
    assert line.startswith("on_finding: the training is not stopped, since not all ranks could promise to stop at one")


def test_a_loop_that_goes_on_is_stopped_again() -> None:
    one = Rank(Membership(dist.HashStore(), (0,), 0), lambda: 0.0)
    for number in range(3 * stopping.MAX_TRIES):
        one.alarm.tell(FINDING)
        one.merge(1, lambda step, asked: (step, asked))
        at = number * stopping.AHEAD - 1 + stopping.AHEAD
        assert [one.stopping.due(step) for step in (at - 1, at, at)] == [None, FINDING, None]


def test_where_the_store_is_gone_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("Connection reset by peer")

    alarm = Alarm(parse(None), lambda problem: None)
    asked = Stopping(alarm, lambda: False)
    channel, me = asked.channel(), Membership(Gone(), (0, 1), 1)
    channel.agree(me, "room", lambda step: 5)
    began = time.monotonic()
    assert [asked.due(step) for step in range(9)] == [None] * 9
    assert time.monotonic() - began < 0.1


@pytest.mark.parametrize("alone", [False, True])
def test_without_a_way_to_the_others_only_who_is_alone_stops(alone: bool, caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm(parse("stop"), lambda problem: None)
    one = Stopping(alarm, lambda: alone)
    alarm.tell(FINDING)
    assert one.due(0) == (FINDING if alone else None)
    assert one.due(1) is None
    assert len(caplog.messages) == (0 if alone else 1)


def test_it_is_asked_in_the_newest_session_alone() -> None:
    alarm = Alarm(parse("stop"), lambda problem: None)
    one = Stopping(alarm, lambda: False)
    alarm.tell(FINDING)
    old, new = one.channel(), one.channel()
    assert [old.asks(), new.asks(), old.asks()] == [False, True, False]
    old.close()
    assert one.due(0) is None
    assert alarm.stop == FINDING
    new.close()
    assert one.due(1) is None
    assert alarm.stop is None
