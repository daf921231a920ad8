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

import pytest
import torch

from bench import fuzz
from gradhealth_kernels import reference
from gradhealth_kernels.statistics import Entries

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


def counts_the_first_element_of_three_chunks_twice(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
    found = fuzz.host(tensors, setting)
    found["zero"] += [tensor.numel() > 2 * setting.chunk for tensor in tensors]
    return found


def test_plain_torch_and_the_cpu_path_on_500_cases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "WAYS", {"plain torch": fuzz.plain, "CPU path": fuzz.host})
    assert fuzz.fuzz(options("--cases", "500")) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("500 cases, ")


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
    ways = {"CPU path": fuzz.host, "another": counts_the_first_element_of_three_chunks_twice}
    monkeypatch.setattr(fuzz, "WAYS", ways)
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
    monkeypatch.setattr(fuzz, "WAYS", {"CPU path": fuzz.host})
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
    assert last.endswith(" 0 differences")
