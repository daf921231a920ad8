"""How the command is called, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tb_gradhealth
from tb_gradhealth.cli.command import main, parser, steps
from tb_gradhealth.cli.status import HELP

from .conftest import environment, gradhealth

EXPORT = [sys.executable, "-m", "tb_gradhealth", "export"]


@pytest.mark.parametrize("arguments", [[], ["ls"], ["export"], ["diff"], ["verify"]])
def test_help_has_examples_and_the_exit_codes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "examples:\n  gradhealth " in said
    assert HELP in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gradhealth {tb_gradhealth.__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from tb_gradhealth.cli.command import parser; parser().format_help(); "
        "print(sorted({'torch', 'numpy', 'tensorboard', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["lst"], ["export"], ["verify"], ["export", "x", "--level", "1", "--width", "2"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: gradhealth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "interval"), [("2:5", (2, 5)), (":5", (None, 5)), ("2:", (2, None)), (":", (None, None))]
)
def test_steps(text: str, interval: tuple[int | None, int | None]) -> None:
    assert steps(text) == interval
    assert parser().parse_args(["export", "x", "--steps", text]).steps == interval


@pytest.mark.parametrize("text", ["5", "a:b", "1:2:3", "-1:5", "1.5:2"])
def test_wrong_steps(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "x", f"--steps={text}"])
    assert f"expected A:B, A: or :B in whole steps, got '{text}'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["export", "verify"])
def test_no_such_run_is_2_and_one_sentence(
    runs: Path, command: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([command, str(runs)]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert f"there are runs below it: {str(runs / 'deep' / 'exp2')!r}, {str(runs / 'exp1')!r}" in said.err


def test_without_torch_it_works(runs: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['triton'] = None\n"
        "from tb_gradhealth.cli.command import main\n"
        "print([main(['ls', sys.argv[1]]), main(['verify', sys.argv[1] + '/exp1']),"
        " main(['export', sys.argv[1] + '/exp1', '-o', '/dev/null'])])"
    )
    command = [sys.executable, "-c", program, str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.stdout.endswith("[0, 0, 0]\n"), done.stderr


def test_a_closed_pipe_ends_it_quietly(runs: Path) -> None:
    with subprocess.Popen(
        [*EXPORT, str(runs / "exp1")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED="1"),
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert done.stderr.read() == b""
        assert done.wait(60) == 141


def test_ctrl_c_ends_it_quietly_and_leaves_no_file(runs: Path, tmp_path: Path) -> None:
    program = (
        "import signal, os, tb_gradhealth.cli.formats as formats\n"
        "formats.Csv.write = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "import sys; from tb_gradhealth.cli.command import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "export", str(runs / "exp1"), "-o", str(tmp_path / "exp1.csv")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_the_letters_of_a_name(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "größe").symlink_to(runs / "exp1")
    done = gradhealth("verify", tmp_path / "größe", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe: " in done.stdout
