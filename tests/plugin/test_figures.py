"""Values, lines and rows are what the steps say, as the training had them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gradhealth_kernels import metrics
from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import COUNTS, Entries, merge
from tb_gradhealth.plugin.figures import listed

from .board import Board
from .logs import HOSTILE_RUN, LONG_ROWS, good

STEPS = 237
RUN = {"run": "good/gradhealth", "stream": "gradients"}
LONG = {"run": "long/gradhealth", "stream": "gradients"}
#: Of the codes in the file: relative, of a fraction to the nearer end, of signed figures to the largest behind it.
TOLERANCE = {"magnitude": 0.0018, "fraction": 0.0005, "signed": 0.000123, "count": 0.0}
TREE = good().tree


def entries() -> Entries:
    """``[step, node]`` of the good run."""
    return merge(good().entries[:, TREE.leaf_order], TREE.start, TREE.stop)


ENTRIES = entries()


def of_steps(metric: metrics.Metric, begin: int, end: int) -> npt.NDArray[np.float64]:
    """``[step, node]``."""
    return metrics.compute(ENTRIES[begin:end], [metric])[0]


def check(got: float | None, metric: metrics.Metric, view: str, node: int, begin: int, end: int) -> None:
    """A figure by its definition; None where no step has it."""
    if view == "worst":
        leaves = [leaf for leaf in TREE.leaf_nodes if TREE.start[node] <= TREE.start[leaf] < TREE.stop[node]]
        found, view = of_steps(metric, begin, end)[:, leaves].ravel(), "max"
    else:
        found = of_steps(metric, begin, end)[:, node]
    found = found[~np.isnan(found)]
    if not len(found):
        assert got is None
        return
    wanted = float(getattr(np, view)(found))
    scale = {"fraction": min(abs(wanted), 1 - wanted), "signed": np.abs(found).max()}.get(metric.kind, abs(wanted))
    assert got == pytest.approx(wanted, rel=0, abs=TOLERANCE[metric.kind] * scale + 1e-300)


def seen(node: int, begin: int, end: int) -> int:
    """The flags of a cell, by their definition."""
    inside = ENTRIES[begin:end, node]
    bits = sum(bit for name, bit in (("nan", 1), ("pos_inf", 2), ("neg_inf", 4)) if (inside[name] > 0).any())
    return bits + 8 * bool((inside["count"] == 0).any()) + 16 * (end > STEPS)


@pytest.mark.parametrize(
    ("begin", "end", "steps"),
    [(40, 120, [40, 120]), (45, 77, [40, 80]), (0, STEPS, [0, STEPS]), (31, 36, [30, 40]), (230, 10_000, [230, STEPS])],
)
@pytest.mark.parametrize("view", ["max", "mean", "min", "worst"])
def test_a_value_of_every_node_over_an_interval(
    board: Board, view: str, begin: int, end: int, steps: list[int]
) -> None:
    for metric in METRICS:
        answer = board.get("values", **RUN, metric=metric.name, view=view, begin=begin, end=end).json
        assert answer["steps"] == steps
        assert len(answer["values"]) == len(TREE)
        for node, value in enumerate(answer["values"]):
            check(value, metric, view, node, *steps)


@pytest.mark.parametrize(
    ("begin", "end", "cells", "edges"),
    [
        (0, STEPS, 2048, range(0, 250, 10)),
        (0, STEPS, 7, range(0, 250, 40)),
        (28, 63, 3, [20, 40, 60, 80]),
        (123, 124, 1, [120, 130]),
    ],
)
def test_lines_of_some_nodes(board: Board, begin: int, end: int, cells: int, edges: Sequence[int]) -> None:
    nodes = [5, 0, len(TREE) - 1, 5]
    for metric in METRICS:
        query = {"metric": metric.name, "nodes": ",".join(map(str, nodes)), "begin": begin, "end": end, "cells": cells}
        answer = board.get("lines", **RUN, **query).json
        assert answer["edges"] == list(edges)
        assert [line["node"] for line in answer["lines"]] == nodes
        for line in answer["lines"]:
            for cell, (first, last) in enumerate(itertools.pairwise(edges)):
                for view in ("mean", "min", "max"):
                    check(line[view][cell], metric, view, line["node"], first, last)
                assert line["flags"][cell] == seen(line["node"], first, last)


def test_numbers_that_are_not_finite_are_spelled_out_and_no_data_is_null() -> None:
    assert listed(np.array([1.5, np.nan, np.inf, -np.inf])) == [1.5, None, "Infinity", "-Infinity"]


def test_rows_hold_all_that_is_known_of_a_node(board: Board) -> None:
    for node in (0, TREE.names.index("blocks.0"), TREE.names.index("blocks.0.attn.bias")):
        answer = board.get("rows", **RUN, node=node, begin=15, end=1000).json
        assert answer["complete"] is True
        assert [row["steps"] for row in answer["rows"]] == [[a, min(a + 10, STEPS)] for a in range(10, STEPS, 10)]
        for row in answer["rows"]:
            begin, end = row["steps"]
            inside = ENTRIES[begin:end, node]
            bad = np.flatnonzero(inside["nan"] + inside["pos_inf"] + inside["neg_inf"])
            assert (row["recorded"], row["with_data"]) == (end - begin, int((inside["count"] > 0).sum()))
            assert row["first_bad"] == (begin + int(bad[0]) if len(bad) else None)
            assert row["counts"] == {name: int(inside[name].sum()) for name in COUNTS}
            assert list(row["metrics"]) == [metric.name for metric in METRICS]
            for metric in METRICS:
                for view, got in row["metrics"][metric.name].items():
                    check(got, metric, view, node, begin, end)
            assert row["logged"] == {}
    first = board.get("rows", **RUN, node=0, begin=0, end=1).json
    assert [row["logged"] for row in first["rows"]] == [{"loss": {"mean": 2.0, "min": 2.0, "max": 2.0}}]


def test_no_more_than_200_rows_at_once(board: Board) -> None:
    answer = board.get("rows", **LONG, node=1, begin=7, end=LONG_ROWS).json
    assert [row["steps"] for row in answer["rows"]] == [[step, step + 1] for step in range(7, 207)]
    assert answer["complete"] is False
    assert board.get("rows", **LONG, node=1, begin=1300, end=LONG_ROWS).json["complete"] is True


def test_rows_of_a_restarted_run_show_each_step_once(board: Board) -> None:
    query = {"run": "restarted/gradhealth", "stream": "gradients", "node": 0, "begin": 0, "end": 100}
    rows = board.get("rows", **query).json["rows"]
    assert [row["steps"] for row in rows] == [[a, a + 10] for a in range(0, 100, 10)]


LINES = {**RUN, "metric": "norm", "nodes": "0", "begin": 0, "end": 100, "cells": 10}
VALUES = {**RUN, "metric": "norm", "view": "max", "begin": 0, "end": 100}
ROWS = {**RUN, "node": 0, "begin": 0, "end": 100}


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("values", {**VALUES, "metric": "x"}, "metric: expected one of norm, rms"),
        ("values", {**VALUES, "view": "sum"}, "view: expected one of max, mean, min, worst"),
        ("values", {**VALUES, "stream": "weights"}, "stream: expected one of gradients"),
        ("values", {**VALUES, "begin": 100}, "begin < end, got [100, 100)"),
        ("values", {**VALUES, "begin": -1}, "begin: expected a whole number from 0"),
        ("values", {**VALUES, "end": 2**62 + 1}, "end: expected a whole number from 0"),
        ("values", {**VALUES, "begin": 237, "end": 300}, "expected steps of [0, 237), which the run has"),
        ("lines", {**LINES, "nodes": ""}, "nodes: expected a value"),
        ("lines", {**LINES, "nodes": "0,,1"}, "nodes: expected a whole number from 0 to 12, got ''"),
        ("lines", {**LINES, "nodes": "13"}, "nodes: expected a whole number from 0 to 12, got '13'"),
        ("lines", {**LINES, "nodes": "٣"}, "nodes: expected a whole number from 0 to 12"),
        ("lines", {**LINES, "nodes": ",".join(["0"] * 17)}, "nodes: expected at most 16"),
        ("lines", {**LINES, "cells": 0}, "cells: expected a whole number from 1 to 2048, got '0'"),
        ("lines", {**LINES, "cells": 2049}, "cells: expected a whole number from 1 to 2048, got '2049'"),
        ("rows", {**ROWS, "node": 13}, "node: expected a whole number from 0 to 12"),
        ("rows", {**ROWS, "end": 0}, "begin < end"),
    ],
)
def test_wrong_arguments_are_told(board: Board, path: str, query: dict[str, Any], says: str) -> None:
    answer = board.get(path, **query)
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert says in answer.json["error"]


@pytest.mark.parametrize(("path", "query"), [("values", VALUES), ("lines", LINES), ("rows", ROWS)])
def test_runs_without_data(board: Board, path: str, query: dict[str, Any]) -> None:
    assert board.get(path, **{**query, "run": "nope"}).status == 404
    assert board.get(path, **{**query, "run": "waiting/gradhealth"}).status == 422


def test_a_run_of_hostile_names_has_figures(board: Board) -> None:
    query = {**VALUES, "run": f"{HOSTILE_RUN}/gradhealth"}
    values = board.get("values", **query).json["values"]
    assert all(value is not None and math.isfinite(value) for value in values)
