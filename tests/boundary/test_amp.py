"""Under a GradScaler each attempt is one step: skipped ones are seen, dated and blamed; training stays as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net
from .amp import ATTEMPTS, CLIP, KINDS, MODES, POISON, Training, backward, batch, optimizer_of, train
from .recorded import Recording, bad, consumed, faults, notes_of, run_of


def golden(recording: Recording, logdir: Path, bare: Training, watched: Training) -> None:
    """``watched`` was trained as ``bare`` was, and its file in ``logdir`` tells all of it."""
    assert watched.scales == bare.scales
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters, watched.parameters, strict=True))
    assert (watched.step, watched.problems) == (len(watched.attempts), 0)
    recording.check([attempt.shown for attempt in watched.attempts])
    notes = notes_of(logdir)
    assert [(note.step, note.kind) for note in notes] == [(i, "skipped") for i in watched.skipped]
    for note in notes:
        attempt = watched.attempts[note.step]
        assert note.values["loss_scale"] == attempt.scale
        assert faults(note) == bad(attempt.unclipped), f"attempt {note.step}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_attempt_is_a_step(tmp_path: Path, recording: Recording, kind: str, mode: str) -> None:
    bare, again = train(kind, mode), train(kind, mode)
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters, again.parameters, strict=True))
    assert set(POISON) < set(bare.skipped), "no attempt overflows by itself: the test would prove less"
    assert len(bare.skipped) < ATTEMPTS - 3
    golden(recording, tmp_path, bare, train(kind, mode, tmp_path))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["SGD foreach", "AdamW fused"])
@pytest.mark.parametrize("init_scale", [1e6 / 3, 700001.0, 1.5])
def test_scales_that_are_no_power_of_two(
    tmp_path: Path, recording: Recording, kind: str, mode: str, init_scale: float
) -> None:
    bare = train(kind, mode, init_scale=init_scale)
    golden(recording, tmp_path, bare, train(kind, mode, tmp_path, init_scale=init_scale))


@pytest.mark.parametrize("kind", ["SGD for-loop", "AdamW fused"])
def test_deepspeed_8035_the_tensor_is_named_before_clipping_smears_it(tmp_path: Path, kind: str) -> None:
    # There one bad element ended the run "with no useful diagnostic".
    done = train(kind, "unscale and clip", tmp_path, init_scale=2.0**8)  # too small to overflow by itself
    assert len(bad(done.attempts[8].applied)) == 6, "clipping was to turn one NaN into NaN everywhere"
    note = next(note for note in notes_of(tmp_path) if note.step == 8)
    assert faults(note) == {"head.weight": (1, 0, 0)}


def test_the_last_attempt_is_recorded_even_if_it_was_skipped(tmp_path: Path, recording: Recording) -> None:
    bare, watched = (train("SGD foreach", "auto", logdir, attempts=9) for logdir in (None, tmp_path))
    assert bare.skipped[-1] == 8
    golden(recording, tmp_path, bare, watched)


@pytest.mark.parametrize("kind", ["SGD foreach", "AdamW fused"])
def test_skipped_attempts_keep_their_dates_in_longer_rows(tmp_path: Path, kind: str) -> None:
    done = train(kind, "auto", tmp_path, every=5)
    notes = notes_of(tmp_path)
    assert [note.step for note in notes] == done.skipped
    assert [faults(note) for note in notes] == [bad(done.attempts[step].unclipped) for step in done.skipped]
    history = run_of(tmp_path).timeline("gradients")
    assert (history.end, history.cell) == (ATTEMPTS, 5)


@pytest.mark.parametrize("where", ["on the optimizer", "on all optimizers"])
@pytest.mark.parametrize("kind", ["SGD foreach", "AdamW for-loop"])
def test_a_users_hook_that_edits_unscaled_gradients(
    tmp_path: Path, recording: Recording, kind: str, where: str
) -> None:
    model, expected = Net(), []
    optimizer = GradHealthWriter(optimizer_of(kind, model), model, logdir=tmp_path, every=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)

    def halve(*_: Any) -> None:
        for parameter in model.head.parameters():
            parameter.grad.mul_(0.5)  # type: ignore[union-attr]
        expected.append(consumed(model))

    register = optimizer.register_step_pre_hook if where == "on the optimizer" else register_optimizer_step_pre_hook
    handle = register(halve)
    try:
        for i in range(3):
            optimizer.zero_grad()
            backward(model, scaler, i)
            scaler.step(optimizer)
            scaler.update()
    finally:
        handle.remove()
    optimizer.gradhealth.close()
    recording.check(expected)


@pytest.mark.parametrize("kind", ["SGD foreach", "AdamW fused"])
@pytest.mark.parametrize("mode", MODES)
def test_lightning_11407_scaled_gradients_are_never_logged_as_applied(
    tmp_path: Path, recording: Recording, kind: str, mode: str
) -> None:
    # track_grad_norm showed values 65,536 times too large with precision=16 (again in #9205 and #4151).
    done = train(kind, mode, tmp_path, init_scale=2.0**8, poison={})
    assert done.skipped == []
    assert run_of(tmp_path).timeline("gradients").label == "Gradients (applied)"
    norms = [figures.norm for figures in recording.of("").values() if figures is not None]
    assert len(norms) == ATTEMPTS
    assert max(norms) < 100 if mode != "unscale and clip" else max(norms) <= CLIP * 1.001


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_lightning_21720_fused_optimizers_unscale_inside_step(tmp_path: Path, recording: Recording, name: str) -> None:
    # Its callbacks before step() see the scaled gradients of fused optimizers, and of no others.
    done = train(f"{name} fused", "auto", tmp_path, poison={}, init_scale=2.0**8)
    assert done.skipped == []
    recording.check([attempt.applied for attempt in done.attempts])


def test_the_loss_scale_is_logged_as_a_scalar(tmp_path: Path) -> None:
    done = train("AdamW foreach", "auto", tmp_path)
    events = EventAccumulator(str(tmp_path / "gradhealth"), {"tensors": 0}).Reload()
    points = {e.step: float(e.tensor_proto.float_val[0]) for e in events.Tensors("logged/loss_scale")}
    assert points == {i: attempt.scale for i, attempt in enumerate(done.attempts)}


@pytest.mark.parametrize("kind", ["SGD for-loop", "AdamW fused"])
def test_a_disabled_scaler_is_no_scaler(tmp_path: Path, recording: Recording, kind: str) -> None:
    model, scaler, expected = Net(), torch.amp.GradScaler("cpu", enabled=False), []
    optimizer = GradHealthWriter(optimizer_of(kind, model), model, logdir=tmp_path, every=1)
    for i in range(4):
        optimizer.zero_grad()
        backward(model, scaler, i)
        scaler.unscale_(optimizer)
        expected.append(consumed(model))
        scaler.step(optimizer)
        scaler.update()
    optimizer.gradhealth.close()
    recording.check(expected)
    assert notes_of(tmp_path) == []
    events = EventAccumulator(str(tmp_path / "gradhealth"), {"tensors": 0}).Reload()
    assert "logged/loss_scale" not in events.Tags()["tensors"]


def test_bf16_autocast_without_a_scaler(tmp_path: Path, recording: Recording) -> None:
    model, expected = Net(), []
    optimizer = GradHealthWriter(torch.optim.AdamW(model.parameters()), model, logdir=tmp_path, every=1)
    for i in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(batch(i))
        out.float().square().mean().backward()
        expected.append(consumed(model))
        optimizer.step()
    optimizer.gradhealth.close()
    recording.check(expected)
    assert not any(math.isnan(figures.norm) for figures in recording.of("").values() if figures)


def test_accumulation_under_a_scaler_is_one_attempt(tmp_path: Path, recording: Recording) -> None:
    model, expected = Net(), []
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for i in range(3):
        optimizer.zero_grad()
        for micro in range(4):
            backward(model, scaler, 10 * i + micro)
        scaler.unscale_(optimizer)
        expected.append(consumed(model))
        scaler.step(optimizer)
        scaler.update()
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    recording.check(expected)
