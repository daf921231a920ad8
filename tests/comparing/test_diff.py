"""``diff``: where two runs part, against trainings whose gradients are known and figures made up step by step."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from gradhealth_kernels.statistics import Entries, neutral
from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.cli.command import main
from tb_gradhealth.comparing import compare, diff
from tb_gradhealth.reading.opened import OpenRun
from tests.synthetic import NAMES, Recording, gradients, measure, measured
from tests.writer.loops import Net

STEPS, CHANGED, EVERY = 60, 33, 4
Floats = npt.NDArray[np.float64]


def train(logdir: Path, changed: int | None = None, **options: Any) -> Floats:
    """A small training; from step ``changed`` on its data are others. The norms of its gradients ``[step, tensor]``."""
    model, generator = Net(), torch.Generator().manual_seed(1)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01)
    norms = []
    with GradHealthWriter(optimizer, model, logdir=logdir, every=EVERY, streams=["weights"], **options):
        for step in range(STEPS):
            x = torch.randn(8, 6, generator=generator)
            x = x + 0.5 if changed is not None and step >= changed else x
            optimizer.zero_grad()
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
            optimizer.gradhealth.log(loss=loss)
            grads = [one.grad for one in model.parameters() if one.grad is not None]
            norms.append([float(grad.double().norm()) for grad in grads])
            optimizer.step()
    return np.array(norms)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Floats]]:
    root = tmp_path_factory.mktemp("twins")
    return root, [train(root / "first"), train(root / "second"), train(root / "other", CHANGED)]


def first_by_hand(a: OpenRun, b: OpenRun, stream: str, row: int) -> tuple[str, str, float]:
    """Tensor, metric and distance of what is furthest apart in a row: of each tensor the first metric that differs."""
    leaves = [node.name for node in a.nodes if node.kind == "tensor"]
    found = []
    for name in leaves:
        for metric, about in a.timeline(stream).metrics.items():
            apart = []
            for view in ("mean", "min", "max"):
                x, y = (float(run.read(stream, metric, name, view=view).values[0, row]) for run in (a, b))
                if about.kind == "fraction":
                    size = 1.0
                elif about.kind == "signed":
                    size = max(float(run.read(stream, "rms", name, view="max").values[0, row]) for run in (a, b))
                    size = max(size, abs(x), abs(y))
                else:
                    size = max(abs(x), abs(y))
                if x != y and not (math.isnan(x) and math.isnan(y)):
                    apart.append(abs(x - y) / size)
            if apart:
                found.append((name, metric, max(apart)))
                break
    return max(found, key=lambda one: one[2])


def test_the_same_seed_is_the_same(trained: tuple[Path, list[Floats]]) -> None:
    root, norms = trained
    assert np.array_equal(norms[0], norms[1])
    found = diff(root / "first", root / "second")
    assert found.same
    assert (found.steps, found.parted, found.problems) == ((0, STEPS), None, ())
    assert found.compared == 2 * 8  # the unused layer, too
    assert found.rows == {"gradients": EVERY, "weights": EVERY}


def test_other_data_part_at_their_row(trained: tuple[Path, list[Floats]]) -> None:
    root, norms = trained
    (parted, *_) = np.flatnonzero((norms[0] != norms[2]).any(axis=1))
    assert parted == CHANGED
    row = CHANGED // EVERY
    found = diff(root / "first", root / "other")
    assert found.parted == row * EVERY
    assert [(one.name, one.first.start) for one in found.logged] == [("loss", row * EVERY)]
    in_gradients = [one for one in found.tensors if one.stream == "gradients"]
    assert {one.first.start for one in in_gradients} == {row * EVERY}
    assert len(in_gradients) == norms[0].shape[1]
    runs = open_run(root / "first"), open_run(root / "other")
    name, metric, apart = first_by_hand(*runs, "gradients", row)
    leading = in_gradients[0]
    assert (leading.name, leading.first.metric) == (name, metric)
    assert leading.first.relative == pytest.approx(apart)
    # What is told of it is what the loops saw.
    column = [name for name, one in Net().named_parameters() if not name.startswith("unused")].index(name)
    if metric == "norm":
        combine = {"mean": np.mean, "min": np.min, "max": np.max}[leading.first.plane]
        steps = slice(row * EVERY, (row + 1) * EVERY)
        assert leading.first.a == pytest.approx(combine(norms[0][steps, column]), rel=2e-3)
        assert leading.first.b == pytest.approx(combine(norms[2][steps, column]), rel=2e-3)
    # Weights are sampled at the first step of a row: they part one row later.
    assert min(one.first.start for one in found.tensors if one.stream == "weights") == (row + 1) * EVERY


@functools.cache
def healthy() -> tuple[Floats, Entries]:
    """Made-up gradients ``[step, tensor, element]`` of 100 steps, and what is measured of them."""
    elements = gradients(100, len(NAMES))
    return elements, measured(elements)


def written(path: Path, scale: dict[tuple[int, int], float] | None = None, **changes: Any) -> OpenRun:
    """A run of these gradients, some of a step and tensor multiplied."""
    elements, entries = healthy()
    entries = entries.copy()
    for place, factor in (scale or {}).items():
        entries[place] = measure(factor * elements[place])[0]
    logged = {step: [("loss", 1.0 / (1 + step))] for step in range(100)}
    Recording(entries, logged=logged, block=1).again(**changes).write(path / "gradhealth")
    return open_run(path)


def test_other_cadences_are_compared_on_the_grid_that_both_fit_in(tmp_path: Path) -> None:
    a, same = written(tmp_path / "a", every=4), written(tmp_path / "same", every=10)
    found = diff(a, same)
    assert [(one.what, one.a, one.b) for one in found.settings] == [
        ("cadence", "a row each 4 steps", "a row each 10 steps")
    ]
    assert (found.rows, found.tensors, found.logged, found.steps) == ({"gradients": 20}, (), (), (0, 100))
    other = written(tmp_path / "other", {(37, 2): 3.0}, every=10)
    (one,) = diff(a, other).tensors
    assert (one.name, one.first.start, one.first.stop) == (NAMES[2], 20, 40)


def test_tolerance_is_relative(tmp_path: Path) -> None:
    a = written(tmp_path / "a", every=1)
    b = written(tmp_path / "b", {(step, 1): 1.02 for step in range(50, 100)}, every=1)
    (one,) = diff(a, b).tensors
    assert (one.name, one.first.start) == (NAMES[1], 50)
    assert one.first.relative == pytest.approx(0.02 / 1.02, abs=4e-3)  # as far as a norm is recorded
    assert [value > 0 for value in one.trend] == [False] * 12 + [True] * 12
    assert diff(a, b, tolerance=0.05).same
    with pytest.raises(ValueError, match="tolerance: expected a number from 0 up, got nan"):
        diff(a, b, tolerance=math.nan)


def test_long_runs_part_at_the_finest_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as values are too many, coarser rows are read first."""
    a, b = written(tmp_path / "a", every=1), written(tmp_path / "b", {(53, 4): 1e3, (90, 3): 1e3}, every=1)
    fine = diff(a, b)
    monkeypatch.setattr(compare, "VALUES", 2000)
    coarse = diff(a, b)
    assert (fine.rows, coarse.rows) == ({"gradients": 1}, {"gradients": 16})
    firsts = [(one.name, one.first.start, one.first.stop) for one in coarse.tensors]
    assert firsts == [(NAMES[4], 53, 54), (NAMES[3], 90, 91)]
    assert firsts == [(one.name, one.first.start, one.first.stop) for one in fine.tensors]


