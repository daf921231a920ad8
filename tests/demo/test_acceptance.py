"""What the demo promises: the projection's gradient stays alive in one run and dies progressively in the other."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from tb_gradhealth.demo import __main__ as demo
from tb_gradhealth.demo import report, text, train
from tb_gradhealth.store.cells import Grid

from .trained import STEPS, Trained

PROJECTION = "projection.weight"
SIGNS = {stream: (name, metric, what) for stream, name, metric, what in demo.SIGNS}


@pytest.mark.parametrize("run", ["healthy", "dying"])
def test_the_file_says_what_plain_torch_measured_in_the_loop(trained: Trained, run: str) -> None:
    timeline = report.read_run(trained.logdir / run / "gradhealth")
    assert timeline.end == STEPS
    node = np.array([timeline.tree.names.index(PROJECTION)])
    found = timeline.cells("near_zero_fraction", node, Grid(0, 10, STEPS // 10))
    tens = trained.near_zero[run].reshape(-1, 10)
    np.testing.assert_allclose(found.mean[0], tens.mean(axis=1), rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(found.max[0], tens.max(axis=1), rtol=1e-3, atol=1e-9)


def test_the_healthy_run_stays_below_five_percent_at_every_step(trained: Trained) -> None:
    assert trained.near_zero["healthy"].max() < 0.05


def test_the_dying_run_dies_progressively(trained: Trained) -> None:
    tenths = trained.near_zero["dying"].reshape(10, -1).mean(axis=1)
    assert tenths[0] < 0.05
    assert tenths[-1] >= 0.40
    assert 0.05 < tenths[4] < tenths[-1] - 0.05, "it must grow over the run, not jump"


def test_both_runs_learn_and_neither_has_a_non_finite_gradient(trained: Trained) -> None:
    for run, losses in trained.losses.items():
        assert losses[-20:].mean() < 0.8 * losses[0], run
        assert report.nonfinite(report.read_run(trained.logdir / run / "gradhealth")) == 0


def test_the_last_screen_names_the_projection_in_the_dying_run(trained: Trained) -> None:
    screen = report.screen({run: trained.logdir / run / "gradhealth" for run in ("healthy", "dying")})
    healthy, dying = screen.split("dying:")
    assert f"healthy: {STEPS} steps" in healthy
    assert "0 non-finite elements" in dying
    assert PROJECTION in dying


def test_the_verdict_gives_the_figures_of_the_loop(trained: Trained) -> None:
    runs = {run: report.read_run(trained.logdir / run / "gradhealth") for run in ("healthy", "dying")}
    said = report.verdict(runs, *SIGNS["gradients"])
    shown = [float(number) for number in re.findall(r"([0-9.]+)%", said)]
    # Rows cover ten steps, and one that reaches into the last tenth shows there in full.
    last = (STEPS - STEPS // 10) // 10 * 10
    expected = [figure for shares in trained.near_zero.values() for figure in (shares.max(), shares[last:].mean())]
    np.testing.assert_allclose(shown, 100 * np.array(expected), rtol=1e-3, atol=0.006)


def test_the_files_say_of_activations_what_the_loop_saw(trained: Trained) -> None:
    for run, limited in trained.limited.items():
        timeline = report.read_run(trained.logdir / run / "gradhealth", "activations")
        node = np.array([timeline.tree.names.index("tanh")])
        found = timeline.cells("limit_fraction", node, Grid(0, 10, STEPS // 10))
        for values in (found.mean, found.max):  # of the first step of each row
            np.testing.assert_allclose(values[0], limited[::10], rtol=1e-3, atol=1e-9)


def test_both_streams_tell_at_once_and_activations_tell_more(trained: Trained) -> None:
    def reached(run: str, stream: str, share: float) -> int | None:
        name, metric, _ = SIGNS[stream]
        return report.first_step(report.read_run(trained.logdir / run / "gradhealth", stream), name, metric, share)

    for stream in SIGNS:
        assert reached("healthy", stream, 0.005) is None
        assert reached("dying", stream, 0.01) == 0, "more than twice what the healthy one ever shows"
    for share in (0.3, 0.4):
        limited, near_zero = reached("dying", "activations", share), reached("dying", "gradients", share)
        assert limited is not None
        assert near_zero is not None
        assert limited < near_zero


def test_losses_are_those_of_a_loop_that_knows_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = text.read(text.standard_library(20_000))
    losses: list[list[float]] = []
    for watched in (True, False):
        if not watched:
            monkeypatch.setattr(train, "GradHealthWriter", lambda *_, **__: contextlib.nullcontext(MagicMock()))
        losses.append([])
        train.train("dying", corpus, tmp_path / str(watched), 12, lambda step: losses[-1].append(step.loss))
    assert (tmp_path / "True").exists() != (tmp_path / "False").exists()
    assert losses[0] == losses[1]
