"""A training that goes on in a new process, from its end or from a checkpoint before."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from tb_gradhealth import open_run
from tb_gradhealth.diagnosis import diagnose
from tb_gradhealth.findings import Finding

from .trainings import Training, key


def resumed(directory: Path, saved: int, onset: int | None) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What is found in the 50 steps of a training that falls ill at step 20, and in 40 more from the step ``saved``."""
    first = Training(20, directory, every=2, streams=["updates"])
    monitor, state = first.optimizer.gradhealth, _state(first)
    while first.steps < 50:
        first.step()
        if first.steps == saved:
            state = _state(first)
    monitor.close()
    second = Training(onset, directory, every=2, streams=["updates"])
    again = second.optimizer.gradhealth
    second.model.load_state_dict(state["model"])
    second.optimizer.load_state_dict(state["optimizer"])
    again.load_state_dict(state["axis"])
    second.steps = saved
    second.run(40)
    again.close()
    assert monitor.problems == again.problems == 0
    return monitor.findings, again.findings


def _state(training: Training) -> dict[str, Any]:
    return deepcopy(
        {
            "model": training.model.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "axis": training.optimizer.gradhealth.state_dict(),
        }
    )


def test_findings_behind_the_checkpoint_are_gone(tmp_path: Path) -> None:
    first, second = resumed(tmp_path, 16, None)
    assert any(one.severity == "critical" for one in first)
    assert second == open_run(tmp_path).findings == diagnose(tmp_path).findings == ()


def test_findings_before_it_stay_and_those_that_go_on_are_not_doubled(tmp_path: Path) -> None:
    first, second = resumed(tmp_path, 40, None)
    both = {key(one)[:3] for one in first} & {key(one)[:3] for one in second}
    assert both
    found, offline = open_run(tmp_path).findings, diagnose(tmp_path).findings
    assert len({key(one)[:3] for one in found}) == len(found)
    assert {key(one) for one in found if one.detected < 40} == {key(one) for one in offline if one.detected < 40}
    for one in found:
        assert one.stop > 40 if key(one)[:3] in both else one.stop <= 40 or one.start >= 40
    assert {key(one) for one in found if one.severity == "critical"} == {
        key(one) for one in offline if one.severity == "critical"
    }
