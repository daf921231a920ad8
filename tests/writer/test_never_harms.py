"""Nothing that the writer meets raises into the training loop: it is warned about once and counted."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tb_gradhealth.stages as stages_module
from gradhealth_kernels.launch import StepRing
from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning
from tb_gradhealth.store.cells import Grid

from .loops import Net, cells, losses, timeline


def train(logdir: Path, steps: int = 25, **options: Any) -> Any:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=logdir, **options)
    for _ in losses(model, steps):
        optimizer.step()
    monitor = optimizer.gradhealth
    monitor.close()
    return monitor


def test_a_measurement_that_fails_is_warned_about_once_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(StepRing, "measure_gradients", broken)
    with pytest.warns(GradHealthWarning) as caught:
        monitor = train(tmp_path)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "no such kernel" in text
    assert "Training goes on; further problems are only counted (optimizer.gradhealth.problems)" in text
    assert (monitor.problems, monitor.step) == (25, 25)


def test_warnings_as_errors_do_not_reach_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepRing, "measure_gradients", lambda *_: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(tmp_path).problems == 25


def test_a_steps_failure_costs_that_step_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, calls = StepRing.measure_gradients, []

    def sometimes(ring: StepRing, slot: int, *tensors: Any) -> None:
        calls.append(slot)
        if len(calls) == 8:
            raise RuntimeError("once")
        measure(ring, slot, *tensors)

    monkeypatch.setattr(StepRing, "measure_gradients", sometimes)
    with pytest.warns(GradHealthWarning, match="once"):
        assert train(tmp_path).problems == 1
    history = timeline(tmp_path)
    assert history.end == 25
    assert history.tally(np.array([0]), Grid(0, 1, 25)).recorded.sum() >= 24


def test_a_full_disk_is_reported_and_writing_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = os.write, [True]

    def limited(fd: int, data: Any) -> int:
        if full and len(data) > 100:
            full.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", limited)
    with pytest.warns(GradHealthWarning, match="No space left on device"):
        assert train(tmp_path, every=5).problems == 1
    assert timeline(tmp_path).end == 25


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages_module, "CLOSE_SECONDS", 1.0)
    model = Net()
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=tmp_path / "run", every=1
    )
    (tmp_path / "run").write_text("a file now stands where the directory should be made")
    with pytest.warns(GradHealthWarning, match="cannot be written now"):
        for _ in losses(model, 5):
            optimizer.step()
        monitor = optimizer.gradhealth
        monitor.close()
    assert monitor.step == 5
    assert monitor.problems >= 1


def test_gradients_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 3)
    ghost = torch.nn.Parameter(torch.empty(4, device="meta"))
    ghost.grad = torch.empty(4, device="meta")
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.add_param_group({"params": [ghost], "lr": 0.0})
    model.ghost = ghost
    with (
        pytest.warns(GradHealthWarning, match="gradient of ghost is not measured: .*meta"),
        GradHealthWriter(optimizer, model, logdir=tmp_path) as watched,
    ):
        model(torch.ones(3)).sum().backward()
        watched.step()
    history = timeline(tmp_path)
    assert np.isnan(cells(history, "norm", "ghost", 10)[2]).all()
    assert cells(history, "norm", "weight", 10)[2][0] > 0


def test_a_log_value_that_is_no_number(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.05), model, logdir=tmp_path)
    with pytest.warns(GradHealthWarning, match="could not convert string"):
        optimizer.gradhealth.log(loss="high")
    optimizer.gradhealth.close()
