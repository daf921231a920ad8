"""The progress bar: one moving line on a terminal, about ten plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from tb_gradhealth.demo.progress import Progress
from tb_gradhealth.demo.train import Step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, steps: int) -> str:
    progress = Progress("dying", steps, stream)
    for number in range(steps):
        progress(Step(number, loss=3.0, seconds=0.5 * (number + 1)))
    return stream.getvalue()


@pytest.mark.parametrize("steps", [50, 137, 1000])
def test_elsewhere_than_on_a_terminal_each_tenth_is_a_line(steps: int) -> None:
    lines = shown(io.StringIO(), steps).splitlines()
    assert len(lines) == 10
    assert f"{steps}/{steps}" in lines[-1]
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_on_a_terminal_every_step_rewrites_the_line() -> None:
    written = shown(Terminal(), 50)
    assert written.count("\r") == 50
    assert written.count("\n") == 1
    assert written.endswith("\n")


def test_a_line_says_step_loss_speed_and_time_left() -> None:
    line = Progress("dying", 400, io.StringIO()).line(Step(99, loss=2.3456, seconds=50.0))
    assert line == "dying    [######..................] 100/400  loss 2.346  2.0 steps/s  2:30 left"