def test_what_was_recorded_differently(tmp_path: Path) -> None:
    entries = healthy()[1][:30]
    Recording(entries, logged={0: [("loss", 1.0)]}).write(tmp_path / "a" / "gradhealth")
    wider = entries.copy()
    wider["count"][:, 1] = 12
    names = (*NAMES[:-1], "tail.weight")
    chosen = [one for one in Recording(entries).chosen if one.name != "rms"]
    Recording(wider[:25], names, chosen=chosen, logged={0: [("lr", 0.1)]}).write(tmp_path / "b" / "gradhealth")
    found = diff(tmp_path / "a", tmp_path / "b")
    told = {(one.what, one.name): (one.a, one.b) for one in found.settings}
    assert told == {
        ("steps", ""): ("0 to 29", "0 to 24"),
        ("metric", "rms"): ("recorded", None),
        ("tensor", "head.weight"): ("6", None),
        ("tensor", "tail.weight"): (None, "6"),
        ("shape", NAMES[1]): ("6", "12"),
        ("logged", "loss"): ("logged", None),
        ("logged", "lr"): (None, "logged"),
    }
    assert found.compared == len(NAMES) - 1
    assert found.logged == ()


def test_a_gradient_that_one_of_them_lacks_and_a_finding_of_it_alone(tmp_path: Path) -> None:
    entries = healthy()[1]
    Recording(entries).write(tmp_path / "a" / "gradhealth")
    broken = entries.copy()
    broken[40:60, 3] = neutral((1,))
    broken["nan"][70, 2] = 1
    Recording(broken).write(tmp_path / "b" / "gradhealth")
    found = diff(tmp_path / "a", tmp_path / "b")
    lacking, bad = found.tensors
    assert (lacking.name, lacking.first.start) == (NAMES[3], 40)
    assert math.isnan(lacking.first.b)
    assert lacking.first.relative == math.inf
    assert "steps with data" in lacking.metrics
    assert (bad.name, bad.first.start) == (NAMES[2], 70)
    assert found.only_a == ()
    assert ("NUMERICAL", NAMES[2]) in [(one.type, one.node) for one in found.only_b]


