"""The routes answer as ``http_api.md`` says, on TensorBoard with and without its data server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradhealth_kernels.metrics import METRICS

from ..synthetic import NAMES, SESSION, Recording, recorded
from .board import Board
from .logs import HOSTILE_NAMES, HOSTILE_RUN

GOOD = {"run": "good/gradhealth"}
TILES = {**GOOD, "stream": "gradients", "metric": "norm", "view": "max"}


def test_every_run_is_listed_ours_first_with_its_state(board: Board) -> None:
    answer = board.get("runs")
    assert answer.headers["Content-Type"].startswith("application/json")
    runs = answer.json["runs"]
    assert [set(run) for run in runs] == [{"name", "label", "status", "problem", "revision"}] * len(runs)
    ours, others = [run for run in runs if run["status"] != "none"], [run for run in runs if run["status"] == "none"]
    assert runs == ours + others
    assert [run["label"] for run in ours] == sorted(run["label"] for run in ours)
    status = {run["label"]: run["status"] for run in runs}
    assert status == {
        ".": "ok",
        HOSTILE_RUN: "ok",
        "damaged": "ok",
        "flipped": "ok",
        "future": "unreadable",
        "good": "ok",
        "long": "ok",
        "restarted": "ok",
        "strange": "ok",
        "torn": "ok",
        "waiting": "waiting",
        "plain": "none",
    }
    assert others == [{"name": "plain", "label": "plain", "status": "none", "problem": None, "revision": 0}]
    assert board.runs()["good/gradhealth"]["problem"] is None


def test_meta_without_a_run_is_that_of_the_first_one_that_can_be_shown(board: Board) -> None:
    first = next(name for name, run in board.runs().items() if run["status"] == "ok")
    assert board.get("meta").json == board.get("meta", run=first).json


def test_meta_of_a_sound_run(board: Board) -> None:
    meta = board.get("meta", **GOOD).json
    recording = Recording(recorded(1))
    assert (meta["run"], meta["label"], meta["problem"]) == ("good/gradhealth", "good", None)
    assert meta["revision"] == board.runs()["good/gradhealth"]["revision"]
    assert (meta["steps"], meta["cell"], meta["levels"]) == ([0, 237], 10, 1)
    assert meta["streams"] == [
        {"name": "gradients", "label": "Gradients (applied)", "what": "gradient", "sampled": False, "histogram": False}
    ]
    assert meta["stream"] == "gradients"
    assert meta["metrics"] == [
        {key: getattr(m, key) for key in ("name", "label", "unit", "kind", "scale", "meaning", "group")}
        for m in METRICS
    ]
    assert [view["name"] for view in meta["views"]] == ["max", "mean", "min", "worst"]
    nodes = meta["nodes"]
    assert nodes["name"] == list(recording.tree.names)
    assert nodes["parent"] == recording.tree.parent.tolist()
    assert nodes["kind"][0] == "total"
    for i, kind in enumerate(nodes["kind"]):
        assert (nodes["shape"][i], nodes["dtype"][i]) == (([6], "float32") if kind == "tensor" else (None, None))
    assert nodes["size"][0] == 6 * len(NAMES)
    assert nodes["size"][nodes["name"].index("blocks.0")] == 18
    assert meta["sessions"] == [{"id": SESSION, "start": 0, "stop": 237, "wall_time": 1.7e9}]
    assert nodes["aliases"] == [[] for _ in nodes["name"]]


def test_a_longer_run_has_the_levels_to_fit_in_one_tile(board: Board) -> None:
    meta = board.get("meta", run="long/gradhealth").json
    assert (meta["cell"], meta["levels"]) == (1, 3), "1,500 cells, 750, 375"


def test_the_users_own_file_above_ours_is_no_second_run(board: Board) -> None:
    assert "good" not in board.runs()
    assert board.get("runs_listing", root="data/").status == 404 or "good" in board.get("runs", root="data/").json


def test_rows_before_a_damaged_record_are_shown(board: Board) -> None:
    """What comes behind it is TensorBoard's to read or not: if it does, a coarser row stands in for what is damaged."""
    steps = board.get("meta", run="flipped/gradhealth").json["steps"]
    assert steps[0] == 0
    assert steps[1] >= 30
    cell = board.get("cell", run="flipped/gradhealth", stream="gradients", node=0, level=0, index=2).json
    assert (cell["steps"], cell["recorded"]) in (([20, 30], 10), ([0, 60], 60))


