"""What a user's code does to the optimizer costs at most a step, one warning, and never the training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning

from ..writer.loops import Net, losses
from .recorded import Recording, consumed, same


def test_hooks_that_were_removed_are_noticed_and_come_back(tmp_path: Path, recording: Recording) -> None:
    model, rows = Net(), []
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GradHealthWarning)
        for i, _ in enumerate(losses(model, 8)):
            if i == 3:
                optimizer._optimizer_step_pre_hooks.clear()
            rows.append(consumed(model))
            optimizer.step()
        monitor = optimizer.gradhealth
        monitor.close()
    ours = [str(w.message) for w in caught if issubclass(w.category, GradHealthWarning)]
    assert len(ours) == 1
    assert "hook" in ours[0]
    assert monitor.problems >= 1
    found = recording.of("head.weight")
    # The step at which they were missing may lack its row, and no other.
    assert len(found) in (7, 8)
    right = rows if len(found) == 8 else rows[:3] + rows[4:]
    for step, row in zip(sorted(found), right, strict=True):
        same(found[step], row["head.weight"], f"step {step}")
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_second_wrapping_that_fails_leaves_the_first_at_work(tmp_path: Path, recording: Recording) -> None:
    model, rows = Net(), []
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    for _ in losses(model, 3):
        with pytest.raises(ValueError, match="watched already"):
            GradHealthWriter(optimizer, model, logdir=tmp_path / "again")
        rows.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(rows)
    assert not (tmp_path / "again").exists()


def test_a_users_hook_that_comes_after_ours_is_removed_alone(tmp_path: Path, recording: Recording) -> None:
    model, rows = Net(), []
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    handle = optimizer.register_step_pre_hook(lambda *_: None)
    for i, _ in enumerate(losses(model, 4)):
        if i == 2:
            handle.remove()
        rows.append(consumed(model))
        optimizer.step()
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    recording.check(rows)