def test_runs_without_a_step_in_common(tmp_path: Path) -> None:
    entries = healthy()[1][:20]
    Recording(entries).write(tmp_path / "a" / "gradhealth")
    Recording(entries, start=100).write(tmp_path / "b" / "gradhealth")
    found = diff(tmp_path / "a", tmp_path / "b")
    assert (found.steps, found.tensors, found.same) == (None, (), False)


def test_what_was_not_compared_is_not_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose steps 40 to 59 are missing, and one that went back to step 55, of which a row is left in part."""
    entries, whole = healthy()[1], tmp_path / "whole"
    Recording(entries).write(whole / "gradhealth")
    for name, first, second in (("gap", 40, 60), ("back", 58, 55)):
        Recording(entries[:first]).write(tmp_path / name / "gradhealth")
        later = Recording(entries[second:], start=second, session="f" * 16, wall_time=1.8e9)
        later.write(tmp_path / name / "gradhealth")
    assert [(one.what, one.a, one.b) for one in diff(whole, tmp_path / "gap").settings] == [
        ("rows", "100 of the 100 steps", "80 of the 100 steps")
    ]
    back = diff(whole, tmp_path / "back")
    assert (back.same, back.problems[0].partition(":")[0]) == (True, "10 of 100 steps are not compared")
    assert main(["diff", str(whole), str(tmp_path / "back")]) == 2
    assert "the same in 100 steps, 6 tensors, as far" in capsys.readouterr().out
    # A later row with another value behind the gap is seen all the same.
    changed = entries.copy()
    changed["sum_sq"][75, 3] *= 4
    Recording(changed).write(tmp_path / "changed" / "gradhealth")
    (one,) = diff(tmp_path / "gap", tmp_path / "changed").tensors
    assert (one.name, one.first.start) == (NAMES[3], 70)


def test_the_command_ends_as_diff_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, same = str(tmp_path / "a"), str(tmp_path / "same")
    for path in (a, same):
        written(Path(path))
    hostile = (*NAMES[:4], "\x1b]0;owned\x07.\u202eweight", NAMES[5])
    entries = healthy()[1].copy()
    Recording(entries, hostile).write(tmp_path / "c" / "gradhealth")
    entries["sum_sq"][50:, 4] *= 4
    Recording(entries, hostile).write(tmp_path / "b" / "gradhealth")
    assert main(["diff", a, same]) == 0
    assert "the same in 100 steps, 6 tensors" in capsys.readouterr().out
    assert main(["diff", str(tmp_path / "c"), str(tmp_path / "b")]) == 1
    shown = capsys.readouterr().out
    assert "equal until step 50; first in \\x1b]0;owned\\x07.\\u202eweight (gradients, norm)" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert main(["diff", a, str(tmp_path / "nowhere")]) == 2
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "c"), str(tmp_path / "b"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["parted"], told["tensors"][0]["name"]) == (False, 50, hostile[4])
    assert told["tensors"][0]["first"]["relative"] == pytest.approx(0.5, abs=2e-3)  # twice the norm
