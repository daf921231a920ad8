"""``python -m bench frontend``: what it draws events from, what it takes for seen, and that it prints nothing wrong."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.__main__ import main
from bench.frontend import browser, cases, command, moving, seeing
from bench.frontend.browser import Traffic, fragment
from bench.frontend.cases import decoder, sized
from bench.frontend.loading import bundle_kb
from bench.store.figure import Figure, WrongResult
from bench.store.training import KINDS
from bench.store.writing import Recorded
from tb_gradhealth import nodes

SAMPLED = sized("sampled", 33, 5120, events=30, archive=False, sampled=True)


@pytest.mark.parametrize("rows", [33, 34, 53, 54, 120, 2241])
def test_a_model_has_the_rows_asked_for(rows: int) -> None:
    tree = decoder(rows).tree
    assert len(tree) == rows
    assert "model.layers.0.mlp.up_proj.weight" in tree.names


def test_no_model_is_less_than_a_layer() -> None:
    with pytest.raises(ValueError, match="expected 33 rows or more, got 32"):
        decoder(32)


def test_the_cases_are_those_of_the_figures() -> None:
    assert {case.name: (case.rows, case.steps) for case in cases.CASES} == {
        "wide": (2241, 65_536),
        "huge": (10_000, 1_000_000),
    }
    assert [case.name for case in cases.SMALL] == ["wide", "huge"]


def test_events_are_planted_in_steps_that_are_measured(tmp_path: Path) -> None:
    one = Recorded(SAMPLED, tmp_path, {}, whole=1600, seconds=0)
    events = SAMPLED.training().events
    assert (events.step < SAMPLED.steps // SAMPLED.sampled_width).all()
    places = list(seeing.planted(one))
    assert {(kind, tensor) for kind, _, tensor in places} == {
        (KINDS[kind], tensor) for kind, tensor in zip(events.kind.tolist(), events.tensor.tolist(), strict=True)
    }
    for _, step, _ in places:
        assert step in events.step or (step >= 1600 and step // SAMPLED.sampled_width in events.step)


def unfolded(text: str, tree: nodes.Tree) -> set[int]:
    """Rows with everything above them open, from the text in a link."""
    base, *changes = text.removesuffix("~").split("~")
    modules = {f"{tree.kinds[node]}-{tree.names[node]}": node for node in range(len(tree))}
    opened = set(range(len(tree))) if base == "all" else {0}
    for change in changes:
        node = modules[change.removeprefix(".")]
        assert (node in opened) == change.startswith(".")
        opened ^= {node}
    shown = {0}
    for node in range(1, len(tree)):
        if tree.parent[node] in shown and tree.parent[node] in opened:
            shown.add(node)
    return shown


def test_a_look_is_at_the_row_that_the_tensor_is_folded_into(tmp_path: Path) -> None:
    case = sized("plain", 120, 5120, events=60)
    tree = case.tree
    one = Recorded(case, tmp_path, {}, whole=case.steps, seconds=0)
    leaf = dict(zip(tree.leaf_order.tolist(), tree.leaf_nodes.tolist(), strict=True))
    tensors: dict[tuple[str, int], set[int]] = {}
    for kind, step, tensor in seeing.planted(one):
        tensors.setdefault((kind, step), set()).add(leaf[tensor])
    looks = list(seeing.looks(one, tree, 200, np.random.default_rng(1)))
    for look in looks:
        shown = unfolded(look.open, tree)
        assert look.node in shown
        paths = []
        for node in tensors[look.kind, look.step]:
            while node not in shown:
                node = int(tree.parent[node])
            paths.append(node)
        assert look.node in paths
        assert 0 <= look.window[0] <= look.step < look.window[1] <= case.steps
    assert len({look.open for look in looks}) > 150
    depths = {tree.kinds[look.node] for look in looks}
    assert {"tensor", "module"} <= depths
    assert {look.kind for look in looks} == set(KINDS)


def test_only_what_lies_well_inside_the_colours_is_usual() -> None:
    layer = seeing.NORM
    assert layer.is_usual(1.0, 0)
    assert not layer.is_usual(1.0, 1)
    assert not layer.is_usual(9e4, 0)
    assert not layer.is_usual(1.1e-9, 0)
    assert not layer.is_usual(float("nan"), 0)
    assert not seeing.WORST_ZERO.is_usual(0.998, 0)


class FakeTab:
    """Answers what a look asks for."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self._colour = colour

    def ask(self, expression: str, given: Any = None) -> Any:
        if "rectOf" in expression:
            return {"x": 0, "y": 0, "width": 2, "height": 4}
        return [*(10, 20, 30), *self._colour]


