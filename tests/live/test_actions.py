"""What is done on a finding, by its severity."""

from __future__ import annotations

import logging
import pickle
import warnings
from typing import Any

import pytest

from tb_gradhealth import TrainingStopped
from tb_gradhealth.findings import Evidence, Finding, Severity
from tb_gradhealth.live.actions import Alarm, FindingWarning, parse


def one(severity: Severity, follows: str = "", rule: str = "loss_growth") -> Finding:
    evidence = (Evidence("loss", 31.2, 2.31, ""),)
    return Finding("EXPLODING", severity, "a\x1b[2J.b", 3, 9, 8, evidence, (), (), "", rule, follows)


def told(on_finding: Any, *findings: Finding) -> Alarm:
    problems: list[str] = []
    alarm = Alarm(parse(on_finding), problems.append)
    for finding in findings:
        alarm.tell(finding)
    assert problems == []
    return alarm


def test_lines_of_the_log_are_as_loud_as_findings_are_grave(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tb_gradhealth")
    cause, effect = one("critical", rule="nonfinite"), one("critical", "nonfinite")
    told(None, one("critical"), one("high"), one("medium"), one("low"), one("notice"), cause, effect)
    levels = ["ERROR", "WARNING", "INFO", "INFO", "DEBUG", "ERROR", "INFO"]
    assert [record.levelname for record in caplog.records] == levels
    assert caplog.messages[0] == (
        r"critical EXPLODING in a\x1b[2J.b, steps 3 to 8, seen at step 8: gradients, weights or the loss grow out of "
        "proportion: loss: 31.2 (reference 2.31)"
    )
    assert caplog.messages[-1].endswith(" (nonfinite explains it)")


def test_what_is_graver_than_its_cause_is_as_loud_as_it_is_grave(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tb_gradhealth")
    effect = one("high", "large_start", "saturated")
    told("log", one("medium", rule="large_start"), effect, effect, one("critical", "large_start", "dead_units"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO", "ERROR"]
    with pytest.warns(FindingWarning, match="high EXPLODING") as caught:
        told("warn:high", one("medium", rule="large_start"), effect, effect)
    assert len(caught) == 1


def test_warnings_are_of_alarms_that_stand_for_themselves(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told("warn", one("low"), one("notice"), one("high", rule="nonfinite"), one("high", "nonfinite"))
    assert [warning.category for warning in caught] == [FindingWarning] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told("warn", one("high"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(("on_finding", "stops"), [("stop", False), ("stop:high", True), (["log", "stop:low"], True)])
def test_stop_keeps_the_first_finding_that_is_grave_enough(on_finding: Any, stops: bool) -> None:
    alarm = told(on_finding, one("notice"), one("high"), one("medium"))
    assert alarm.stop == (one("high") if stops else None)


def test_what_stops_a_training_travels_between_processes() -> None:
    stopped = TrainingStopped(one("critical"))
    again = pickle.loads(pickle.dumps(stopped))
    assert again.finding == one("critical")
    assert str(again).startswith(r"critical EXPLODING in a\x1b[2J.b, steps 3 to 8")
