"""Options are refused before anything runs, and say what is right."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import machine, options


def refusal(kind: Callable[[str], Any], text: str) -> str:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        kind(text)
    return str(refused.value)


def test_a_file_that_can_be_written_is_not_made_yet(tmp_path: Path) -> None:
    new, old = tmp_path / "r.json", tmp_path / "old.PNG"
    old.write_text("kept")
    assert options.writable_file(str(new)) == new
    assert options.writable_png(str(old)) == old
    assert not new.exists()
    assert old.read_text() == "kept"
    assert options.writable_file("r.json") == Path("r.json")


def test_a_file_that_cannot_be_written_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "no" / "r.json"
    assert refusal(options.writable_file, str(missing)) == (
        f"expected a writable file, got {str(missing)!r}; there is no folder {str(missing.parent)!r}; make it or name "
        "another"
    )
    assert "it is a folder; name a file in it" in refusal(options.writable_file, str(tmp_path))
    old = tmp_path / "old.json"
    old.write_text("")
    # Whoever runs the tests as root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "it may not be written to" in refusal(options.writable_file, str(old))
    assert "no file may be made in" in refusal(options.writable_file, str(tmp_path / "new.json"))


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    text = str(tmp_path / "r.pdf")
    assert refusal(options.writable_png, text).startswith(f"expected a file that ends in .png, got {text!r};")


@pytest.mark.parametrize("devices", [0, 2])
def test_devices_are_those_that_torch_sees(devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    assert options.device("cpu") == torch.device("cpu")
    assert refusal(options.device, "cuda:2") == (
        f"expected a CUDA device that torch sees, got 'cuda:2'; it sees {devices}; --device cpu runs without one"
    )
    for text in ("tpu", "mps", "meta", ""):
        assert refusal(options.device, text).startswith(f"expected cpu, cuda or cuda:INDEX, got {text!r};")
    assert options.usual_device().type == ("cuda" if devices else "cpu")
    if devices:
        assert options.device("cuda") == torch.device("cuda", 0)
        assert options.device("cuda:1") == torch.device("cuda", 1)


def test_numbers_have_a_least() -> None:
    at_least_two = options.at_least(2)
    assert at_least_two("2") == 2
    for text in ("1", "-3", "2.5", "many"):
        assert refusal(at_least_two, text).startswith(f"expected a whole number from 2 on, got {text!r};")


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_counted_as_one_speaks(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert machine.describe()["torch"].endswith([", 1 thread", ", 2 threads"][threads - 1])


@pytest.mark.parametrize(("packed", "text"), [(True, "packed instructions"), (False, "plain")])
def test_a_gpu_comes_with_the_form_of_its_kernels(packed: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = argparse.Namespace(name="H200", major=9, minor=0, total_memory=141 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(machine, "packed_instructions", lambda device: packed and device.index == 0)
    assert machine.describe()["gpu"] == "H200, 141 GiB, sm_90"
    assert machine.describe()["kernels"] == text
