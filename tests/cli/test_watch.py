"""``gradhealth watch``: in a process of its own, beside trainings that go on, end, and are killed."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tb_gradhealth.cli.command import main
from tb_gradhealth.cli.lines import Lines
from tb_gradhealth.cli.screen import ENTER, LEAVE
from tb_gradhealth.cli.sparkline import sparkline
from tb_gradhealth.diagnosis import diagnose
from tb_gradhealth.diagnosis.telling import where
from tests.planted import STEPS, planted

from .conftest import environment

SECONDS = 60.0

#: Never ends; from step 60 on every gradient is NaN.
TRAINING = """
import sys, time, torch
from tb_gradhealth import GradHealthWriter
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
GradHealthWriter(optimizer, model, logdir=sys.argv[1], every=5, streams=["updates"])
step = 0
while True:
    loss = model(torch.randn(8, 4)).square().mean() * (float("nan") if step >= 60 else 1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.gradhealth.log(loss=loss)
    optimizer.step()
    step += 1
    if step == 80:
        print("begun", flush=True)
    time.sleep(0.001 if step < 80 else 0.05)
"""


def started(*command: object) -> subprocess.Popen[str]:
    words = [sys.executable, *map(str, command)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_a_training_that_is_killed(tmp_path: Path) -> None:
    """The watch tells of the NaN while it goes on, and in the end what ``diagnose`` says."""
    run = tmp_path / "run"
    training = started("-c", TRAINING, run)
    others = [training]
    try:
        assert training.stdout is not None
        training.stdout.readline()
        others.append(watch := started("-m", "tb_gradhealth", "watch", run, "--every", "0.2", "--idle", "3"))
        assert watch.stdout is not None
        said = ""
        while "critical" not in said:
            line = watch.stdout.readline()
            assert line, watch.communicate()
            said += line
        assert training.poll() is None
        training.send_signal(signal.SIGKILL)
        training.wait(timeout=SECONDS)
        said += watch.communicate(timeout=SECONDS)[0]
    finally:
        for one in others:
            one.kill()
            one.communicate()
    assert watch.returncode == 1
    diagnosis = diagnose(run)
    *lines, last = said.splitlines()
    assert f"step {diagnosis.steps[1] - 1:,}" in last
    assert "NUMERICAL: a value that is not finite was used" in last
    found = [re.search(r"critical NUMERICAL in (.+), steps (60) to", line) for line in lines]
    assert [(one[1], int(one[2])) for one in found if one] == [
        (where(one), one.start) for one in diagnosis.findings if one.severity == "critical"
    ]


def test_a_run_that_has_ended(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(runs / "exp1"), "--config", os.devnull]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "critical NUMERICAL in embed, steps 41 to 69" in said[0]
    assert said[-1].startswith(f"{runs / 'exp1'}: finished, step {STEPS - 1}, loss ")


def test_the_run_written_last_of_a_directory(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seconds in (("a", 3e9), ("b", 1e9)):
        copied = shutil.copytree(runs / "deep" / "exp2" / "gradhealth", tmp_path / name)
        os.utime(next(copied.glob("*tfevents*")), (seconds, seconds))
    assert main(["watch", str(tmp_path), "--idle", "0"]) == 1
    assert f"{tmp_path / 'a'}: finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--idle", "0"], "nothing is recorded in"),
        (["--every", "0"], "--every: expected 0.1 seconds or more, got 0"),
    ],
)
def test_what_cannot_be_watched(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(tmp_path / "nowhere"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_training_can_be_ended_for_what_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While it goes on, and for nothing less."""

    def ended() -> None:
        watched.append(main(["watch", str(tmp_path), "--idle", "0", "--fail-on", "medium", "--config", str(config)]))

    watched: list[int] = []
    config = tmp_path / "rules.toml"
    config.write_text('[rules.nonfinite]\nseverity = "medium"\n')
    planted().recording.write(tmp_path / "gradhealth", together=3, between=ended)
    assert watched == [0, 0, 1, 1, 1]
    config.write_text('[rules.nonfinite]\nseverity = "low"\n')
    assert main(["watch", str(tmp_path), "--fail-on", "medium", "--config", str(config)]) == 0
    assert "low NUMERICAL in embed, steps 41 to 69" in capsys.readouterr().out


def test_a_finding_is_told_again_when_it_is_graver_or_another_phase(runs: Path) -> None:
    finding = diagnose(runs / "exp1").findings[0]
    changed = finding.__class__(**{**finding.__dict__, "severity": "medium", "start": 41, "stop": 50})
    lines = Lines()
    told = lines._is_new
    assert [told(changed), told(changed)] == [True, False]
    assert told(finding.__class__(**{**changed.__dict__, "severity": "high", "stop": 60}))
    assert not told(changed)
    assert told(finding.__class__(**{**changed.__dict__, "start": 90, "stop": 95}))
    lines._start_over(45)
    assert not told(changed)
    assert told(finding.__class__(**{**changed.__dict__, "start": 50, "stop": 95}))


def test_curves() -> None:
    assert sparkline([], 8) == ""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, float("nan"), float("inf"), 3.0], 4) == "▁ !█"
    assert sparkline([0, 2, 10, 12], 2) == "▁█"
    assert sparkline([5.0, 5.0], 8) == "▁▁"


class Terminal:
    """A process on a terminal of its own, and what it has shown there."""

    def __init__(self, *arguments: object, columns: int, rows: int) -> None:
        self._own, other = pty.openpty()
        self.resize(columns, rows)
        command = [sys.executable, "-m", "tb_gradhealth", *map(str, arguments)]
        variables = environment(TERM="xterm", PYTHONIOENCODING="utf-8")
        variables.pop("NO_COLOR", None)
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=variables, close_fds=True)
        os.close(other)
        self.shown = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text: str) -> str:
        """What comes up to ``text``."""
        end = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self._own], [], [], 1.0)[0]:
                try:
                    self.shown += os.read(self._own, 1 << 16).decode()
                except OSError as error:  # the other side is closed
                    raise AssertionError(self.shown) from error
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


class Killed(Exception):
    """In the place of a writer."""


def test_a_screen_in_its_place(tmp_path: Path) -> None:
    """A run begins, goes on, and is not ended."""
    rows = itertools.count()

    def killed() -> None:
        if next(rows) == 8:
            raise Killed

    terminal = Terminal("watch", tmp_path, "--every", "0.2", columns=100, rows=24)
    try:
        terminal.until(ENTER)
        terminal.until("waiting for a run to begin")
        with pytest.raises(Killed):
            planted().recording.write(tmp_path / "gradhealth", between=killed)
        terminal.until("\x1b[31mNUMERICAL: a value that is not finite was used, in embed, from step 41 on")
        terminal.until("Ctrl-C ends")
        picture = terminal.until("Ctrl-C ends")
        assert "step 89, loss 16, lr 0.5, " in picture
        assert re.search(r"loss +16 +█[▂▃▄▅▆▇█ ]+▁ +16 to 96.5", picture)
        assert re.search(r"embed .*!", picture)
        assert len(picture.splitlines()) <= 24
        terminal.resize(60, 8)
        sizes = (len(terminal.until("Ctrl-C ends").splitlines()) for _ in range(20))
        assert any(lines <= 8 for lines in sizes)
        terminal.process.send_signal(signal.SIGINT)
        after = terminal.until(LEAVE)
        assert "Traceback" not in after
        assert "NUMERICAL" in terminal.until("\n")
        assert terminal.process.wait(timeout=SECONDS) == 1
    finally:
        terminal.end()
