"""Findings that another one explains: folded under it, whatever their order, and no others."""

from __future__ import annotations

import itertools
import random

import pytest

from tb_gradhealth.diagnosis import RULES, Engine, Finding, Severity
from tb_gradhealth.diagnosis.following import LINKS, explained
from tb_gradhealth.diagnosis.telling import grouped

from .made import NAMES, Step, found, healthy, rows, with_figure

TYPES = {rule.name: rule.type for rule in RULES}

LARGE = {("gradients", "norm"): 80.0}


def one(rule: str, node: str, start: int, stop: int, severity: Severity = "high") -> Finding:
    return Finding(TYPES.get(rule, "DEAD"), severity, node, start, stop, start, (), (), (), "", rule)


def followed(*findings: Finding, spacing: int = 1) -> dict[str, str]:
    return {f"{each.rule} {each.node}".strip(): each.follows for each in explained(findings, NAMES, spacing)}


BLOWN_UP = (
    one("large_updates", "net.2.weight", 40, 60, "medium"),
    one("norm_jump", "", 41, 44, "critical"),
    one("weight_growth", "net.4.weight", 42, 200, "critical"),
    one("dead_units", "net.2", 43, 200),
    one("constant_signal", "net.4", 50, 200, "critical"),
    one("prediction_collapse", "net.6", 60, 200),
    one("plateau", "", 70, 200, "low"),
)


def test_all_that_a_learning_rate_does_is_one_group_in_any_order() -> None:
    expected = dict.fromkeys(BLOWN_UP[1:], "large_updates")
    for seed in range(20):
        listed = random.Random(seed).sample(BLOWN_UP, len(BLOWN_UP))
        told = explained(listed, NAMES, 1)
        assert {before: after.follows for before, after in zip(listed, told, strict=True) if after.follows} == expected
    ((root, others),) = grouped(explained(BLOWN_UP, NAMES, 1))
    assert (root.rule, len(others)) == ("large_updates", 6)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (one("norm_jump", "", 40, 44), one("dead_units", "net.2", 20, 200)),  # began before
        (one("norm_jump", "", 40, 44), one("dead_units", "net.2", 90, 200)),  # long after
        (one("large_updates", "net.2", 40, 200, "notice"), one("dead_units", "net.2", 50, 200)),  # a hint
        (one("dead_units", "net.2", 10, 200), one("dead_rows", "net.4.weight", 10, 200)),  # elsewhere
        (one("dead_units", "net.4", 10, 200), one("constant_signal", "net.0", 20, 200)),  # comes before it
        (one("dead_units", "net.0", 10, 200), one("zero_gradient", "net.4.weight", 20, 200)),  # comes behind it
        (one("norm_jump", "", 40, 200), one("no_gradient", "net.0.weight", 50, 200)),  # is put there from outside
        (one("norm_jump", "", 40, 200), one("mine", "net.0", 50, 200)),  # somebody's own
    ],
)
def test_what_may_be_a_disease_of_its_own_stands_for_itself(first: Finding, other: Finding) -> None:
    assert [each.follows for each in explained([other, first], NAMES, 1)] == ["", ""]


def test_what_reaches_where() -> None:
    dead = one("dead_units", "net.2", 10, 200)
    assert followed(
        dead,
        one("progressive_death", "net.2", 20, 200),
        one("constant_signal", "net.4", 12, 200),
        one("zero_gradient", "net.2.weight", 12, 200),
        one("starved", "net.0.weight", 12, 200),
    ) == {
        "dead_units net.2": "",
        "progressive_death net.2": "dead_units",
        "constant_signal net.4": "dead_units",
        "zero_gradient net.2.weight": "dead_units",
        "starved net.0.weight": "dead_units",
    }


def test_of_two_that_are_said_at_once_the_graver_one_explains_the_other() -> None:
    steps, grown = one("large_updates", "net.6", 40, 60, "medium"), one("weight_growth", "net.2.weight", 40, 200)
    assert followed(grown, steps) == {"weight_growth net.2.weight": "", "large_updates net.6": "weight_growth"}


def test_a_function_is_where_its_parent_is() -> None:
    dead, starved = one("dead_units", "net.2.act", 10, 200), one("starved", "net.0.weight", 12, 200)
    assert followed(dead, starved)["starved net.0.weight"] == "dead_units"
    assert followed(one("dead_units", "net.0.act", 10, 200), one("starved", "net.4.weight", 12, 200)) == {
        "dead_units net.0.act": "",
        "starved net.4.weight": "",
    }


def test_long_rows_date_evidence_less_well() -> None:
    late, early = one("large_updates", "net.2", 140, 400, "medium"), one("loss_growth", "", 120, 300)
    assert followed(early, late)["large_updates net.2"] == "loss_growth"
    grown = one("weight_growth", "net.2.weight", 300, 500)
    jump = one("norm_jump", "", 200, 210)
    assert followed(jump, grown)["weight_growth net.2.weight"] == ""
    assert followed(jump, grown, spacing=10)["weight_growth net.2.weight"] == "norm_jump"


def test_the_table_names_rules_that_there_are_and_causes_come_before_effects() -> None:
    named = set(itertools.chain.from_iterable((*link.explain, *link.these) for link in LINKS))
    assert named <= TYPES.keys()


def test_the_engine_tells_the_same_at_the_end_as_row_by_row() -> None:
    """A learning rate that is far too high, from step 30 on."""
    huge = [
        with_figure(
            "weights", "norm", 40.0, with_figure("updates", "norm", 9.0, Step(logged={"loss": 50.0}, whole=LARGE))
        )
        for _ in range(30)
    ]
    engine = Engine(RULES)
    told: dict[tuple[str, str, int], str] = {}
    for row in rows([*healthy(30), *huge]):
        engine.add(row)
        told |= {(each.rule, each.node, each.start): each.follows for each in engine.findings}
    assert told == {(each.rule, each.node, each.start): each.follows for each in found([*healthy(30), *huge])}
    (root, others), *more = grouped(engine.findings)
    assert root.start <= 31
    assert {"norm_jump", "loss_growth", "weight_growth"} <= {root.rule, *(each.rule for each in others)}
    assert [each.severity for each, _ in more if each.severity != "notice"] == []
