"""The command line: defaults, and what it says to a wrong option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tb_gradhealth.demo.__main__ import FEWEST_STEPS, STEPS, parse


def test_defaults() -> None:
    options = parse([])
    assert (options.steps, options.port, options.no_serve) == (STEPS, 6006, False)
    assert re.fullmatch(r"demo-\d{8}-\d{6}", options.logdir.name)


def test_all_options(tmp_path: Path) -> None:
    options = parse(["--steps", "60", "--logdir", str(tmp_path / "new"), "--no-serve", "--port", "0"])
    assert (options.steps, options.logdir, options.port, options.no_serve) == (60, tmp_path / "new", 0, True)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert parse(["--logdir", str(tmp_path)]).logdir == tmp_path


@pytest.mark.parametrize("steps", ["0", "-3", "1.5", "many", str(FEWEST_STEPS - 1)])
def test_wrong_steps(steps: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([f"--steps={steps}"])
    assert caught.value.code == 2
    assert f"expected a number of steps, {FEWEST_STEPS} or more" in (said := capsys.readouterr().err)
    assert f"got '{steps}'" in said


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_wrong_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([f"--port={port}"])
    assert f"from 0 (any free one) to 65535, got '{port}'" in capsys.readouterr().err


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").touch()
    with pytest.raises(SystemExit):
        parse(["--logdir", str(tmp_path)])
    assert f"expected a new or empty folder, got {tmp_path}: choose another name" in capsys.readouterr().err
