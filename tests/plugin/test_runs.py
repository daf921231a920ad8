"""Runs out of a data provider: what cannot be read costs itself, and what was seen is not asked for twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.context import RequestContext

from tb_gradhealth.plugin import runs as module
from tb_gradhealth.plugin.runs import Runs, UnknownRun
from tb_gradhealth.store.format import Tag, metadata

from ..synthetic import SESSION, Recording, recorded

NAME = "exp/gradhealth"
RECORDING = Recording(recorded(60))
SCHEMA, PAYLOADS = RECORDING.schema.encode(), RECORDING.payloads()


@pytest.fixture(autouse=True)
def _listed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradhealth.plugin.runs.LISTED_SECONDS", 0.0)


@dataclass
class Event:
    step: int
    numpy: Any


class Provider:
    """The part of TensorBoard's data provider that is used, over a dictionary."""

    def __init__(self, refuse: Callable[[list[str]], bool] = lambda tags: False) -> None:
        self.data: dict[str, dict[str, list[Event]]] = {}
        self.refuse, self.reads = refuse, list[list[str]]()

    def put(self, tag: Tag, step: int, payload: bytes, run: str = NAME) -> None:
        event = Event(step, np.frombuffer(payload, np.uint8))
        self.data.setdefault(run, {}).setdefault(str(tag), []).append(event)

    def put_rows(self, count: int, run: str = NAME, per_segment: int = 1) -> None:
        self.put(Tag(SESSION, "gradients"), 0, SCHEMA, run)
        for number, payload in enumerate(PAYLOADS[:count]):
            self.put(Tag(SESSION, "gradients", 0, number // per_segment), 10 * number + 9, payload, run)

    def list_runs(self, context: Any, experiment_id: str) -> list[Any]:
        return [SimpleNamespace(run_name=name) for name in self.data]

    def list_tensors(self, context: Any, experiment_id: str, plugin_name: str) -> dict[str, dict[str, Any]]:
        return {
            run: {
                tag: SimpleNamespace(plugin_content=metadata(0, 0.0), max_step=max(event.step for event in events))
                for tag, events in tags.items()
            }
            for run, tags in self.data.items()
        }

    def read_tensors(
        self, context: Any, experiment_id: str, plugin_name: str, downsample: int, run_tag_filter: Any
    ) -> dict[str, dict[str, list[Event]]]:
        (run,), tags = run_tag_filter.runs, sorted(run_tag_filter.tags)
        self.reads.append(tags)
        if self.refuse(tags):
            raise RuntimeError("answer too large")
        return {run: {tag: events[:downsample] for tag, events in self.data[run].items() if tag in tags}}


def starts(runs: Runs) -> list[int]:
    found: list[int] = runs.get(None, "", NAME).timeline("gradients").sessions[0].cover(0).start.tolist()
    return found


def test_a_run_is_read_once_and_then_only_where_it_grew() -> None:
    provider = Provider()
    provider.put_rows(3)
    runs = Runs(provider)
    assert starts(runs) == starts(runs) == [0, 10, 20]
    assert len(provider.reads) == 1
    provider.put(Tag(SESSION, "gradients", 0, 3), 39, PAYLOADS[3])
    assert starts(runs) == [0, 10, 20, 30]
    assert provider.reads[1:] == [[str(Tag(SESSION, "gradients", 0, 3))]]


def test_answers_that_are_too_large_are_asked_for_in_parts() -> None:
    provider = Provider(refuse=lambda tags: len(tags) > 2)
    provider.put_rows(6)
    assert starts(Runs(provider)) == [0, 10, 20, 30, 40, 50]
    assert max(map(len, provider.reads)) == 7
    assert sum(len(tags) for tags in provider.reads if len(tags) <= 2) == 7


def test_a_tag_that_cannot_be_read_costs_itself() -> None:
    bad = str(Tag(SESSION, "gradients", 0, 2))
    provider = Provider(refuse=lambda tags: bad in tags)
    provider.put_rows(6)
    runs = Runs(provider)
    assert starts(runs) == [0, 10, 30, 40, 50]
    assert "could not be read; it is tried again" in runs.get(None, "", NAME).problems[0]
    provider.refuse = lambda tags: False
    assert starts(runs) == [0, 10, 20, 30, 40, 50]
    assert runs.get(None, "", NAME).problems == []


@pytest.mark.parametrize("tensor", [np.array([b"text"], object), np.frombuffer(PAYLOADS[1], np.int8)])
def test_tensors_that_are_no_bytes_are_damage(tensor: Any) -> None:
    provider = Provider()
    provider.put_rows(2)
    provider.data[NAME][str(Tag(SESSION, "gradients", 0, 1))][0].numpy = tensor
    runs = Runs(provider)
    assert starts(runs) == [0]
    assert "1 rows of session" in runs.get(None, "", NAME).problems[0]


def test_a_run_that_waited_is_ok_as_soon_as_it_has_rows_even_if_nobody_looked() -> None:
    provider = Provider()
    provider.put_rows(0)
    runs = Runs(provider)

    def status() -> str:
        (entry,) = runs.list(None, "")
        return entry.status

    assert status() == "waiting"
    assert runs.get(None, "", NAME).streams() == []
    assert status() == "waiting"
    provider.put(Tag(SESSION, "gradients", 0, 0), 9, PAYLOADS[0])
    assert status() == "ok"
    assert starts(runs) == [0]


def test_the_revision_that_is_listed_is_the_one_that_is_read() -> None:
    provider = Provider()
    runs = Runs(provider)
    last = 0
    for rows in range(1, 4):
        provider.data.clear()
        provider.put_rows(rows, per_segment=2)
        listed = runs.list(None, "")[0].revision
        assert runs.get(None, "", NAME).revision == listed > last
        last = listed


def test_rows_are_kept_for_the_runs_viewed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    for name in "abc":
        provider.put_rows(1, run=name)
    runs = Runs(provider)
    monkeypatch.setattr(module, "MAX_BYTES", 2 * runs.get(None, "", "a").nbytes)
    for name in "bac":
        runs.get(None, "", name)
    assert len(provider.reads) == 3
    runs.get(None, "", "b")
    assert len(provider.reads) == 4, "b was dropped for c"


def test_a_run_that_is_being_read_keeps_no_other_waiting() -> None:
    begun, answered = threading.Event(), threading.Event()

    def slow(tags: list[str]) -> bool:
        if threading.current_thread() is reader:
            begun.set()
            answered.wait(30)
        return False

    provider = Provider(refuse=slow)
    for name in "ab":
        provider.put_rows(1, run=name)
    runs = Runs(provider)
    reader = threading.Thread(target=lambda: runs.get(None, "", "a"))
    other = threading.Thread(target=lambda: (runs.get(None, "", "b"), answered.set()))
    reader.start()
    assert begun.wait(30)
    other.start()
    other.join(20)
    done = answered.is_set()
    answered.set()
    reader.join()
    other.join()
    assert done, "the other run was answered while the first was being read"


@pytest.mark.parametrize("name", ["", "exp", "../exp/gradhealth", "exp/gradhealth/"])
def test_only_names_that_were_listed_are_runs(name: str) -> None:
    provider = Provider()
    provider.put_rows(1)
    with pytest.raises(UnknownRun):
        Runs(provider).get(None, "", name)


@pytest.mark.parametrize(("module_of_provider", "calls"), [("tensorboard.data.grpc_provider", 1), ("elsewhere", 3)])
def test_what_tensorboards_own_providers_list_is_kept_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, module_of_provider: str, calls: int
) -> None:
    """Of another provider nothing is: it may list less for the next one who asks."""
    monkeypatch.setattr(module, "LISTED_SECONDS", 3600.0)
    provider = type("Own", (Provider,), {"__module__": module_of_provider})()
    provider.put_rows(2)
    asked = []
    list_tensors = provider.list_tensors
    monkeypatch.setattr(provider, "list_tensors", lambda *a, **k: asked.append(a) or list_tensors(*a, **k))
    runs = Runs(provider)
    for _ in range(3):  # TensorBoard makes a context for each request
        runs.get(RequestContext(), "", NAME)
    assert len(asked) == calls
