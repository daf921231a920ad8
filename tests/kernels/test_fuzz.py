"""``python -m bench fuzz``: right paths pass, a wrong one is named with the command that shows it again."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from bench import fuzz
from bench.fuzz import Way, entries_by
from gradhealth_kernels import reference
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.elements import Item
from gradhealth_kernels.launch import multiply
from gradhealth_kernels.statistics import Entries, table

from .cases import differences
from .generated import Plan, Setting

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
COMMAND = """
import argparse
from bench import fuzz
parser = argparse.ArgumentParser()
fuzz.add_arguments(parser)
options = parser.parse_args()
options.run(options)
"""


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    fuzz.add_arguments(parser)
    return parser.parse_args(["--device", "cpu", *arguments])


HOST_WAYS = {"plain torch": Way(entries_by(fuzz.plain)), "CPU path": Way(entries_by(fuzz.host))}


def use(monkeypatch: pytest.MonkeyPatch, ways: dict[str, Way]) -> None:
    monkeypatch.setattr(fuzz, "ways", lambda device: ways)


def counts_the_first_element_of_three_chunks_twice(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
    found = fuzz.host(tensors, setting)
    found["zero"] += [tensor.numel() > 2 * setting.chunk for tensor in tensors]
    return found


class PlainPair:
    """Stands for the fused kernels, in plain torch. ``made`` are the pairs so far, as (signed, asm)."""

    made: ClassVar[set[tuple[bool, bool]]] = set()

    def __init__(
        self,
        device: torch.device,
        tensors: int,
        near_zero: float,
        chunk: int | None = None,
        signed: bool = False,
        asm: bool = False,
    ) -> None:
        self.meter, self.signed, self.asm = PlainMeter(near_zero, signed), signed, asm
        self.made.add((signed, asm))

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        self.items = items
        self.meter.measure(items, out, inverse_scale)

    def scale(self, out: torch.Tensor, factor: torch.Tensor) -> None:
        multiply([tensor for _, tensor, _ in self.items], factor)
        self.meter.measure(self.items, out)


class WrongMaximum(PlainPair):
    """Of packed kernels."""

    def measure(self, items: Sequence[Item], out: torch.Tensor, inverse_scale: torch.Tensor | None = None) -> None:
        super().measure(items, out, inverse_scale)
        if self.signed and self.asm:
            place = [entry.name for entry in table(True)].index("maximum")
            out[:, place] = torch.full((len(out),), 12345.0, dtype=torch.float64).view(torch.int64)


class WrongProducts(PlainPair):
    """As the written ones say themselves, but others than torch's."""

    def scale(self, out: torch.Tensor, factor: torch.Tensor) -> None:
        super().scale(out, factor * (1 + 1e-3))


class StaleEntries(PlainPair):
    """Those of what was there before."""

    def scale(self, out: torch.Tensor, factor: torch.Tensor) -> None:
        multiply([tensor for _, tensor, _ in self.items], factor)


def test_plain_torch_and_the_cpu_path_on_500_cases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, HOST_WAYS)
    assert fuzz.fuzz(options("--cases", "500")) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("500 cases, ")


def test_where_the_device_can_the_kernels_run_packed_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "FusedPair", PlainPair)
    monkeypatch.setattr(PlainPair, "made", set())
    assert fuzz.fuzz(options("--cases", "60")) == 0
    assert PlainPair.made == {(False, False), (True, False)}
    assert "packed" not in capsys.readouterr().out
    monkeypatch.setattr(fuzz, "packed_possible", lambda device: True)
    assert fuzz.fuzz(options("--cases", "60")) == 0
    assert PlainPair.made == {(signed, asm) for signed in (False, True) for asm in (False, True)}
    said = capsys.readouterr().out.splitlines()[-1]
    assert (
        "0 differences in 60 by plain torch; 60 by CPU path; 60 by fused kernels; 9 by fused kernels, signed;" in said
    )
    assert "; 60 by packed kernels; 9 by packed kernels, signed; " in said


@pytest.mark.parametrize(
    ("pair", "way", "entry"),
    [
        (WrongMaximum, "packed kernels, signed: ", "maximum: expected "),
        (WrongProducts, "packed kernels, in place: ", "product 0: expected "),
        (StaleEntries, "packed kernels, in place: ", "sum_abs: expected "),
    ],
)
def test_what_signed_and_in_place_ways_get_wrong_is_named(
    pair: type[PlainPair], way: str, entry: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "FusedPair", pair)
    monkeypatch.setattr(fuzz, "packed_possible", lambda device: True)
    assert fuzz.fuzz(options("--cases", "100")) == 1
    said = [line.strip() for line in capsys.readouterr().out.splitlines() if "expected" in line]
    assert any(line.startswith(way + entry) for line in said)
    if pair is WrongMaximum:
        assert all(line.startswith(way + entry) for line in said)
    else:
        assert all(", in place: " in line for line in said)


def test_the_cpu_path_where_its_own_blocks_are_the_chunks() -> None:
    for index in range(64):
        plan = Plan.of(1, index)
        plan = replace(plan, setting=replace(plan.setting, chunk=2**17))
        tensor, scale = plan.tensor(CPU), plan.setting.inverse_scale(CPU)
        expected = reference.measure(tensor, plan.setting.near_zero, scale)
        assert differences(fuzz.host([tensor], plan.setting)[0], expected) == [], plan.name


def test_a_wrong_way_is_named_with_what_shows_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = Way(entries_by(fuzz.host))
    use(monkeypatch, {"CPU path": right, "another": Way(entries_by(counts_the_first_element_of_three_chunks_twice))})
    assert fuzz.fuzz(options("--cases", "60", "--seed", "2")) == 1
    lines = capsys.readouterr().out.splitlines()
    said = [line.strip() for line in lines if "expected" in line]
    assert said
    assert all(line.startswith("another: zero: expected ") for line in said)

    again = next(line for line in lines if "again: " in line)
    arguments = shlex.split(again)[5:]
    name = arguments[-1]
    assert name in lines
    assert fuzz.fuzz(options(*arguments)) == 1
    assert capsys.readouterr().out.split("\n")[:3] == ["\rwrong: 1", "", name]
    use(monkeypatch, {"CPU path": right})
    assert fuzz.fuzz(options(*arguments)) == 0
    assert fuzz.fuzz(options("--only", "17")) == 0
    with pytest.raises(SystemExit, match=r"expected a case of seed 3, whose case \d+ is '\d+/.*'; give --seed too"):
        fuzz.fuzz(options("--seed", "3", "--only", name))
    with pytest.raises(SystemExit, match="begins with its number, got 'bits'"):
        fuzz.fuzz(options("--only", "bits"))


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton, which Linux has")
def test_without_a_gpu_the_command_starts_itself_in_the_interpreter() -> None:
    environment = {name: value for name, value in os.environ.items() if name != fuzz.INTERPRET}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--device", "cpu", "--cases", "8", "--batch", "4", "--seed", "1"],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("8 cases, ")
    assert " 0 differences in 8 by plain torch; 8 by CPU path; 8 by fused kernels; 2 by fused kernels, signed; " in last
