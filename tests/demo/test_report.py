"""The last screen: its figures are those of the gradients that were recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.demo.report import nonfinite, read_run, screen, worst_near_zero

from ..synthetic import Elements, Recording, measured

STEPS, NAMES = 100, ("alive", "dying", "dead")


def elements() -> Elements:
    """``[step, tensor, element]``: ten elements of ``dying`` vanish one after the other, all of ``dead`` are gone."""
    x = np.ones((STEPS, len(NAMES), 10))
    x[:, 1] = np.where(np.arange(10) < np.arange(STEPS)[:, None] // 10, 1e-12, 1.0)
    x[:, 2] = 0
    x[40, 0, :3] = np.nan, np.inf, -np.inf
    return x


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    Recording(measured(elements()), NAMES).write(tmp_path)
    return tmp_path


def test_trends_are_the_means_of_each_tenth_worst_first(recorded: Path) -> None:
    trends = worst_near_zero(read_run(recorded), count=2)
    assert [trend.name for trend in trends] == ["dead", "dying"]
    assert trends[0].tenths == (1.0,) * 10
    assert trends[1].tenths == pytest.approx(np.arange(10) / 10, abs=0.01)


def test_nonfinite_elements_are_counted(recorded: Path) -> None:
    assert nonfinite(read_run(recorded)) == 3


def test_the_screen_says_it(recorded: Path) -> None:
    said = screen({"dying": recorded})
    assert "dying: 100 steps, 3 tensors, 3 non-finite elements" in said
    line = next(line for line in said.splitlines() if line.startswith("  dying "))
    assert "0.00%" in line
    assert line.rstrip().endswith("%")


def test_no_events_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected event files with gradients in"):
        read_run(tmp_path)
