"""Findings where several ranks train: one of them has and tells them, and all stop behind the same step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb_gradhealth import open_run
from tb_gradhealth.diagnosis import diagnose
from tb_gradhealth.live.actions import TrainingStopped

from .launch import logs, run
from .stopped import STEPS, Ended, train


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Directory with the results, and the exit codes."""
    directory = tmp_path_factory.mktemp("stopped")
    return directory, run(train, 2, directory, timeout=60)


@pytest.mark.parametrize("name", ["Sharing", "Sharded", "Uneven"])
def test_all_ranks_stop_behind_one_step(name: str, ended: tuple[Path, list[int]]) -> None:
    directory, _ = ended
    first, second = Ended.load(directory, name)
    assert first.finding is not None
    assert first.finding == second.finding
    assert first.steps == second.steps > first.finding.detected
    assert first.differing == second.differing == []
    assert first.problems == second.problems == 0


@pytest.mark.parametrize("name", ["Sharing", "Sharded"])
def test_one_rank_has_the_findings_that_the_files_show(name: str, ended: tuple[Path, list[int]]) -> None:
    directory, _ = ended
    first, second = Ended.load(directory, name)
    offline = diagnose(directory / name)
    assert offline.problems == ()
    assert first.findings == offline.findings == open_run(directory / name).findings
    assert len({(one.rule, one.type, one.node, one.start) for one in first.told}) == len(offline.findings)
    assert first.logged
    assert second.findings == ()
    assert second.told == second.logged == []


def test_a_rank_that_cannot_reach_the_others_stops_nothing(ended: tuple[Path, list[int]]) -> None:
    first, second = Ended.load(ended[0], "Alone")
    assert (first.steps, second.steps) == (STEPS, STEPS)
    assert first.finding is second.finding is None
    said = [line for line in first.logged if "the training is not stopped" in line]
    assert said
    for line in said:
        assert line.startswith("ERROR on_finding: the training is not stopped, since the ranks do not record together")
        assert "broadcast what optimizer.gradhealth.findings has on this rank" in line


def test_what_nobody_catches_ends_each_process(ended: tuple[Path, list[int]]) -> None:
    directory, codes = ended
    assert codes == [1, 1], logs(directory)
    for rank in range(2):
        assert TrainingStopped.__name__ in (directory / f"{rank}.log").read_text().splitlines()[-1]
