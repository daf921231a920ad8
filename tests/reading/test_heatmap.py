"""``read``: nodes × cells, against values computed from the gradients themselves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_gradhealth import open_run
from tb_gradhealth.reading.choose import AskedError
from tb_gradhealth.reading.opened import OpenRun
from tb_gradhealth.store.timeline import View
from tests.planted import BAD, EVERY, MISSING, NODES, RELATIVE, ROWS, SPIKE, STEPS, Planted, over
from tests.synthetic import NAMES, Recording, recorded


@pytest.mark.parametrize(("view", "combine"), [("mean", None), ("min", np.minimum), ("max", np.maximum)])
def test_the_finest_rows(run: OpenRun, truth: Planted, view: View, combine: np.ufunc | None) -> None:
    found = run.read(view=view)
    assert found.steps.tolist() == [list(row) for row in ROWS]
    assert found.values.shape == (len(NODES), len(ROWS))
    for node, values in zip(found.nodes, found.values, strict=True):
        np.testing.assert_allclose(values, over(truth.norm(node), combine, ROWS), RELATIVE)


def test_worst_is_the_largest_tensor_inside(run: OpenRun, truth: Planted) -> None:
    found = run.read(view="worst")
    for node, values in zip(found.nodes, found.values, strict=True):
        tensors = [over(truth.norm(NAMES[i]), np.maximum, ROWS) for i in truth.inside(node)]
        np.testing.assert_allclose(values, np.fmax.reduce(tensors), RELATIVE)


def test_flags_say_what_a_node_had_in_a_row(run: OpenRun) -> None:
    found = run.read()
    expected = {(step // EVERY): 0 for step, _, _ in BAD}
    for step, _, value in BAD:
        expected[step // EVERY] |= 1 if np.isnan(value) else 2 if value > 0 else 4
    embed = found.flags[found.nodes.index("embed")].tolist()
    assert embed == [expected.get(row, 0) for row in range(len(ROWS))]
    head = found.flags[found.nodes.index("head.weight")].tolist()
    assert head == [8 if first < MISSING[1] and stop > MISSING[0] else 0 for first, stop in ROWS]


@pytest.mark.parametrize("view", ["mean", "min", "max", "worst"])
def test_cells_are_the_rows_that_they_cover(run: OpenRun, truth: Planted, view: View) -> None:
    found = run.read(nodes=["blocks", "embed"], width=3, view=view)
    assert found.nodes == ("embed", "blocks")
    assert found.values.shape[1] <= 3
    intervals = [(first, stop) for first, stop in found.steps.tolist()]
    assert intervals[0][0] == 0
    assert intervals[-1][1] >= STEPS
    assert all(a[1] == b[0] for a, b in itertools.pairwise(intervals))
    combine = {"mean": None, "min": np.minimum}.get(view, np.maximum)
    for node, values in zip(found.nodes, found.values, strict=True):
        inside = [NAMES[i] for i in truth.inside(node)] if view == "worst" else [node]
        expected = np.fmax.reduce([over(truth.norm(name), combine, intervals) for name in inside])
        np.testing.assert_allclose(values, expected, RELATIVE)


def test_a_spike_of_one_step_is_in_the_coarsest_cell(run: OpenRun, truth: Planted) -> None:
    found = run.read(nodes="blocks.1.attn.weight", width=1, view="max")
    np.testing.assert_allclose(found.values, [[truth.norm("blocks.1.attn.weight")[SPIKE]]], RELATIVE)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("embed", ["embed"]),
        ("", [""]),
        ("blocks.*.attn.*", ["blocks.0.attn.weight", "blocks.0.attn.bias", "blocks.1.attn.weight"]),
        (["*.bias", "head.weight"], ["blocks.0.attn.bias", "head.weight"]),
        ("blocks.?", ["blocks.0", "blocks.1"]),
    ],
)
def test_nodes_by_name_and_pattern(run: OpenRun, asked: str | list[str], found: list[str]) -> None:
    assert sorted(run.read(nodes=asked).nodes) == sorted(found)


def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    names = ("layers[0].weight", "layers0.weight")
    Recording(recorded(20, 2), names=names).write(tmp_path / "gradhealth")
    assert open_run(tmp_path).read(nodes="layers[0].weight").nodes == ("layers[0].weight",)
    assert open_run(tmp_path).read(nodes="layers?.weight").nodes == ("layers0.weight",)


@pytest.mark.parametrize(
    ("steps", "rows"),
    [
        ((40, 60), [(40, 50), (50, 60)]),
        ((45, 51), [(40, 50), (50, 60)]),
        ((90, None), [(90, 95)]),
        ((None, 10), [(0, 10)]),
        (slice(10, 20), [(10, 20)]),
        ((94, 10_000), [(90, 95)]),
        ((500, 600), []),
        ((20, 20), []),
    ],
)
def test_an_interval_of_steps(run: OpenRun, steps: tuple[int, int] | slice, rows: list[tuple[int, int]]) -> None:
    assert list(map(tuple, run.read(steps=steps).steps.tolist())) == rows
    assert sorted({(line["start"], line["stop"]) for line in run.rows(steps=steps)}) == rows
    assert run.read(steps=steps, width=1).values.shape == (len(NODES), min(len(rows), 1))


def test_a_heatmap_as_a_frame(run: OpenRun) -> None:
    found = run.read(nodes="blocks.*.attn.*")
    frame = found.to_pandas()
    assert frame.index.tolist() == [first for first, _ in ROWS]
    for node, values in zip(found.nodes, found.values, strict=True):
        assert frame[node].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"stream": "activations"}, "stream: expected one of gradients, got 'activations'"),
        ({"metric": "nrom"}, "metric: expected one of norm, rms, "),
        ({"view": "median"}, "view: expected one of mean, min, max, worst, got 'median'"),
        ({"nodes": "blocks.0.atn"}, "fits none of 13 nodes (near it: 'blocks.0.attn'"),
        ({"steps": (5, 2)}, "steps: expected 0 <= first <= end of an interval [first, end), got (5, 2)"),
        ({"steps": (-5, 2)}, "got (-5, 2)"),
        ({"steps": 7}, "steps: expected (first, end), half-open, got 7"),
        ({"steps": slice(0, 9, 2)}, "leave out the stride"),
        ({"width": 0}, "width: expected 1 or more, got 0"),
    ],
)
def test_what_does_not_exist(run: OpenRun, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(AskedError) as caught:
        run.read(**asked)
    assert said in str(caught.value)
