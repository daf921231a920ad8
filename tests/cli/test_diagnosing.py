"""``gradhealth report`` and ``gradhealth check``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from gradhealth_kernels import metrics
from tb_gradhealth.cli.command import main
from tb_gradhealth.diagnosis import RULES
from tb_gradhealth.diagnosis.rule import Hit, View
from tests.planted import STEPS, planted
from tests.synthetic import Recording, gradients, measured

from .conftest import gradhealth


def test_report(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The planted run has NaN and infinities in ``embed`` in steps 41 and 64."""
    assert main(["report", str(runs / "exp1")]) == 0
    lines = capsys.readouterr().out.splitlines()
    name = runs / "exp1"
    assert lines[0] == f"{name}: NUMERICAL: a value that is not finite was used, in embed, from step 41 on"
    assert lines[2] == "critical NUMERICAL in embed"
    assert lines[3].split() == ["when", "steps", "41", "to", "69,", "seen", "at", "step", "49"]
    assert lines[4].split() == ["evidence", "not", "finite:", "1", "(of", "6", "tensors)"]
    (heat,) = (line for line in lines if line.strip().startswith("embed "))
    assert heat.count("!") == 2
    assert '  bottleneck: streams=["spectrum"]' in lines


def test_report_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(runs / "exp1"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["worst"], told["steps"], told["streams"]) == ("critical", [0, STEPS], ["gradients"])
    first = told["findings"][0]
    assert (first["type"], first["node"], first["start"], first["rule"]) == ("NUMERICAL", "embed", 41, "nonfinite")
    assert first["evidence"] == [{"what": "not finite", "value": 1.0, "baseline": None, "unit": "of 6 tensors"}]
    assert {
        "rule": "bottleneck",
        "type": "BOTTLENECK",
        "needs": ["spectrum"],
        "advice": 'streams=["spectrum"]',
    } in told["missing"]


def test_check_fails_on_what_is_grave_enough(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "rules.toml"
    run = str(runs / "exp1")
    assert main(["check", run]) == 1
    assert "critical NUMERICAL in embed, steps 41 to 69" in capsys.readouterr().out
    config.write_text('[rules.nonfinite]\nseverity = "medium"\n')
    assert main(["check", run, "--fail-on", "medium", "--config", str(config)]) == 1
    assert "medium NUMERICAL in embed" in capsys.readouterr().out
    assert main(["check", run, "--fail-on", "critical", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{run}: passed, {STEPS} steps\n"


def test_check_passes_where_the_settings_say_so(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "rules.toml"
    config.write_text('skip = ["nonfinite"]\n')
    healthy = str(runs / "exp1")
    assert main(["check", healthy, "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{healthy}: passed, {STEPS} steps\n"
    config.write_text("[rules.nonfinites]\n")
    assert main(["check", str(healthy), "--config", str(config)]) == 2
    assert "no rule 'nonfinites', perhaps 'nonfinite' was meant" in capsys.readouterr().err


def test_a_pattern_that_fits_nothing_is_told(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "rules.toml"
    config.write_text(
        '[rules.gradient_zeros.modules]\n"embed*" = { share = 0.2 }\n"*self_atn*" = { share = 0.2 }\n'
        '[rules.nonfinite]\nseverity = "low"\n'
    )
    said = "gradhealth: rules.gradient_zeros.modules: '*self_atn*' fits no tensor and no module that was recorded\n"
    for command in ("check", "report"):
        assert main([command, str(runs / "exp1"), "--config", str(config)]) == 0
        assert capsys.readouterr().err.endswith(said)


def test_names_from_a_file_cannot_command_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07.\u202eweight"
    run = planted()
    names = (hostile, *run.recording.names[1:])
    chosen = tuple(replace(one, name=hostile) if one.name == "norm" else one for one in run.recording.chosen)
    run.recording.again(names=names, chosen=chosen).write(tmp_path / "gradhealth")
    for command in (["report", str(tmp_path)], ["check", str(tmp_path)]):
        main(command)
        shown = capsys.readouterr().out
        assert "\\x1b]0;owned\\x07.\\u202eweight" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_the_commands_end_with_a_status_of_their_own(runs: Path) -> None:
    assert gradhealth("check", runs / "exp1").returncode == 1
    missing = gradhealth("report", runs / "nowhere")
    assert (missing.returncode, missing.stdout) == (2, "")


def test_what_was_not_looked_at_has_not_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Recording(measured(gradients(30, 6))).write(tmp_path / "healthy" / "gradhealth")

    def look(view: View) -> Iterable[Hit]:
        raise ValueError("no such layer")

    broken = replace(RULES[0], name="broken", look=look)
    monkeypatch.setattr("tb_gradhealth.cli.diagnosing.custom_rules", lambda: (broken,))
    assert main(["check", str(tmp_path / "healthy")]) == 2
    said = capsys.readouterr()
    assert "passed" not in said.out
    assert "rule broken: ValueError: no such layer" in said.err


def test_a_metric_that_was_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Recording(measured(gradients(30, 6)), chosen=metrics.select(["near_zero_fraction"]))
    run.write(tmp_path / "gradhealth")
    assert main(["report", str(tmp_path)]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.endswith(": metrics= with norm"))
    assert {"norm_jump", "norm_limits"} <= set(line.removesuffix(": metrics= with norm").strip().split(", "))


def test_what_follows_is_told_in_a_line_under_what_it_follows_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gradients that jump by a thousand in step 30, and are not finite in step 62; rows are of ten steps."""
    elements = gradients(80, 6)
    elements[30:] *= 1e3
    elements[62, 0, 0] = math.nan
    Recording(measured(elements)).write(tmp_path / "gradhealth")
    assert main(["report", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("in the whole model, from step 40 on, with 1 more that follows from it")
    assert lines[2] == "critical EXPLODING in the whole model"
    follow = [line.split()[1:3] for line in lines if line.startswith("  follows ")]
    assert follow == [["critical", "NUMERICAL"], ["notice", "EXPLODING"]]
    assert main(["check", str(tmp_path)]) == 1
    assert [line.split()[1:3] for line in capsys.readouterr().out.splitlines()] == [
        ["critical", "EXPLODING"],
        ["critical", "NUMERICAL"],
    ]


def test_a_run_of_one_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Recording(measured(gradients(1, 6))).write(tmp_path / "gradhealth")
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: passed, 1 step\n"
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}: nothing is wrong in 1 step, as far")
