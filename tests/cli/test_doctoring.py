"""``gradhealth doctor``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tb_gradhealth.cli import command
from tb_gradhealth.cli.command import main

SETUPS = """
import torch
from torch import nn

def healthy():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    batch = torch.randn(32, 8), torch.randint(3, (32,))
    return model, lambda: batch, nn.CrossEntropyLoss()

def sick():
    model, input_fn, loss_fn = healthy()
    model[0].weight.data[1, 2] = torch.nan
    model.add_module("\\x1b]0;owned\\x07", nn.Linear(3, 3))
    return model, input_fn, loss_fn

def raises():
    model, input_fn, loss_fn = healthy()
    return model, lambda: {}["no such batch"], loss_fn

def two():
    return healthy()[:2]

def no_batch():
    return healthy()[0], None, nn.CrossEntropyLoss()
"""


@pytest.fixture
def setups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "setups_of_a_test.py"
    path.write_text(SETUPS)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return path


def test_a_healthy_model(setups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", f"{setups}:healthy", "--fail-on", "notice"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Sequential: nothing is wrong before training, as far as one batch can tell"
    assert lines[2].startswith("parameters  195 in 4 tensors, 195 trained, 0 frozen, float32")
    assert [line.split()[0] for line in lines[-4:]] == ["layer", "0", "1", "2"]


def test_a_sick_one_as_json(setups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", f"{setups}:sick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["worst"], told["loss"]) == (False, "critical", None)
    by_rule = {one["rule"]: one for one in told["findings"]}
    assert by_rule["nonfinite_parameters"]["node"] == "0.weight"
    assert by_rule["nonfinite_parameters"]["evidence"][0]["value"] == 1
    assert by_rule["nonfinite"]["follows"] == "nonfinite_parameters"


def test_it_fails_on_what_is_grave_enough_and_names_cannot_command_a_terminal(
    setups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", f"{setups}:sick", "--fail-on", "critical"]) == 1
    shown = capsys.readouterr().out
    assert "\\x1b]0;owned\\x07" in shown
    assert not {"\x1b", "\x07"} & set(shown)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{}"], "expected package.module:function or path/to/file.py:function"),
        (["{}:nobody"], "has no function 'nobody'; it has healthy, sick, raises, two, no_batch"),
        (["{}.py:healthy"], "there is no file"),
        (["no.such.module:healthy"], "expected one that python -c 'import no.such.module' finds"),
        (["{}:two"], "expected a function that returns (model, input_fn, loss_fn)"),
        (["{}:two"], "got 2 values"),
        (["{}:no_batch"], "input_fn: expected a function that returns a batch, got NoneType"),
        (["{}:healthy", "--steps", "3"], "more together with optimizer="),
        (["{}:healthy", "--device", "xla:0"], "--device: 'xla:0' cannot be used here"),
        (["{}:healthy", "--device", "abacus"], "--device: expected a device such as cpu or cuda:0, got 'abacus'"),
    ],
)
def test_errors_say_what_was_expected(
    setups: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *(one.format(setups) for one in arguments)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert told in said.err


def test_what_the_users_function_raises_is_shown_in_full_and_no_finding(
    setups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", f"{setups}:raises", "--fail-on", "critical"]) == 2
    said = capsys.readouterr().err
    assert "setups_of_a_test.py" in said
    assert said.splitlines()[-1].endswith("raised KeyError: 'no such batch'")


def test_the_example_in_the_help_text_as_a_module_of_this_directory(
    setups: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = command._EXAMPLES["doctor"].partition("# exam.py\n")[2].partition("\nOne batch")[0]
    (setups.parent / "exam_of_a_test.py").write_text("\n".join(line[2:] for line in example.splitlines()))
    monkeypatch.chdir(setups.parent)
    assert main(["doctor", "exam_of_a_test:setup", "--fail-on", "low"]) == 0
    assert "4 tensors in the optimizer" in capsys.readouterr().out


def test_without_torch_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['torch'] = None; from tb_gradhealth.cli.command import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", program, "doctor", "exam.py:setup"]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "doctor needs PyTorch, which is not installed" in done.stderr
