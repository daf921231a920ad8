"""What is counted, on runs and alarms made up for it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.diagnosis import labels
from bench.diagnosis.cells import Cell
from bench.diagnosis.judges.judge import Alarm
from bench.diagnosis.labels import Label, label
from bench.diagnosis.scoring import Judged, Share, score
from bench.diagnosis.trial import Outcome

CALM = {
    "silent": {"act": 0.1},
    "beyond": {},
    "rank": {"layer.weight": 9.0},
    "gradient": {"layer.weight": 1.0, "head.weight": 1.0},
    "weight": {"layer.weight": 1.0},
    "attention": {},
    "depth": {"hidden": 1.0, "head": 1.0},
    "whole": {"finite": 1.0, "spread": 1.0, "gradient": 1.4},
}


def _outcome(end: float, **changed: dict[str, float]) -> Outcome:
    return Outcome(2.0, end, {**CALM, **changed}, ("layer",), {}, {"layer.weight": 0.3})


def _label(end: float, pathology: str | None = "dead_units", **changed: dict[str, float]) -> Label:
    cell = Cell("development", "mlp", "plain", 1, pathology, "sudden" if pathology else None)
    return label(cell, _outcome(end, **changed), _outcome(1.0))


def test_a_fault_without_harm_is_no_disease() -> None:
    assert _label(1.05).verdict == "neither"
    assert _label(1.1).verdict == "sick"  # a tenth of the twin's progress of 1
    assert _label(1.0, silent={"act": 0.6}).verdict == "sick"  # the mechanism itself
    assert _label(1.0, rank={"layer.weight": 1.1}).verdict == "neither"  # another one than was put in
    assert _label(float("nan")).verdict == "sick"


def test_health_is_the_twins_outcome_and_no_mechanism() -> None:
    assert _label(1.05, None).verdict == _label(0.5, None).verdict == "healthy"
    assert _label(1.2, None).verdict == "neither"
    assert _label(1.0, None, silent={"act": 0.6}).verdict == "neither"


def test_a_label_is_read_back(tmp_path: Path) -> None:
    one = _label(float("inf"))
    labels.save(one, tmp_path)
    assert labels.saved(tmp_path) == one
    json.loads((tmp_path / labels.LABEL).read_text(), parse_constant=lambda text: pytest.fail(text))


def test_wilsons_bounds() -> None:
    """Beside R's prop.test(8, 10, correct = FALSE) and prop.test(0, 20, correct = FALSE)."""
    assert Share(8, 10).bounds == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert Share(0, 20).bounds == pytest.approx((0.0, 0.1611252), abs=1e-6)
    assert str(Share(0, 0)) == "–"


def _judged(one: Label, *alarms: Alarm) -> Judged:
    known = one.onset_step
    late, early = ([alarm for alarm in alarms if (alarm.detected >= known) == after] for after in (True, False))
    return Judged(one, tuple(late), tuple(early), 0.001)


def test_score() -> None:
    sick, healthy = _label(1.5), _label(1.0, None)
    onset = sick.onset_step
    found = score(
        [
            _judged(
                sick,
                Alarm("EXPLODING", "critical", "", onset - 9),
                Alarm("UNSTABLE", "medium", "", onset + 1),
                Alarm("DEAD", "high", "layer.weight", onset + 12, ("a large offset", "biases below zero")),
            ),
            _judged(sick, Alarm("DEAD", "notice", "layer", onset + 3)),
            _judged(sick, Alarm("PROGRESSIVE_DEATH", "high", "", onset + 4)),
            _judged(healthy, Alarm("DEAD", "notice", "layer", 1)),
            _judged(healthy, Alarm("PLATEAU", "low", "", 1)),
            _judged(healthy, Alarm("DEAD", "high", "", 1)),
            _judged(healthy),
        ],
        "all",
    )
    assert (found.recall.some, found.recall.all) == (2, 3)
    assert found.critical.all == 0
    assert [share.some for share in (found.grave_false, found.false, found.noticed, found.early)] == [1, 2, 3, 1]
    assert (found.first.some, found.first.all) == (1, 2)  # the whole model is no place
    assert [(share.some, share.all) for share in (found.cause, found.causes)] == [(0, 1), (1, 1)]
    assert found.delays["sudden"] == (4, 12, 1, 3)
    assert math.isnan(found.each_step["sudden"][0])
    assert found.confusion == {"DEAD": {"UNSTABLE": 1, "nothing": 1, "PROGRESSIVE_DEATH": 1}}
    assert (len(found.missed), len(found.alarmed)) == (1, 2)


def test_delays_where_each_step_has_a_row() -> None:
    sick = _label(1.5)
    late, soon = (
        _judged(one, Alarm("DEAD", "high", "", one.onset_step + delay))
        for one, delay in ((sick, 50), (replace(sick, every=1), 5))
    )
    found = score([late, soon], "all")
    assert found.delays["sudden"] == (5, 50, 5, 12.5)
    assert found.each_step["sudden"] == (5, 5, 5, 5)


def test_recall_leaves_out_what_a_level_cannot_show() -> None:
    unseen = _judged(_label(1.5, "saturated"))
    assert score([unseen], "all").recall.all == 1
    assert score([unseen], "gradients").recall.all == 0
    assert score([unseen], "gradients").overall.all == 1
    assert score([_judged(_label(1.5, "shuffled_targets"))], "all").recall.all == 0