def test_a_restarted_run_is_one_history(board: Board) -> None:
    meta = board.get("meta", run="restarted/gradhealth").json
    assert meta["steps"] == [0, 100]
    found = [(session["id"], session["start"], session["stop"]) for session in meta["sessions"]]
    assert found == [(SESSION, 0, 60), ("f" * 16, 40, 100)]


def test_names_from_files_come_back_as_they_are(board: Board) -> None:
    meta = board.get("meta", run=f"{HOSTILE_RUN}/gradhealth").json
    assert meta["label"] == HOSTILE_RUN
    assert set(HOSTILE_NAMES) <= set(meta["nodes"]["name"])


def test_a_cell_has_the_figures_behind_it(board: Board) -> None:
    meta = board.get("meta", **GOOD).json
    node = meta["nodes"]["name"].index("blocks")
    cell = board.get("cell", **GOOD, stream="gradients", node=node, level=0, index=12).json
    assert (cell["node"], cell["steps"], cell["recorded"], cell["with_data"]) == (node, [120, 130], 10, 10)
    assert cell["first_bad"] == 123
    assert cell["counts"] == {
        "count": 240,
        "zero": 0,
        "near_zero": 0,
        "saturated": 0,
        "nan": 1,
        "pos_inf": 0,
        "neg_inf": 0,
    }
    assert list(cell["metrics"]) == [metric.name for metric in METRICS]
    for figures in cell["metrics"].values():
        assert list(figures) == ["mean", "min", "max", "worst", "worst_node", "worst_steps"]
        assert figures["min"] <= figures["mean"] * 1.002
        assert figures["mean"] <= figures["max"] * 1.002
        assert meta["nodes"]["kind"][figures["worst_node"]] == "tensor"
        assert figures["worst_steps"] == [120, 130]
    assert cell["metrics"]["nonfinite"]["max"] == 1


def test_the_last_cell_says_how_far_it_has_come(board: Board) -> None:
    cell = board.get("cell", **GOOD, stream="gradients", node=0, level=0, index=23).json
    assert (cell["steps"], cell["recorded"], cell["first_bad"]) == ([230, 237], 7, None)


def test_a_tensor_without_any_data_in_a_cell_has_null_figures(board: Board) -> None:
    meta = board.get("meta", run="damaged/gradhealth").json
    assert "1 rows of session 0123456789abcdef are damaged" in meta["problem"]
    missing = board.get("cell", run="damaged/gradhealth", stream="gradients", node=0, level=0, index=1)
    assert missing.status == 400
    assert "no step was recorded in cell 1 of level 0" in missing.json["error"]
    half = board.get("cell", run="damaged/gradhealth", stream="gradients", node=0, level=1, index=0).json
    assert (half["steps"], half["recorded"]) == ([0, 10], 10)


