"""``python -m bench store``: what it records is what the writer would, and it prints nothing that is not so."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import main
from bench.store import board, cases, checking, command, finding, measures, writing
from bench.store.alone import shown
from bench.store.cases import Case
from bench.store.figure import Figure, WrongResult, quantiles
from bench.store.model import gpt
from bench.store.progress import Progress
from bench.store.recording import every_row, sampled_rows
from bench.store.screen import Extent, Tile, decoded
from bench.store.training import DROP, KINDS, SPIKE, Training, planted
from bench.store.writing import directory, recorded
from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import merge as merge_space
from tb_gradhealth import rows as interval
from tb_gradhealth.plugin import tiles
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import Timeline

LONG = Case("long", 16, 1280, events=60)
WIDE = Case("wide", 28, 2560, archive=False, sampled=True)
ARCHIVE = Case("archive", 16, 640)
#: So little that no level goes out in full.
BUDGET = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def timeline(logdir: Path) -> Timeline:
    return open_directory(directory(logdir)).timeline("gradients")


@pytest.mark.parametrize("tensors", [16, 100, 1000, 10_000])
def test_a_model_has_the_tensors_asked_for(tensors: int) -> None:
    model = gpt(tensors)
    assert len(model.shapes) == tensors
    assert model.sizes[0] == 50_304 * 768
    assert model.schema(10, "0" * 16).every == 10


@pytest.mark.parametrize("tensors", [4, 15, 17])
def test_no_model_has_part_of_a_block(tensors: int) -> None:
    with pytest.raises(ValueError, match=f"expected 16, 28, 40, … tensors, got {tensors}"):
        gpt(tensors)


def test_steps_are_the_same_however_they_are_asked_for() -> None:
    training = Training(gpt(16), 200, 40, 1, planted(20, 200, 16, 1))
    whole = training.entries(0, 200)
    parts = [training.entries(first, stop) for first, stop in itertools.pairwise((0, 7, 40, 121, 200))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(Training(gpt(16), 200, 40, 1, training.events).entries(33, 90), whole[33:90])


def test_made_up_entries_are_such_as_a_tensor_can_have() -> None:
    entries = Training(gpt(16), 4000, 160, 2, planted(500, 4000, 16, 2)).entries(0, 4000)
    norm = np.sqrt(entries["sum_sq"])
    assert (entries["zero"] <= entries["near_zero"]).all()
    assert (entries["near_zero"] <= entries["count"]).all()
    assert (entries["abs_max"] <= norm * (1 + 1e-9)).all()
    assert (entries["sum_abs"] <= norm * np.sqrt(entries["count"]) * (1 + 1e-9)).all()
    usual = norm[(norm > 0) & (norm < SPIKE / 10)]
    assert 100 * DROP < np.percentile(usual, 6) < np.percentile(usual, 94) < SPIKE / 100


def test_events_are_where_they_are_said_to_be() -> None:
    events = planted(90, 500, 16, 3)
    assert len(set(zip(events.step.tolist(), events.tensor.tolist(), strict=True))) == 90
    assert np.bincount(events.kind).tolist() == [30, 30, 30]
    entries = Training(gpt(16), 500, 100, 3, events).entries(0, 500)[events.step, events.tensor]
    spikes, drops, bad = (events.kind == kind for kind in range(len(KINDS)))
    for some in (spikes, drops):
        assert np.sqrt(entries["sum_sq"][some]) == pytest.approx(events.size[some])
    assert entries["nan"][bad].tolist() == events.size[bad].tolist()
    assert (entries["near_zero"][drops] == entries["count"][drops]).all()


def test_rows_are_those_of_the_builder() -> None:
    training = LONG.training()
    builder = RowBuilder(LONG.tree, METRICS, LONG.every)
    expected = []
    for first in range(0, LONG.steps, 7):
        stop = min(first + 7, LONG.steps)
        logged = [("loss", training.loss(step)) for step in range(first, stop)]
        expected += builder.add(Block(first, Ready(training.entries(first, stop)), logged))
    made = list(every_row(training, LONG.tree, LONG.every))
    assert len(made) == len(expected) == LONG.steps // LONG.every
    for row, other in zip(made, expected, strict=True):
        for name, value in vars(row.rows).items():
            theirs = getattr(other.rows, name)
            if name == "sum":  # in another order
                np.testing.assert_allclose(value, theirs, rtol=1e-12)
            else:
                assert np.array_equal(value, theirs), name
        assert row.scalars["loss"].count == LONG.every


def test_a_sampled_row_says_that_one_step_was_measured() -> None:
    training, tree = WIDE.training(), WIDE.tree
    first, second = sampled_rows(training, tree, 160, 480, 160)
    assert (first.start, first.stop, second.start, second.stop) == (160, 320, 320, 480)
    assert (first.rows.recorded == 1).all()
    entries = merge_space(training.entries(2, 3)[:, tree.leaf_order], tree.start, tree.stop)
    assert np.array_equal(second.rows.max, interval.from_steps(2, entries).max)


def test_a_tile_says_what_the_plugin_put_into_it(folder: Path) -> None:
    one = timeline(recorded(LONG, folder / "long", BUDGET).logdir)
    cells = tiles.grid(one, 0, 0, 512)
    which = np.arange(len(one.tree))
    for metric, view in (("norm", "max"), ("near_zero_fraction", "mean")):
        tile = decoded(shown(one, Tile(metric, view, 0, 0, 0)))
        exact = one.plane(metric, which, cells, view)
        assert tile.values.shape == exact.shape
        np.testing.assert_allclose(tile.values, exact, rtol=2**-8)
        assert np.array_equal(tile.flags & 15, one.flags(which, cells))
    with pytest.raises(ValueError, match="expected one tile of"):
        decoded(shown(one, Tile("norm", "max", 0, 0, 0))[:-1])


def test_sampled_tiles_are_full_ones_of_every_level_metric_and_view() -> None:
    whole = Extent(1_000_000, 10, 9, 177, ["a", "b"], ["max", "min"])
    sample = whole.sample(400, seed=0)
    assert {tile.level for tile in sample} == set(range(9))
    assert {(tile.metric, tile.view) for tile in sample} == set(itertools.product("ab", ("max", "min")))
    assert all((tile.column + 1) * 512 * (10 << tile.level) <= 1_000_000 for tile in sample if tile.level < 8)
    assert all(tile.row in (0, 1) for tile in sample)
    assert [tile.row for tile in whole.first_screen] == [0, 1]


@pytest.mark.parametrize("case", [LONG, WIDE, ARCHIVE], ids=lambda case: case.name)
def test_what_is_recorded_reads_back(case: Case, folder: Path) -> None:
    one = recorded(case, folder / case.name, BUDGET)
    assert one.rows[0] * case.every >= one.whole
    assert (one.whole == case.steps) == (not case.sampled)
    assert measures.checked(one) > 1000
    for logdir in (one.logdir, one.overview):
        assert timeline(logdir).end == case.steps
    assert timeline(one.logdir).full == case.archive
    assert not timeline(one.overview).full


def test_a_recording_is_made_once(folder: Path) -> None:
    one = recorded(ARCHIVE, folder / "archive", BUDGET)
    files = sorted(one.folder.rglob("*tfevents*"))
    assert recorded(ARCHIVE, folder / "archive", BUDGET) == one
    assert sorted(one.folder.rglob("*tfevents*")) == files
    changed = recorded(replace(ARCHIVE, seed=6), folder / "archive", BUDGET)
    assert sorted(changed.folder.rglob("*tfevents*")) != files


@pytest.mark.parametrize("change", [{"seed": 9}, {"steps": 2560}], ids=str)
def test_another_training_is_not_taken_for_the_recorded_one(change: dict[str, int], folder: Path) -> None:
    one = recorded(LONG, folder / "long", BUDGET)
    other = replace(LONG, **change)
    with pytest.raises(WrongResult, match="long"):
        checking.check(other, other.steps, timeline(one.logdir), seed=0)


@pytest.mark.parametrize("tiers", ["logdir", "overview"])
def test_planted_events_are_found_and_others_are_not(tiers: str, folder: Path) -> None:
    one = timeline(getattr(recorded(LONG, folder / "long", BUDGET), tiers))
    events = LONG.training().events
    with Progress("looking", finding.looks(one)) as progress:
        assert finding.seen(one, events, progress) == dict.fromkeys([*KINDS, "worst tensor inside"], 1.0)
        larger = finding.seen(one, replace(events, size=np.where(events.kind == 1, 1e-3, 100) * events.size), progress)
    assert larger["spike"] < 0.1
    assert larger["drop"] < 0.9
    assert larger["worst tensor inside"] < 0.5


def test_a_clock_of_its_own_is_given_back(folder: Path) -> None:
    import time

    with writing.paced() as clock:
        clock.seconds = 7.0
        assert writing.event_tier.time.monotonic() == 7.0
    assert writing.event_tier.time is time


def test_a_figure_is_reached_or_not() -> None:
    assert Figure("a", 1.0, "s").met is None
    assert [Figure("a", value, "s", 2.0).met for value in (1.0, 2.0, 3.0)] == [True, True, False]
    assert [Figure("a", value, "%", 100.0, at_least=True).met for value in (99.0, 100.0)] == [False, True]
    middle, high = quantiles("tile", [0.01] * 18 + [0.03] * 2, [0.001] * 20, 20.0)
    assert (middle.value, middle.met) == (pytest.approx(10.0), None)
    assert (high.value, high.met) == (pytest.approx(30.0), False)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SMALL", (LONG, WIDE, ARCHIVE))
    monkeypatch.setattr(writing, "BUDGET", BUDGET)
    monkeypatch.setattr(measures, "STARTS", 1)


@pytest.mark.usefixtures("tiny")
def test_the_command_prints_and_writes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [f"--measure={name}" for name in ("size", "reader", "events")]
    main(["store", "--small", "--case", "long", *chosen, "--tiles", "3", "--json", str(tmp_path / "store.json")])
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "store.json").read_text())
    assert written["cases"]["long"]["steps"] == LONG.steps
    assert written["machine"]["tensorboard"] in out
    figures = {figure["name"]: figure for figure in written["figures"]["long"]}
    assert all(name in out for name in figures)
    for part in ("event tier", "archive, a cell", "both tiers: window of 1,000 steps, p95", "overview: spike visible"):
        assert part in figures
    assert figures["both tiers: drop visible"]["value"] == 100
    assert all(figure["limit"] is None for figure in figures.values())
    assert all(np.isfinite(figure["value"]) for figure in figures.values())


@pytest.mark.usefixtures("tiny")
def test_tensorboard_answers_with_and_without_its_fast_server(capsys: pytest.CaptureFixture[str]) -> None:
    main(["store", "--small", "--case", "wide", "--measure", "tensorboard", "--tiles", "3"])
    out = capsys.readouterr().out
    for server in ["Rust server"] * board.fast_server() + ["Python server"]:
        for figure in ("ready", "first heatmap", "tile, first time, p95", "memory, looked around"):
            assert f"overview, {server}: {figure}" in out


@pytest.mark.usefixtures("tiny")
def test_writing_is_measured_part_by_part(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.encoding, "ROWS", 16)
    monkeypatch.setattr(command.encoding, "BLOCKS", 3)
    main(["store", "--small", "--case", "archive", "--measure", "encoding"])
    out = capsys.readouterr().out
    for part in ("coding", "event tier", "archive", "building rows from steps", "handing a block over"):
        assert part in out


@pytest.mark.usefixtures("tiny")
def test_wrong_results_are_not_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(checking.BOUND, "magnitude", 1e-9)
    with pytest.raises(SystemExit, match=r"read was .*: no figure is printed"):
        main(["store", "--small", "--case", "archive", "--measure", "size"])
    assert capsys.readouterr().out == ""


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit):
        main(["store", "--folder", str(file)])
    assert "--folder: expected a folder" in capsys.readouterr().err


def test_the_cases_are_those_of_the_figures() -> None:
    shapes = {case.name: (case.tensors, case.steps // case.every, case.archive) for case in cases.CASES}
    assert shapes == {
        "long": (100, 100_000, True),
        "wide": (10_000, 100_000, False),
        "archive": (1000, 20_000, True),
    }
    assert [case.name for case in cases.SMALL] == list(shapes)
