"""The command: what it prints, writes and refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import __main__ as command
from bench.kernels import command as kernels
from bench.kernels.cases import CASES
from bench.kernels.contenders import CONTENDERS

from .tiny import TINY

CPU = torch.device("cpu")
TOLD = {"sum": 0.002, "ours": 0.005, "foreach-norm": 0.001}


class Told:
    """A clock that says what TOLD says, in the order of the contenders."""

    def __init__(self, device: torch.device) -> None:
        self._by_run: dict[int, str] = {}

    def seconds(self, run: Callable[[], Any]) -> float:
        name = self._by_run.setdefault(id(run), list(TOLD)[len(self._by_run) % len(TOLD)])
        run()
        return TOLD[name]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tiny case and three contenders in place of the registries, and a clock that is told the time."""
    monkeypatch.setattr(kernels, "CASES", TINY[:1])
    monkeypatch.setattr(kernels, "CONTENDERS", [c for c in CONTENDERS if c.name in TOLD])
    monkeypatch.setattr(kernels, "clock_for", Told)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


@pytest.mark.usefixtures("tiny")
def test_the_table_the_file_and_the_plot_hold_what_was_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    file, picture = tmp_path / "r.json", tmp_path / "r.png"
    command.main(["--device", "cpu", "--repeats", "3", "--json", str(file), "--plot", str(picture)])
    printed = capsys.readouterr().out
    size = TINY[0].bytes
    result = json.loads(file.read_text())
    (case,) = result["cases"]
    assert {row["name"]: row["median"] for row in case["contenders"]} == TOLD
    for row in case["contenders"]:
        assert row["ratio"] == pytest.approx(TOLD[row["name"]] / TOLD["sum"])
        assert row["bytes_per_second"] == pytest.approx(size / TOLD[row["name"]])
        assert row["turns"] == 3
        assert row["error"] < 1e-4
        assert row["host_us"] is row["launches"] is row["waits"] is None
    assert re.search(r"^  ours +5\.00 +5\.00 … 5\.00 +0\.\d+ +2\.50 +3 ", printed, re.MULTILINE)
    assert re.search(r"^  sum +2\.00 .* x\.sum\(\)$", printed, re.MULTILINE)
    assert "tiny-fp32: three tensors (3 tensors, 0.0 M float32, 0.0 MB)" in printed
    assert set(result["machine"]) >= {"processor", "torch", "triton", "numpy"}
    assert all(value in printed for value in result["machine"].values())
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("tiny")
def test_a_red_gate_is_an_error_without_any_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.kernels.eager.near_zero", lambda dtype: 1e-3)
    monkeypatch.setattr(kernels, "CONTENDERS", [c for c in CONTENDERS if c.name in ("sum", "naive")])
    with pytest.raises(SystemExit, match=r"the gate is red, no figure is printed: naive on tiny-fp32: near_zero of"):
        command.main(["--device", "cpu", "--json", str(tmp_path / "r.json")])
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_cases_that_do_not_fit_are_skipped_and_say_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.kernels.memory.available", lambda device: 30 * 10**9)
    big = [case for case in CASES if case.name.startswith("llama")]
    result = kernels.measure(big, [], CPU, repeats=1)
    reasons = {skipped["name"]: skipped["reason"] for skipped in result["skipped"]}
    assert reasons == {
        "llama-8b-bf16": "meant for cuda, needs 25.4 GB of memory: --case llama-8b-bf16 runs it here",
        "llama-8b-fp32": "needs 49.6 GB of memory, 30.0 GB are free",
    }
    assert all(reason in capsys.readouterr().out for reason in [reasons["llama-8b-bf16"]])


def test_contenders_that_cannot_run_are_skipped_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    result = kernels.measure(TINY[3:], [c for c in CONTENDERS if c.name in ("read", "sum", "clip")], CPU, repeats=1)
    (case,) = result["cases"]
    assert [row["name"] for row in case["contenders"]] == ["sum"]
    assert case["skipped"] == [
        {"name": "read", "reason": "runs on cuda alone"},
        {"name": "clip", "reason": "would overwrite gradients that are not finite with NaN"},
    ]
    assert "clip  skipped: would overwrite" in capsys.readouterr().out


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--list"])
    printed = capsys.readouterr().out
    for entry in (*CASES, *CONTENDERS):
        assert re.search(rf"^  {re.escape(entry.name)} ", printed, re.MULTILINE)
    command.main(["kernels", "--list"])
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--case", "gpt3"], r"--case: expected one of llama-8b-bf16, .*, got 'gpt3'; --list describes them"),
        (["--contender", "them"], r"--contender: expected one of read, sum, ours, .*, got 'them'"),
        (["--device", "tpu"], r"--device: expected cpu, cuda or cuda:INDEX, got 'tpu'"),
        (["--device", "mps"], r"--device: expected cpu, cuda or cuda:INDEX, got 'mps'"),
        (["--device", "cpu", "--repeats", "0"], r"--repeats: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments_say_what_is_right(arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit, match=text):
        command.main(arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none() -> None:
    with pytest.raises(SystemExit, match=r"expected a CUDA device, torch sees none here; --device cpu runs"):
        command.main(["--device", "cuda"])


def test_a_plot_without_matplotlib_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "bench.kernels.plot", raising=False)
    with pytest.raises(SystemExit, match=r"expected matplotlib, .* pip install 'tb-gradhealth\[bench\]'"):
        command.main(["--device", "cpu", "--plot", "never.png"])


def test_naming_contenders_keeps_the_roof_and_the_order() -> None:
    chosen = kernels._named("contender", CONTENDERS, ["naive", "ours"], always="sum")
    assert [contender.name for contender in chosen] == ["sum", "ours", "naive"]
    assert kernels._named("case", CASES, None) == list(CASES)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["-h"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^ +{name} ", printed, re.MULTILINE) for name in ("kernels", "overhead", "boundary", "fuzz"))