@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        ("tiles", {}, 400, "run: expected a value"),
        ("meta", {"run": ""}, 400, "run: expected a value"),
        ("meta", {"run": "nope"}, 404, "no run of that name"),
        ("meta", {"run": "../../etc"}, 404, "no run of that name"),
        ("meta", {"run": "plain"}, 404, "no run of that name"),
        ("meta", {"run": "future/gradhealth"}, 422, "format version 3 is unknown here"),
        ("meta", {"run": "waiting/gradhealth"}, 422, "no row yet"),
        ("tiles", {**TILES, "run": "waiting/gradhealth", "ids": "0.0.0"}, 422, "no row yet"),
        ("tiles", {**TILES, "stream": "weights", "ids": "0.0.0"}, 400, "stream: expected one of gradients"),
        ("tiles", {**TILES, "metric": "constructor", "ids": "0.0.0"}, 400, "metric: expected one of norm, rms"),
        ("tiles", {**TILES, "view": "sum", "ids": "0.0.0"}, 400, "view: expected one of max, mean, min, worst"),
        ("tiles", TILES, 400, "ids: expected a value"),
        ("tiles", {**TILES, "ids": "0.0"}, 400, "level.row.column"),
        ("tiles", {**TILES, "ids": "0.0.-1"}, 400, "level.row.column"),
        ("tiles", {**TILES, "ids": "0.0.٣"}, 400, "level.row.column"),
        ("tiles", {**TILES, "ids": "0.0." + "9" * 30}, 400, "level.row.column"),
        ("tiles", {**TILES, "ids": "63.0.0"}, 400, "a level up to 62"),
        ("tiles", {**TILES, "ids": ",".join(["0.0.0"] * 16)}, 400, "at most 15 tiles"),
        ("cell", {**GOOD, "stream": "gradients", "node": 99, "level": 0, "index": 0}, 400, "from 0 to"),
        ("cell", {**GOOD, "stream": "gradients", "node": "x", "level": 0, "index": 0}, 400, "node: expected a whole"),
        ("cell", {**GOOD, "stream": "gradients", "node": 0, "level": 63, "index": 0}, 400, "level: expected a whole"),
        ("cell", {**GOOD, "stream": "gradients", "node": 0, "level": 0, "index": 24}, 400, "no step was recorded"),
        ("cell", {**GOOD, "stream": "gradients", "node": 0, "level": 62, "index": 2**40}, 400, "no step was recorded"),
    ],
)
def test_errors_are_json_with_a_status_and_words(
    board: Board, path: str, query: dict[str, Any], status: int, says: str
) -> None:
    answer = board.get(path, **query)
    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert says in answer.json["error"]
    assert len(answer.json["error"]) < 400


def test_the_coarsest_level_there_is_holds_the_whole_run(board: Board) -> None:
    cell = board.get("cell", **GOOD, stream="gradients", node=0, level=62, index=0).json
    assert (cell["steps"], cell["recorded"]) == ([0, 237], 237)


def test_with_and_without_the_data_server_every_answer_is_the_same(board_with: Callable[[str], Board]) -> None:
    rust, python = board_with("true"), board_with("false")
    # Of these two, each finds other faults first.
    names = [name for name in rust.runs() if name not in ("strange/gradhealth", "flipped/gradhealth")]
    everything: dict[str, list[dict[str, Any]]] = {
        "meta": [{"run": name} for name in names],
        "tiles": [
            {"run": name, "stream": "gradients", "metric": metric, "view": view, "ids": "0.0.0,1.0.0,2.0.1"}
            for name in ("good/gradhealth", "long/gradhealth", "restarted/gradhealth", "torn/gradhealth")
            for metric, view in (("norm", "max"), ("norm", "worst"))
        ],
        "cell": [{"run": name, "stream": "gradients", "node": 1, "level": 1, "index": 2} for name in names],
        "values": [{**TILES, "run": name, "begin": 3, "end": 57} for name in names],
        "lines": [{**TILES, "run": name, "nodes": "0,2", "begin": 3, "end": 1000, "cells": 9} for name in names],
        "rows": [{"run": name, "stream": "gradients", "node": 1, "begin": 0, "end": 100} for name in names],
        "overview": [{"run": name, "begin": 0, "end": 2000, "cells": 40} for name in names],
        "alerts": [{"run": name, "stream": "gradients"} for name in names],
        "export.csv": [{**TILES, "run": name, "begin": 0, "end": 2000, "cells": 30} for name in names],
    }
    for path, queries in everything.items():
        for query in queries:
            one, two = (board.get(path, **query) for board in (rust, python))
            assert (one.status, one.body) == (two.status, two.body), (path, query)
    assert [rust.runs()[name] for name in names] == [python.runs()[name] for name in names]
