"""Kernels are used once they have agreed with plain torch, and who asks does not wait for that."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gradhealth_kernels.proof import Proof
from tests.triton_processes import interpret, needs_triton

CPU = torch.device("cpu")


class Device:
    """Stands in for a device's module: its events are over when it is told so, or when they are waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.idle, self.waits = False, 0
        monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace(Event=lambda: self))

    def record(self) -> None:
        pass

    def query(self) -> bool:
        return self.idle

    def synchronize(self) -> None:
        self.idle, self.waits = True, self.waits + 1


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)


def proof(answers: dict[str, Any]) -> tuple[Proof, list[str]]:
    """A proof that gives these answers, and the comparisons that it has begun."""
    begun: list[str] = []

    def compare(variant: str) -> torch.Tensor:
        begun.append(variant)
        if isinstance(answers[variant], Exception):
            raise answers[variant]
        return torch.tensor(answers[variant])

    return Proof(CPU, "count sheep", compare), begun


def test_each_variant_is_compared_once_and_polled_without_waiting(device: Device) -> None:
    asked, begun = proof({"one": True, "other": True})
    assert [asked.holds("one") for _ in range(3)] == [False] * 3
    device.idle = True
    assert [asked.holds("one") for _ in range(3)] == [True] * 3
    assert (asked.holds("other"), asked.holds("other")) == (False, True)
    assert begun == ["one", "other"]
    assert (asked.settled, device.waits) == ({"one", "other"}, 0)


def test_who_must_know_waits_once(device: Device) -> None:
    asked, begun = proof({"one": True})
    assert not asked.holds("one")
    assert asked.wait("one")
    assert asked.wait("one")
    assert (begun, device.waits) == (["one"], 1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (False, "count sheep on cpu, but they disagree with plain torch"),
        (OSError("no card"), "could not run .OSError: no card"),
    ],
)
def test_what_does_not_agree_is_given_up_with_all_variants_and_one_warning(
    device: Device, answer: Any, text: str
) -> None:
    asked, begun = proof({"one": True, "other": answer})
    assert asked.wait("one")
    with pytest.warns(RuntimeWarning, match=text):
        assert not asked.wait("other")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ask in (asked.holds, asked.wait):
            assert not ask("one")
            assert not ask("other")
    assert begun == ["one", "other"]


@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    interpret(Path(__file__).with_name("interpreted_proof.py"))
