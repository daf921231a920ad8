"""Alerts are what was planted, no more and no less; of tensors, of modules, over intervals, in words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import Entries
from tb_gradhealth import nodes
from tb_gradhealth.notes import Note
from tb_gradhealth.plugin import alerts as module
from tb_gradhealth.plugin.alerts import Alerts, alerts
from tb_gradhealth.plugin.findings import findings, grouped, whole_run
from tb_gradhealth.store.reader import Run, open_directory

from ..synthetic import Memory, Recording, history, recorded
from .board import Board
from .logs import HOSTILE_NAMES
from .noted import Noted

NAMES = ("first", "wide.a", "wide.b", "wide.c", "wide.d.x", "wide.d.y", "small.a", "small.b", "last")
WIDE, SMALL = range(1, 6), range(6, 8)
STEPS, EVERY = 400, 10


def planted(plant: Callable[[Entries], None], steps: int = STEPS, **about: Any) -> Recording:
    entries = recorded(steps, len(NAMES))
    plant(entries)
    return Recording(entries, names=NAMES, **about)


def told(recording: Recording) -> list[dict[str, Any]]:
    answer = alerts(history(recording))
    assert answer["complete"] is True
    return list(answer["alerts"])


def brief(recording: Recording) -> list[tuple[str, str, str, list[int]]]:
    """Severity, kind, name of the node and steps."""
    names = recording.tree.names
    return [(one["severity"], one["kind"], names[one["node"]], one["steps"]) for one in told(recording)]


def put(steps: slice | int, tensors: Sequence[int] | int, **values: float) -> Callable[[Entries], None]:
    def plant(entries: Entries) -> None:
        for name, value in values.items():
            entries[name][steps, tensors] = value

    return plant


def test_a_sound_run_has_none() -> None:
    assert told(planted(lambda entries: None)) == []


@pytest.mark.parametrize(("kind", "sign"), [("nan", "NaN"), ("pos_inf", "+Inf"), ("neg_inf", "−Inf")])
def test_one_bad_element_is_found_with_its_step(kind: str, sign: str) -> None:
    recording = planted(put(123, 8, **{kind: 2}))
    (alert,) = told(recording)
    names = recording.tree.names
    norm = float(np.sqrt(recording.entries["sum_sq"][120:130, 8]).max())
    assert alert == {
        "id": f"{kind}:{names.index('last')}:120",
        "severity": "critical",
        "kind": kind,
        "node": names.index("last"),
        "steps": [120, 130],
        "metric": "norm",
        "value": pytest.approx(norm, rel=0.002),
        "text": f"{sign} in last, first at step 123",
    }


def test_where_two_kinds_come_in_one_row_neither_is_told_the_other_ones_step() -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][123, 8], entries["pos_inf"][126, 8] = 1, 1

    texts = {one["kind"]: one["text"] for one in told(planted(plant))}
    assert texts["pos_inf"] == "+Inf in last, first in steps 120 to 129"


def test_what_goes_on_is_one_alert_and_what_comes_again_another() -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][[95, 105, 110, 250], 0] = 1

    assert brief(planted(plant)) == [
        ("critical", "nan", "first", [90, 120]),
        ("critical", "nan", "first", [250, 260]),
    ]


def test_a_module_stands_for_its_tensors_where_all_have_it_and_there_are_enough() -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][55, WIDE] = 1
        entries["nan"][65, list(WIDE)[:-1]] = 1  # not all
        entries["pos_inf"][205, SMALL] = 1  # too few to be told together

    found = brief(planted(plant))
    assert found == [
        ("critical", "nan", "wide", [50, 60]),
        *(("critical", "nan", NAMES[i], [60, 70]) for i in (1, 2, 3, 4)),
        *(("critical", "pos_inf", NAMES[i], [200, 210]) for i in SMALL),
    ]
    assert told(planted(put(55, WIDE, nan=1)))[0]["text"] == "NaN in all 5 tensors of wide, first at step 55"
    whole = told(planted(put(55, range(len(NAMES)), nan=1)))
    assert [(one["node"], one["text"]) for one in whole] == [(0, "NaN in all 9 tensors, first at step 55")]


def test_no_gradient_for_long_for_short_and_now_and_then() -> None:
    def plant(entries: Entries) -> None:
        entries[100:200, 0] = 0
        entries[100:150, 8] = 0
        entries[303:307, 6] = 0

    assert brief(planted(plant)) == [
        ("warning", "no_gradient", "first", [100, 200]),
        ("notice", "no_gradient", "last", [100, 150]),
        ("notice", "gaps", "small.a", [300, 310]),
    ]
    texts = [one["text"] for one in told(planted(plant))]
    assert texts == [
        "No gradient reached first in steps 100 to 199",
        "No gradient reached last in steps 100 to 149",
        "No gradient reached small.a in some of steps 300 to 309",
    ]


def test_shares_of_elements_near_zero_and_near_overflow() -> None:
    def plant(entries: Entries) -> None:
        entries["near_zero"][40:60, 0] = 6
        entries["near_zero"][60, 0] = 6  # one step of ten
        entries["saturated"][77, 8] = 3

    assert brief(planted(plant)) == [
        ("warning", "near_zero", "first", [40, 60]),
        ("warning", "saturated", "last", [70, 80]),
    ]
    assert told(planted(plant))[1]["value"] == pytest.approx(0.5, rel=0.001)
    assert "50.00%" in told(planted(plant))[1]["text"]


@pytest.mark.parametrize(("factor", "count"), [(40, 0), (80, 1)])
def test_a_spike_is_measured_by_what_is_usual_for_the_tensor(factor: float, count: int) -> None:
    plain = planted(lambda entries: None)
    largest = np.sqrt(plain.entries["sum_sq"][:, 0]).reshape(-1, EVERY).max(axis=1)
    usual = float(np.median(largest))
    assert usual > 0
    spiked = planted(put(217, 0, sum_sq=(factor * usual) ** 2))
    found = brief(spiked)
    assert found == [("notice", "spike", "first", [210, 220])] * count
    for alert in told(spiked):
        assert alert["value"] == pytest.approx(factor * usual, rel=0.002)


def test_a_run_too_short_to_be_usual_has_no_spike() -> None:
    assert told(planted(put(17, 0, sum_sq=1e12), steps=50)) == []


@pytest.mark.parametrize("first", [0, 1234])
def test_in_a_long_run_intervals_are_told_to_the_row(tmp_path: Path, first: int) -> None:
    """1,200 rows, which are looked at in rows of 16 steps and more before."""
    entries = np.tile(recorded(30, len(NAMES)), (40, 1))
    entries["nan"][[3, 477, 478, 1100], 2] = 1
    entries["near_zero"][600:900, 4] = 6
    one = Recording(entries, names=NAMES, every=1, start=first, block=16, chosen=select(["near_zero_fraction"]))
    one.write(tmp_path, together=100)
    found = alerts(open_directory(tmp_path).timeline("gradients"))["alerts"]
    begin, end = (step - first for step in found[-1]["steps"])
    assert 600 <= begin < 616, "the first row of a coarser one in all of which it is so"
    assert 884 < end <= 900
    shown = [(alert["kind"], alert["node"], [step - first for step in alert["steps"]]) for alert in found]
    bad, vanished = one.tree.names.index("wide.b"), one.tree.names.index("wide.d.x")
    wanted = [("nan", bad, [3, 4]), ("nan", bad, [477, 479]), ("nan", bad, [1100, 1101])]
    assert shown == [*wanted, ("near_zero", vanished, [begin, end])]
    texts = [alert["text"] for alert in found[:3]]
    assert texts == [f"NaN in wide.b, first at step {first + step}" for step in (3, 477, 1100)]


def test_the_gravest_come_first_and_not_more_than_500() -> None:
    entries = np.tile(recorded(20, 3), (255, 1))
    entries["nan"][::20, 0] = entries["saturated"][5::20, 1] = 1
    entries[7::20, 2] = 0
    many = Recording(entries, names=("a", "b", "c"), chosen=select(["norm", "saturated_fraction"]))
    answer = alerts(history(many))
    found = [(one["severity"], one["steps"][0]) for one in answer["alerts"]]
    assert (len(found), answer["complete"]) == (500, False)
    assert found == sorted(found, key=lambda one: (["critical", "warning", "notice"].index(one[0]), one[1]))
    assert [severity for severity, _ in found].count("critical") == 255
    assert len({one["id"] for one in answer["alerts"]}) == 500


def test_what_the_grad_scaler_skipped_is_a_notice_unless_it_goes_on() -> None:
    def plant(entries: Entries) -> None:
        entries["pos_inf"][[55, 300, 301, 302, 303, 304, 305, 306], 0] = 1
        entries["pos_inf"][155, 0] = 1

    notes = [Note(step, "skipped") for step in (55, *range(300, 307))]
    one = planted(plant)
    run = Noted(one.entries, names=NAMES, notes=notes)
    assert brief(run) == [
        ("critical", "pos_inf", "first", [150, 160]),
        ("critical", "pos_inf", "first", [300, 310]),
        ("notice", "pos_inf", "first", [50, 60]),
    ]
    assert told(run)[2]["text"] == "+Inf in first, first at step 55, where the optimizer skipped steps"


def test_a_finding_keeps_its_id_while_the_run_grows() -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][[3, 355], 2] = 1
        entries["saturated"][77, 8] = 3

    short, long = (
        {one["id"] for one in told(planted(plant, steps=steps, every=1, chosen=select(["saturated_fraction"])))}
        for steps in (400, 700)  # in cells of one row, and of 16
    )
    assert len(short) == 3
    assert short == long


def test_a_run_with_few_metrics_is_looked_at_with_those() -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][123, 8] = 1
        entries[100:300, 0] = 0
        entries["near_zero"][40:60, 2] = 6

    found = told(planted(plant, chosen=select(["rms"])))
    assert [(one["kind"], one["metric"]) for one in found] == [("nan", "rms"), ("no_gradient", "rms")]


def test_names_in_sentences_are_short_and_command_nothing() -> None:
    entries = recorded(20, len(HOSTILE_NAMES))
    entries["nan"][7, :3], entries["nan"][17, 3:] = 1, 1
    texts = [one["text"] for one in told(Recording(entries, names=HOSTILE_NAMES))]
    assert len(texts) == len(HOSTILE_NAMES)
    assert all(text.isprintable() and len(text) < 140 for text in texts)
    assert any(text.startswith("NaN in …xxx") for text in texts)
    assert "NaN in <script>alert(1)</script>.w, first at step 7" in texts


def test_of_a_long_name_no_more_is_looked_at_than_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, printable = list[int](), module.printable
    monkeypatch.setattr(module, "printable", lambda name: (seen.append(len(name)), printable(name))[1])
    shown = [module.subject(nodes.build([name]), 1) for name in ("x" * 100_000, "\n" * 80, "y" * module.NAME, "\n")]
    assert shown == ["…" + "x" * 79, "…" + ("\\n" * 40)[1:], "y" * 80, "\\n"]
    assert max(seen) == module.NAME


@pytest.mark.parametrize("most", range(5))
def test_all_are_complete_and_one_fewer_is_not(most: int) -> None:
    def plant(entries: Entries) -> None:
        entries["nan"][[123, 200], 8] = 1
        entries["pos_inf"][77, 2] = 1

    timeline = history(planted(plant))
    every, _ = findings(timeline, whole_run(timeline), 100)
    assert len(every) == 3
    assert findings(timeline, whole_run(timeline), most) == (every[:most], most >= 3)


def test_names_with_braces_are_no_templates() -> None:
    entries = recorded(20, 2)
    entries["nan"][7, 0] = 1
    (alert,) = told(Recording(entries, names=("{value.__class__}", "{0}")))
    assert alert["text"] == "NaN in {value.__class__}, first at step 7"


def test_what_was_found_is_kept_until_there_is_news() -> None:
    one = planted(put(123, 8, nan=1))
    source, run, kept = Memory(one), Run(), Alerts()
    run.update(source)
    answer = kept.of(run.timeline("gradients"))
    run.update(source)
    assert kept.of(run.timeline("gradients")) is answer
    source.put(one.again(entries=recorded(20, len(NAMES)), start=100, session="f" * 16, wall_time=1.8e9))
    run.update(source)
    assert answer["alerts"]
    assert kept.of(run.timeline("gradients"))["alerts"] == [], "these steps were recorded again"


TREE_NAMES = [".".join(path) for path in itertools.product("ab", "cde", "fg")] + ["h", "a.i"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2 ** len(TREE_NAMES) - 1), min_size=1, max_size=5), st.booleans())
def test_grouping_is_what_it_is_said_to_be(cells: list[int], dense: bool) -> None:
    """Cell by cell and node by node, in sets."""
    tree = nodes.build(TREE_NAMES)
    every = len(TREE_NAMES)
    sets = [{leaf for leaf in range(every) if (cell >> leaf & 1) or (dense and leaf % 5)} for cell in cells]
    mask = np.array([[leaf in one for one in sets] for leaf in range(every)])
    leaf_of = {int(node): leaf for leaf, node in enumerate(tree.leaf_nodes)}
    shown: list[set[int]] = []  # nodes of each cell
    for one in sets:
        left, chosen = set(one), set()
        for node in range(len(tree)):  # parents first
            inside = set(range(tree.start[node], tree.stop[node]))
            if len(inside) >= 4 and inside <= left:
                chosen.add(node)
                left -= inside
        shown.append(chosen | {node for node, leaf in leaf_of.items() if leaf in left})
    wanted = []
    for node in range(len(tree)):
        runs = itertools.groupby(range(len(sets)), key=lambda cell, node=node: node in shown[cell])
        for inside, members in runs:
            where = list(members)
            if inside:
                wanted.append((node, where[0], where[-1]))
    assert sorted(zip(*map(np.ndarray.tolist, grouped(tree, mask)), strict=True)) == sorted(wanted)


@pytest.mark.parametrize("fast", ["true", "false"], ids=["rust", "python"])
def test_over_http(tmp_path: Path, fast: str) -> None:
    one = planted(put(slice(200, 203), WIDE, neg_inf=1))
    one.write(tmp_path / "run" / "gradhealth", archive=True)
    board = Board(tmp_path, fast)
    query = {"run": "run/gradhealth", "stream": "gradients"}
    board.wait(lambda b: b.get("meta", **query).status == 200 and b.get("meta", **query).json["steps"] == [0, STEPS])
    answer = board.get("alerts", **query)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json == alerts(history(one))
    assert [alert["node"] for alert in answer.json["alerts"]] == [one.tree.names.index("wide")]
    assert board.get("alerts", run="nope", stream="gradients").status == 404
    wrong = board.get("alerts", **{**query, "stream": "x"})
    assert (wrong.status, "expected one of gradients" in wrong.json["error"]) == (400, True)