@pytest.mark.parametrize(("kind", "layer"), [("spike", seeing.NORM), ("drop", seeing.LEAST_NORM), ("nan", seeing.NORM)])
def test_an_event_without_its_colour_is_not_seen(tmp_path: Path, kind: str, layer: seeing.Layer) -> None:
    one = Recorded(SAMPLED, tmp_path, {}, whole=1600, seconds=0)
    look = seeing.Look(kind, 5, 3, "all~", (0, 100), layer)
    right = {"spike": seeing.TOP, "drop": seeing.BOTTOM, "nan": seeing.NON_FINITE}
    tab: Any = FakeTab(right[kind])
    seeing._seen(tab, look, one)
    tab = FakeTab(right["drop" if kind == "spike" else "spike"])
    with pytest.raises(WrongResult, match="expected"):
        seeing._seen(tab, look, one)


def test_cpu_time_is_that_of_callbacks_and_of_tasks_with_events() -> None:
    def event(name: str, ts: int, tdur: int, **data: Any) -> dict[str, Any]:
        return {"name": name, "pid": 1, "tid": 1, "ts": ts, "dur": tdur, "tdur": tdur, "args": {"data": data}}

    other = {**event(moving.TASK, 0, 90_000), "tid": 2}
    trace = [
        event(moving.TASK, 0, 9000),
        event("FireAnimationFrame", 10, 2000),
        event("FireAnimationFrame", 3000, 1000),
        event(moving.TASK, 20_000, 4000),
        event("EventDispatch", 20_010, 500, type="wheel"),
        event("EventDispatch", 21_000, 500, type="pointermove"),
        event(moving.TASK, 30_000, 7000),
        event("FireAnimationFrame", 30_010, 500),
        event(moving.TASK, 40_000, 7000),
        event("EventDispatch", 40_010, 500, type="load"),
        other,
    ]
    assert moving._cpu(trace) == ([3.0, 0.5], [4.0])


def test_bytes_are_counted_by_what_was_asked_for() -> None:
    heard = {}

    class Devtools:
        def on(self, name: str, handler: Any) -> None:
            heard[name] = handler

        def send(self, name: str) -> None:
            assert name == "Network.enable"

    devtools: Any = Devtools()
    traffic = Traffic(devtools)
    base = "http://localhost:1/data/plugin"
    paths = ("gradhealth/static/index.js", "gradhealth/tiles?run=a", "gradhealth/tiles?run=b", "scalars/tags")
    for index, path in enumerate((*paths, "../plugin_entry.html?name=gradhealth")):
        heard["Network.requestWillBeSent"](
            {"requestId": index, "request": {"url": f"{base}/{path}".replace("/plugin/..", "")}}
        )
        heard["Network.loadingFinished"]({"requestId": index, "encodedDataLength": 10**index})
    assert traffic.ours() == {"static": 10_001, "tiles": 110}


def test_a_state_is_written_as_tensorboard_writes_it() -> None:
    assert fragment({}) == "#gradhealth"
    assert fragment({"open": "all~.module-a b~"}) == "#gradhealth&p.gradhealth.v=1&p.gradhealth.open=all~.module-a%20b~"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("playwright"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit, match=r"pip install -r requirements/test\.txt"), browser.chromium():
        pass
    monkeypatch.undo()
    pytest.importorskip("playwright")
    monkeypatch.delenv("GRADHEALTH_CHROMIUM", raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install chromium"), browser.chromium():
        pass


def test_the_bundle_is_all_scripts() -> None:
    assert 20 < bundle_kb() < 200


def test_limits_are_those_of_the_large_cases() -> None:
    figure = Figure("f", 2.0, "ms", 1.0)
    assert [one.limit for one in command._kept("small", iter([figure]), True)] == [None]
    assert [one.limit for one in command._kept("large", iter([figure]), False)] == [1.0]


@pytest.mark.browser
def test_the_command_prints_and_writes_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SMALL", (replace(cases.SMALL[0], steps=1280, events=30),))
    shortest = ["--measure", "load", "--measure", "events", "--loads", "1", "--looks", "3"]
    main(["frontend", "--small", *shortest, "--json", str(tmp_path / "frontend.json")])
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "frontend.json").read_text())
    figures = [figure for some in written["figures"].values() for figure in some]
    assert all(figure["name"] in out for figure in figures)
    assert all(np.isfinite(figure["value"]) and figure["limit"] is None for figure in figures)
    names = " ".join(figure["name"] for figure in figures)
    for part in ("first complete paint", "on the wire", "bundle", "found by pixel"):
        assert part in names
    assert written["machine"]["chromium"] in out


@pytest.mark.browser
def test_a_picture_that_hides_events_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SMALL", (replace(cases.SMALL[0], steps=1280, events=30),))
    for colour in ("TOP", "BOTTOM", "NON_FINITE"):
        monkeypatch.setattr(seeing, colour, (1, 2, 3))
    with pytest.raises(SystemExit, match="no figure is printed"):
        main(["frontend", "--small", "--measure", "events", "--looks", "3"])
    assert capsys.readouterr().out == ""
