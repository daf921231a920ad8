"""The engine: one row after the other, bounded, and the same however rows come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tb_gradhealth.diagnosis import RULES, Cause, Engine, Finding, Hit, Rule, SettingsError, View, diagnose, evidence
from tb_gradhealth.diagnosis.replay import replay
from tb_gradhealth.diagnosis.settings import apply, custom_rules, read
from tb_gradhealth.diagnosis.telling import grouped
from tb_gradhealth.reading.opened import open_run
from tests.planted import STEPS, written

from .made import NAMES, Step, at, found, healthy, rows, with_figure


def raising(look: Any, **changes: Any) -> Rule:
    rule = Rule("mine", "DEAD", "high", look, {"gradients": ("norm",)}, (Cause("mine"),), ("act",), "normal")
    return replace(rule, **changes)


def test_what_is_said_meanwhile_is_what_is_found_in_the_end() -> None:
    """Everything that ``add`` told, its last word on each finding, is what ``findings`` has."""
    shrunk = [with_figure("weights", "norm", at(0.1, 2, 4, of=len(NAMES), others=3.0)) for _ in range(30)]
    sick = [*healthy(5), *shrunk, Step(bad={"gradients": NAMES}), *healthy(40)]
    engine, told = Engine(RULES), {}
    for row in rows(sick):
        for one in engine.add(row):
            told[one.rule, one.node, one.start] = one
    assert {(one.rule, one.node, one.start, one.stop, one.evidence) for one in engine.findings} == {
        (one.rule, one.node, one.start, one.stop, one.evidence) for one in told.values()
    }
    assert [one.type for one in engine.findings][:2] == ["VANISHING", "NUMERICAL"]


def test_a_run_that_grows_is_diagnosed_as_one_that_was_fed_row_by_row(tmp_path: Path) -> None:
    written(tmp_path)
    run = open_run(tmp_path)
    engine = Engine(RULES)
    fed = list(replay(run, engine.wanted))
    assert (fed[0].start, fed[-1].stop) == (0, STEPS)
    half = Engine(RULES)
    for row in fed:
        engine.add(row)
    for row in fed[: len(fed) // 2]:
        half.add(row)
    assert diagnose(tmp_path).findings == engine.findings
    assert {one.rule for one in half.findings} <= {one.rule for one in engine.findings}
    (bad,) = (one for one in engine.findings if one.type == "NUMERICAL" and one.start == 41)
    assert bad.node == "embed"


def test_evidence_that_comes_back_after_long_is_another_finding() -> None:
    nan = Step(bad={"gradients": ("net.0.weight",)})
    some = found([nan, *healthy(5), nan, *healthy(40), nan], rule="nonfinite")
    assert [(one.start, one.stop) for one in some] == [(0, 7), (47, 48)]


def test_a_rule_that_always_finds_something_new_is_bounded() -> None:
    def look(view: View) -> Iterable[Hit]:
        yield Hit(f"node {view.now.start}", view.now.start, evidence("it", 1.0))

    engine = Engine([raising(look)])
    for row in rows(healthy(200)):
        engine.add(row)
    assert len(engine.findings) == 50


def test_a_rule_that_raises_costs_itself_alone() -> None:
    def look(view: View) -> Iterable[Hit]:
        raise RuntimeError("no")

    engine = Engine([raising(look), *RULES])
    for row in rows([*healthy(3), Step(bad={"gradients": NAMES})]):
        engine.add(row)
    assert engine.problems == ["rule mine: RuntimeError: no"]
    assert [one.type for one in engine.findings] == ["NUMERICAL"]


def test_causes_that_were_seen_come_first() -> None:
    constant = [with_figure("activations", "batch_spread", (0.5, *(0.001,) * 6)) for _ in range(25)]
    (plain,) = found(constant, rule="constant_signal")
    assert "units of the layer are dead" in plain.causes[0]
    off = [with_figure("inputs", "mean", 9.0, step) for step in constant]
    (one,) = (one for one in found(off) if one.rule == "constant_signal")
    assert "offset" in one.causes[0]
    assert sorted(one.causes) == sorted(plain.causes)


def test_what_was_not_recorded_is_told_with_how_to() -> None:
    engine = Engine(RULES)
    for row in rows([Step(without=("activations", "spectrum")) for _ in range(3)]):
        engine.add(row)
    missing = {one.rule: one for one in engine.missing}
    assert missing["bottleneck"].advice == 'streams=["spectrum"]'
    assert missing["dead_units"].needs == ("activations",)
    assert "attention_entropy" not in missing  # not every model has any
    assert "norm_jump" not in missing


def test_rules_of_installed_packages_are_loaded_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def __init__(self, name: str, rule: object) -> None:
            self.name, self.load = name, lambda: rule

    mine = raising(lambda view: ())
    points = [Point("mine", mine)]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == "tb_gradhealth.rules" else [])
    assert custom_rules() == (mine,)
    points.append(Point("other", print))
    with pytest.raises(SettingsError, match="entry point 'other': expected a Rule"):
        custom_rules()


def test_settings_change_thresholds_for_all_or_for_a_pattern(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        'skip = ["plateau"]\n[rules.weight_growth]\ntimes = 20\nseverity = "low"\n'
        '[rules.weight_growth.modules]\n"net.2.*" = { times = 3 }\n'
    )
    rules = apply(read(file))
    assert [rule.name for rule in RULES if rule not in rules] == ["weight_growth", "plateau"]
    engine = Engine(rules)
    for row in rows([Step(), with_figure("weights", "norm", at(15.0, 2, 4, of=len(NAMES), others=1.0))]):
        engine.add(row)
    (one,) = (one for one in engine.findings if one.rule == "weight_growth")
    assert (one.node, one.severity) == ("net.2.weight", "low")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rules": {"weight_grow": {}}}, "no rule 'weight_grow', perhaps 'weight_growth' was meant"),
        ({"skip": [3]}, "no rule 3: expected one of nonfinite, "),
        ({"rules": {"weight_growth": {"time": 3}}}, "expected one of times, severity, modules, got 'time'"),
        ({"rules": {"weight_growth": {"times": "3"}}}, "expected a number, got '3'"),
        ({"rules": {"weight_growth": {"severity": "bad"}}}, "expected one of critical, high"),
        ({"skip": "plateau"}, "expected a list"),
        ({"rule": {}}, "expected skip and rules, got 'rule'"),
    ],
)
def test_settings_that_name_what_there_is_not(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        apply(settings)


def test_a_rule_of_a_severity_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"rule nonfinite: severity: expected one of critical, .*, got 'hi'"):
        replace(RULES[0], severity="hi")  # type: ignore[arg-type]


def test_what_a_finding_explains_stands_under_it() -> None:
    def one(node: str, rule: str, follows: str = "") -> Finding:
        return Finding("UNSTABLE", "high", node, 0, 1, 0, (), (), (), "", rule, follows)

    root, twin, other = one("a", "root"), one("b", "root"), one("c", "other")
    first, second, lone = one("d", "first", "root"), one("e", "second", "root"), one("f", "lone", "never found")
    listed = [first, root, other, twin, second, lone]
    assert grouped(listed) == [(root, [first, second]), (other, []), (twin, []), (lone, [])]
