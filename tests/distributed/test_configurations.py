"""Rows equal the gradients that the optimizer consumed, however these are spread over processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth import open_run
from tb_gradhealth.store.cells import Grid
from tests.writer.loops import cells, node, timeline

from .compare import check_rows, check_whole
from .configurations import RUNS, Run, Setup, fsdp2, fsdp2_tp, hsdp, tp, tp_partial, zero
from .model import Net
from .oracle import Oracle, load
from .record import Report

#: Coding of magnitudes in the file: at most 0.18 % (docs/format.md).
CODED = 2e-3

ALL = [run for runs in RUNS.values() for run in runs]
WHOLE = [run for run in ALL if run.whole and str(run) != "plain-1-whole-1"]

Launched = Callable[[int], Path]


@pytest.fixture
def directory(run: Run, launched: Launched) -> Path:
    """The results of the run that the test is parametrized with."""
    return _finished(launched, run)


def _finished(launched: Launched, run: Run) -> Path:
    directory = launched(run.processes) / str(run)
    for rank in range(run.processes):
        assert (directory / f"{rank}.json").exists(), f"rank {rank} did not finish {run}"
    return directory


@pytest.mark.parametrize("run", ALL, ids=str)
def test_rows_are_the_gradients_that_the_optimizer_consumed(run: Run, directory: Path) -> None:
    oracle, rows = Oracle(directory), load(directory / "0.npz")
    assert oracle.steps == run.steps
    check_whole(rows, run.steps, run.every)
    check_rows(rows, oracle)


@pytest.mark.parametrize(
    ("build", "processes", "kinds"),
    [
        (zero, 2, set()),
        (fsdp2, 2, {"Shard"}),
        (fsdp2, 4, {"Shard", "empty"}),
        (hsdp, 4, {"Replicate", "Shard"}),
        (tp, 2, {"Replicate", "Shard"}),
        (tp_partial, 2, {"Partial", "Replicate", "Shard"}),
        (fsdp2_tp, 4, {"Replicate", "Shard", "StridedShard"}),
    ],
)
def test_the_gradients_are_spread_as_meant(
    build: Callable[[Net], Setup], processes: int, kinds: set[str], launched: Launched
) -> None:
    directory = _finished(launched, Run(build, processes))
    assert kinds == {kind for rank in range(processes) for kind in Report.load(directory, rank).placements}


@pytest.mark.parametrize("run", ALL, ids=str)
def test_one_file_under_the_names_of_the_bare_model(run: Run, directory: Path) -> None:
    reports = [Report.load(directory, rank) for rank in range(run.processes)]
    assert [report.warnings for report in reports] == [[]] * run.processes
    assert [report.problems for report in reports] == [0] * run.processes
    assert [report.steps for report in reports] == [run.steps] * run.processes
    assert [report.rows > 0 for report in reports] == [rank == 0 for rank in range(run.processes)]
    assert len(list((directory / "run" / "gradhealth").glob("*tfevents*"))) == 1
    history, oracle = timeline(directory / "run"), Oracle(directory)
    assert (history.first, history.end, len(history.sessions)) == (0, run.steps, 1)
    assert set(history.tensors) == {name for name, _ in Net().named_parameters()}
    for name, shape in oracle.shapes().items():
        assert history.tensors[name].shape == shape, name
    for name in ("", "up", "head.bias"):
        tally = history.tally(np.array([node(history, name)]), Grid(0, run.every, -(-run.steps // run.every)))
        found = cells(history, "norm", name, run.every)
        for row, start in enumerate(range(0, run.steps, run.every)):
            stop = min(start + run.every, run.steps)
            norms = oracle.over(name, "norm", start, stop)
            expected = (norms.mean(), norms.min(), norms.max())
            np.testing.assert_allclose([plane[row] for plane in found], expected, CODED, err_msg=name)
            for kind, counts in tally.counts.items():
                assert counts[0, row] == oracle.over(name, kind, start, stop).sum(), (name, kind, start)


@pytest.mark.parametrize("run", ALL, ids=str)
def test_weights_and_updates_are_those_of_the_whole_model(run: Run, directory: Path) -> None:
    opened, weights, updates = open_run(directory / "run"), Oracle(directory, "weights"), Oracle(directory, "updates")
    sampled = range(0, run.steps, run.every)
    for stream, oracle in (("weights", weights), ("updates", updates)):
        assert set(opened.timeline(stream).tensors) == {name for name, _ in Net().named_parameters()}
        for metric in ("norm", "abs_max", "zero_fraction"):
            found = opened.read(stream, metric)
            assert found.steps[:, 0].tolist() == list(sampled)
            for node_name, values in zip(found.nodes, found.values, strict=True):
                expected = [oracle.figures(node_name, step)[metric] for step in sampled]
                np.testing.assert_allclose(values, expected, CODED, atol=1e-9, err_msg=f"{stream} {metric} {node_name}")
    found = opened.read("updates", "update_ratio")
    for node_name, values in zip(found.nodes, found.values, strict=True):
        norms = [(updates.figures(node_name, s)["norm"], weights.figures(node_name, s)["norm"]) for s in sampled]
        expected = [moved / weight if weight else float(moved > 0) for moved, weight in norms]
        np.testing.assert_allclose(values, expected, CODED, atol=1e-9, err_msg=node_name)


@pytest.mark.parametrize("run", ALL, ids=str)
def test_replicas_that_agree_raise_no_finding(run: Run, directory: Path) -> None:
    notes, complete = timeline(directory / "run").notes(0, 10**9, 1000)
    assert [note for note in notes if note.kind == "diverged"] == []
    assert complete


@pytest.mark.parametrize("run", WHOLE, ids=str)
def test_on_whole_numbers_rows_equal_the_plain_ones_to_the_bit(run: Run, directory: Path, launched: Launched) -> None:
    plain = _finished(launched, next(run for run in RUNS[1] if str(run) == "plain-1-whole-1"))
    expected, found = load(plain / "0.npz"), load(directory / "0.npz")
    # The batch is the same, so the gradients themselves must be: otherwise this test says nothing.
    for name, gradient in load(plain / "gradients.npz").items():
        np.testing.assert_array_equal(load(directory / "gradients.npz")[name], gradient, err_msg=name)
        np.testing.assert_array_equal(np.rint(gradient), gradient, err_msg=name)
    order = [found["nodes"].tolist().index(name) for name in expected["nodes"].tolist()]
    assert len(order) == len(found["nodes"])
    for plane in ("start", "stop"):
        np.testing.assert_array_equal(found[plane], expected[plane])
    for plane in ("steps", "finite_steps", "first_bad", "counts", "sum", "min", "max"):
        assert found[plane][..., order].tobytes() == expected[plane].tobytes(), plane
