"""``gradhealth report`` and ``gradhealth check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tb_gradhealth.cli.command import main
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
    assert lines[4].split() == ["evidence", "not", "finite", "1", "(tensors,", "reference", "6)"]
    (heat,) = (line for line in lines if line.strip().startswith("embed "))
    assert heat.count("!") == 2
    assert '  bottleneck: streams=["spectrum"]' in lines


def test_report_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(runs / "exp1"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["worst"], told["steps"], told["streams"]) == ("critical", [0, STEPS], ["gradients"])
    first = told["findings"][0]
    assert (first["type"], first["node"], first["start"], first["rule"]) == ("NUMERICAL", "embed", 41, "nonfinite")
    assert first["evidence"] == [{"what": "not finite", "value": 1.0, "baseline": 6.0, "unit": "tensors"}]
    assert {
        "rule": "bottleneck",
        "type": "BOTTLENECK",
        "needs": ["spectrum"],
        "advice": 'streams=["spectrum"]',
    } in told["missing"]


@pytest.mark.parametrize(("level", "status"), [("critical", 1), ("notice", 1)])
def test_check_fails_on_what_is_grave_enough(
    runs: Path, capsys: pytest.CaptureFixture[str], level: str, status: int
) -> None:
    assert main(["check", str(runs / "exp1"), "--fail-on", level]) == status
    assert "critical NUMERICAL in embed, steps 41 to 69" in capsys.readouterr().out


def test_check_passes_where_the_settings_say_so(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "rules.toml"
    config.write_text('skip = ["nonfinite"]\n')
    healthy = tmp_path / "healthy"
    Recording(measured(gradients(30, 6))).write(healthy / "gradhealth")
    assert main(["check", str(healthy), "--fail-on", "critical", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{healthy}: passed, 30 steps\n"
    config.write_text("[rules.nonfinites]\n")
    assert main(["check", str(healthy), "--config", str(config)]) == 2
    assert "got 'nonfinites'" in capsys.readouterr().err


def test_names_from_a_file_cannot_command_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07.\u202eweight"
    run = planted()
    names = (hostile, *run.recording.names[1:])
    run.recording.again(names=names).write(tmp_path / "gradhealth")
    for command in (["report", str(tmp_path)], ["check", str(tmp_path)]):
        main(command)
        shown = capsys.readouterr().out
        assert "\\x1b]0;owned\\x07.\\u202eweight" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_the_commands_end_with_a_status_of_their_own(runs: Path) -> None:
    assert gradhealth("check", runs / "exp1").returncode == 1
    missing = gradhealth("report", runs / "nowhere")
    assert (missing.returncode, missing.stdout) == (2, "")
