"""The command: what it prints, writes and refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import __main__ as command
from bench.kernels import command as kernels
from bench.kernels.cases import CASES
from bench.kernels.contender import Prepared
from bench.kernels.contenders import CONTENDERS
from bench.kernels.gate import Truth

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
    assert case["noise"] == {"name": "sum again", "ratio": 1.0, "p10": 1.0, "p90": 1.0}
    assert "\n  sum again: 1.000 × roof, 1.000 … 1.000: " in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("tiny")
def test_a_red_gate_is_an_error_without_any_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.kernels.eager.near_zero", lambda dtype: 1e-3)
    monkeypatch.setattr(kernels, "CONTENDERS", [c for c in CONTENDERS if c.name in ("sum", "naive")])
    with pytest.raises(SystemExit, match=r"the gate is red, no figure follows: naive on tiny-fp32: near_zero of"):
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
    printed = capsys.readouterr().out
    assert all(reason in printed for reason in reasons.values())


def test_contenders_that_cannot_run_are_skipped_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    result = kernels.measure(TINY[3:4], [c for c in CONTENDERS if c.name in ("read", "sum", "clip")], CPU, repeats=1)
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
    ],
)
def test_wrong_arguments_say_what_is_right(arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit, match=text):
        command.main(arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--device", "tpu"], "argument --device: expected cpu, cuda or cuda:INDEX, got 'tpu'"),
        (["--repeats", "0"], "argument --repeats: expected a whole number from 1 on, got '0'"),
        (["--json", "no/such/folder/r.json"], "argument --json: expected a writable file, got"),
        (["--plot", "r.pdf"], "argument --plot: expected a file that ends in .png, got 'r.pdf'"),
    ],
)
def test_values_that_no_run_can_use_are_refused_at_once(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("fails", ["prepare", "run", "read", "second run"])
def test_a_contender_that_fails_is_skipped_and_the_others_go_on(fails: str) -> None:
    runs: list[bool] = []

    def failing(where: str) -> None:
        if where == fails:
            raise torch.OutOfMemoryError("no memory left\nadvice")

    def prepare(tensors: Sequence[torch.Tensor]) -> Prepared:
        failing("prepare")

        def run() -> None:
            failing("run")
            runs.append(True)
            failing("second run" if len(runs) > 1 else "")

        def read(values: Any) -> dict[str, Any]:
            failing("read")
            return {"total": Truth.of(tensors).entries["sum"]}

        return Prepared(run, read)

    of_sum = next(c for c in CONTENDERS if c.name == "sum")
    greedy = replace(of_sum, name="greedy", prepare=prepare)
    (case,) = kernels.measure(TINY[:1], [of_sum, greedy], CPU, repeats=1)["cases"]
    assert [row["name"] for row in case["contenders"]] == ["sum"]
    assert case["skipped"] == [{"name": "greedy", "reason": "OutOfMemoryError: no memory left"}]
    for needed in ("sum", "ours"):
        runs.clear()
        with pytest.raises(torch.OutOfMemoryError):
            kernels.measure(TINY[:1], [replace(greedy, name=needed)], CPU, repeats=1)


def test_without_a_terminal_there_is_a_line_per_case_and_phase(capsys: pytest.CaptureFixture[str]) -> None:
    kernels.measure(TINY[:2], [c for c in CONTENDERS if c.name == "sum"], CPU, repeats=1)
    names = [case.name for case in TINY[:2]]
    expected = [*(f"gate: {name}" for name in names), *(f"{name}: in turns" for name in names)]
    assert capsys.readouterr().err.splitlines() == expected


def test_an_interrupted_run_ends_with_a_line_and_the_usual_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "measure", measure)
    with pytest.raises(SystemExit) as ended:
        command.main(["--device", "cpu"])
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted: what was printed or saved until now holds"


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
