"""The ring: slots, absent tensors, hand-over, and the order of what happens on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels import device_ring, reference
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.device_ring import Copied, DeviceRing, Taken
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.pinned import PinnedRing
from gradhealth_kernels.statistics import ENTRIES, NEAR_ZERO, neutral

from .cases import DTYPES, differences, eight_bit, normal, of_dtype, views, with_specials

CPU = torch.device("cpu")


def test_slots_fill_and_are_handed_off_while_the_ring_goes_on() -> None:
    ring = StepRing(tensors=2, slots=3)
    steps = [[normal(100, torch.float32, scale), normal(50, torch.bfloat16, scale)] for scale in (1.0, 2.0, 3.0)]
    for slot, tensors in enumerate(steps):
        ring.measure(slot, tensors)
    taken = ring.take(3)
    ring.measure(0, [None, None])
    assert taken.ready()
    entries = taken.entries()
    assert entries.shape == (3, 2)
    for slot, tensors in enumerate(steps):
        for index, tensor in enumerate(tensors):
            assert differences(entries[slot, index], reference.measure(tensor)) == []
    assert (ring.take(1).entries() == neutral((1, 2))).all()


def test_what_is_absent_or_unmeasurable_is_neutral_and_named() -> None:
    ring = StepRing(tensors=4, slots=1)
    ring.measure(0, [normal(9, torch.float32) for _ in range(4)])
    ring.measure(0, [None, torch.ones(2, device="meta"), torch.arange(3), torch.ones(3)])
    entries = ring.take(1).entries()[0]
    assert (entries[:3] == neutral((3,))).all()
    assert entries[3]["count"] == 3
    assert sorted(ring.unmeasured) == [1, 2]
    assert "meta" in ring.unmeasured[1]
    assert "int64" in ring.unmeasured[2]


def test_the_threshold_is_the_rings() -> None:
    ring = StepRing(tensors=1, slots=1, near_zero=0.5)
    ring.measure(0, [torch.tensor([0.4, 0.5])])
    assert ring.take(1).entries()["near_zero"].tolist() == [[1]]


def test_it_works_under_inference_mode_and_with_another_default_device() -> None:
    with torch.inference_mode():
        ring = StepRing(tensors=2, slots=1)
        ring.measure(0, [torch.ones(3), torch.ones(5).bfloat16()])
    with torch.device("meta"):
        ring.measure(0, [torch.ones(3, device="cpu"), torch.ones(4, device="cpu").half()])
    assert ring.take(1).entries()["count"].tolist() == [[3, 4]]


def test_no_tensors_and_no_slots_taken() -> None:
    ring = StepRing(tensors=0, slots=2)
    ring.measure(1, [])
    assert ring.take(2).entries().shape == (2, 0)
    assert ring.take(0).entries().shape == (0, 0)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: StepRing(-1, 1), "at least 0 tensors and 1 slot, got -1 and 1"),
        (lambda: StepRing(1, 0), "at least 0 tensors and 1 slot, got 1 and 0"),
        (lambda: StepRing(1, 1, 0.0), r"positive finite near-zero threshold, got 0\.0"),
        (lambda: StepRing(1, 1, float("nan")), "positive finite near-zero threshold, got nan"),
        (lambda: StepRing(2, 3).measure(3, [None, None]), r"slot in \[0, 3\) and 2 tensors, got slot 3 and 2"),
        (lambda: StepRing(2, 3).measure(0, [None]), "2 tensors, got slot 0 and 1 tensors; pass None"),
        (lambda: StepRing(2, 3).take(4), "at most 3 slots, got 4"),
    ],
)
def test_misuse_is_told(act: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        act()


def test_plain_torch_measures_what_the_oracle_does_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradhealth_kernels.device.PIECE", 1000)
    cases = {str(dtype): with_specials(normal(5001, dtype)) for dtype in DTYPES}
    cases |= of_dtype(torch.float64) | views() | eight_bit()
    ring = DeviceRing(CPU, len(cases), 1, NEAR_ZERO)
    ring._buffers[0].fill_(-7)
    ring.measure(0, [(index, *prepare(tensor)) for index, tensor in enumerate(cases.values())])
    entries = Taken(neutral((1, len(cases))), [ring.copy(1)]).entries()[0]
    compared = {
        name: differences(got, reference.measure(tensor))
        for (name, tensor), got in zip(cases.items(), entries, strict=True)
    }
    assert {name: problems for name, problems in compared.items() if problems} == {}


class FakeStream:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def wait_stream(self, other: FakeStream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: FakeEvent) -> None:
        self.log.append(f"{self.name} waits for the event on {event.name}")


class FakeEvent:
    def __init__(self, log: list[str]) -> None:
        self.log, self.name, self.done = log, "", False

    def record(self, stream: FakeStream) -> None:
        self.name = stream.name

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.log.append(f"the host waits for the event on {self.name}")


class FakeModule:
    """Stands in for torch.cuda: its streams and events write down what is asked of them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.current = FakeStream(self.log, "main")

    def Stream(self) -> FakeStream:
        return FakeStream(self.log, "side")

    def Event(self) -> FakeEvent:
        return FakeEvent(self.log)

    def current_stream(self, device: torch.device) -> FakeStream:
        return self.current

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def said(self) -> list[str]:
        said = list(self.log)
        self.log.clear()
        return said


def test_streams_are_ordered_and_nothing_waits_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeModule()
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    monkeypatch.setattr(device_ring, "meter_for", lambda device, tensors, *options: PlainMeter(*options))
    ring = DeviceRing(CPU, 1, 2, NEAR_ZERO)
    items = [(0, torch.ones(3), 0)]

    ring.measure(0, items)
    assert module.said() == []
    copied = ring.copy(1)
    assert module.said() == ["side waits for main"]
    first = Taken(neutral((1, 1)), [copied])
    assert not first.ready()
    copied.event.done = True
    assert first.ready()

    ring.measure(0, [])
    assert module.said() == [], "the other buffer is free"
    second = Taken(neutral((1, 1)), [ring.copy(1)])
    module.said()
    ring.measure(0, items)
    assert module.said() == ["main waits for the event on side"], "the first buffer may still be copied"

    module.current = FakeStream(module.log, "other")
    ring.measure(1, items)
    assert module.said() == ["other waits for main"]

    assert first.entries()["count"].tolist() == [[3]]
    assert second.entries()["count"].tolist() == [[0]]
    assert module.said() == ["the host waits for the event on side"] * 2


def test_devices_merge_into_one_step() -> None:
    """A tensor may move between devices; where it is not, its entries are neutral."""
    host, other = neutral((1, 2)), torch.zeros((1, 2, len(ENTRIES)), dtype=torch.int64)
    record = reference.measure(torch.tensor([-3.0, 1.0]))
    host[0, 0] = record
    other[0, 1] = torch.from_numpy(np.array([record]).view(np.int64))
    copied = Copied(PinnedRing(CPU, (1, 2, len(ENTRIES))), other, 1, torch.cpu.Event())
    merged = Taken(host, [copied]).entries()
    assert (merged == np.array([[record, record]])).all()
