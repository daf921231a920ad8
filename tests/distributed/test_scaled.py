"""A GradScaler over ranks: what was skipped is one attempt of all of them, blamed on the tensor of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.store.cells import Grid
from tests.writer.loops import timeline

from .compare import check_rows, check_whole
from .configurations import Setup
from .launch import logs, run
from .model import Net
from .oracle import Oracle, load
from .record import Report
from .scaled import BAD, BAD_STEP, CASES, STEPS, name_of, train_scaled


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("scaled")
    assert run(train_scaled, 2, directory, timeout=100) == [0, 0], logs(directory)
    return directory


@pytest.mark.parametrize(("build", "mode"), CASES)
def test_each_attempt_is_recorded_unscaled(build: Callable[[Net], Setup], mode: str, scaled: Path) -> None:
    directory = scaled / name_of(build, mode)
    reports = [Report.load(directory, rank) for rank in range(2)]
    assert [(report.warnings, report.problems, report.steps) for report in reports] == [([], 0, STEPS)] * 2
    if mode == "clip":  # two streams: that of the applied gradients is compared through the file
        history, oracle = timeline(directory / "run"), Oracle(directory)
        cells = history.cells("norm", np.array([0]), Grid(0, 1, STEPS)).max[0]
        expected = [oracle.over("", "norm", step, step + 1)[0] for step in range(STEPS)]
        np.testing.assert_allclose(cells, expected, 2e-3)
        return
    rows = load(directory / "0.npz")
    check_whole(rows, STEPS, 1)
    check_rows(rows, Oracle(directory))


@pytest.mark.parametrize(("build", "mode"), CASES)
def test_what_was_skipped_names_the_tensor_of_one_rank(build: Callable[[Net], Setup], mode: str, scaled: Path) -> None:
    notes, complete = timeline(scaled / name_of(build, mode) / "run").notes(0, STEPS, 100)
    assert complete
    (note,) = notes
    assert (note.step, note.kind, note.values, note.more) == (BAD_STEP, "skipped", {"loss_scale": 2.0**12}, 0)
    assert [(fault.name, fault.nan, fault.pos_inf, fault.neg_inf) for fault in note.tensors] == [(BAD, 1, 0, 0)]


def test_fsdp_of_the_first_kind_is_named_as_not_measured(scaled: Path) -> None:
    """Each rank has a slice of flattened parameters; wandb#9866, Lightning#17512 and composer#3920 took it for all."""
    reports = [Report.load(scaled / "fsdp1", rank) for rank in range(2)]
    assert [report.steps for report in reports] == [2, 2]
    assert all(len(report.warnings) == 1 and "fully_shard" in report.warnings[0] for report in reports)
    history = timeline(scaled / "fsdp1" / "run")
    assert np.isnan(history.cells("norm", np.arange(len(history.tree)), Grid(0, 1, 2)).max).all()
