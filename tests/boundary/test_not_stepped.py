"""Gradients thrown away unused are noted, and enter no figure of what was applied."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run

from ..writer.loops import Net
from .amp import batch
from .recorded import Recording, Step, bad, consumed, faults, notes_of, run_of, together

ORDERS = ["zero first", "zero last"]


def backward(model: Net, i: int) -> None:
    (model(batch(i)) - batch(i).sum(1, keepdim=True)).square().mean().backward()


def watched(model: Net, logdir: Path, **options: Any) -> Any:
    return GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=logdir, every=1, **options)


def loop(
    optimizer: Any, model: Net, order: str, to_none: bool, drops: set[int], steps: int = 8
) -> tuple[list[Step], list[tuple[int, Step]]]:
    """The steps made, and what was dropped before which attempt; every second one dropped has a NaN."""
    made: list[Step] = []
    dropped: list[tuple[int, Step]] = []
    for i in range(steps):
        if order == "zero first":
            optimizer.zero_grad(set_to_none=to_none)
        backward(model, i)
        if i in drops:
            if len(dropped) % 2 == 0:
                model.head.weight.grad[0, 1] = float("nan")  # type: ignore[index]
            dropped.append((len(made), consumed(model)))
        else:
            made.append(consumed(model))
            optimizer.step()
        if order == "zero last":
            optimizer.zero_grad(set_to_none=to_none)
    return made, dropped


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("drops", [{3}, {0, 2, 6}, {3, 4, 5}], ids=str)
def test_a_dropped_gradient_is_noted(
    tmp_path: Path, recording: Recording, order: str, to_none: bool, drops: set[int]
) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    made, dropped = loop(optimizer, model, order, to_none, drops)
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (len(made), 0)
    optimizer.gradhealth.close()
    recording.check(made)
    notes = notes_of(tmp_path)
    assert [(note.step, note.kind) for note in notes] == [(step, "not_stepped") for step, _ in dropped]
    for note, (_, gradients) in zip(notes, dropped, strict=True):
        right = together(gradients)
        assert right is not None
        assert note.values["norm"] == pytest.approx(right.norm, rel=2e-6)
        assert faults(note) == bad(gradients)
    assert set(faults(notes[0])) == {"head.weight"}


@pytest.mark.parametrize("to_none", [True, False])
def test_dropped_at_the_very_end(tmp_path: Path, to_none: bool) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    loop(optimizer, model, "zero last", to_none, {3}, steps=4)
    optimizer.gradhealth.close()
    assert [(note.step, note.kind) for note in notes_of(tmp_path)] == [(3, "not_stepped")]
    (session,) = run_of(tmp_path).timeline("gradients").sessions
    rows = session.cover(0)
    assert rows.start.tolist() == [0, 1, 2, 3]
    assert rows.recorded.tolist() == [1, 1, 1, 0], "a step that was never made is none"
    assert [note.step for note in open_run(tmp_path).notes()] == [3]
    assert open_run(tmp_path).steps == (0, 3)


@pytest.mark.parametrize("after", ["unscale_", "our clipping", "torch's clipping"])
def test_dropped_after_it_was_looked_at(tmp_path: Path, recording: Recording, after: str) -> None:
    """As loops do that look at the norm first, and step only if it is finite."""
    model = Net()
    optimizer = watched(model, tmp_path, unclipped=after == "torch's clipping")
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**8, enabled=after == "unscale_")
    made: list[Step] = []
    dropped: list[tuple[int, Step]] = []
    for i in range(6):
        optimizer.zero_grad()
        scaler.scale((model(batch(i)) - 1).square().mean()).backward()
        if i in (2, 5):
            model.head.bias.grad[0] = float("nan")  # type: ignore[index]
        if after == "unscale_":
            scaler.unscale_(optimizer)
        whole = consumed(model)
        if after == "our clipping":
            optimizer.gradhealth.clip_grad_norm_(0.1)
        if after == "torch's clipping":
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        if i in (2, 5):
            dropped.append((len(made), whole))
        else:
            made.append(consumed(model))
            scaler.step(optimizer)
        scaler.update()
    optimizer.zero_grad()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (len(made), 0)
    optimizer.gradhealth.close()
    recording.check(made)
    notes = notes_of(tmp_path)
    assert [(note.step, note.kind) for note in notes] == [(step, "not_stepped") for step, _ in dropped]
    for note, (_, gradients) in zip(notes, dropped, strict=True):
        assert faults(note) == bad(gradients), "blamed after clipping had smeared the NaN"


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_a_loop_that_drops_nothing_has_no_note(tmp_path: Path, order: str, to_none: bool) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    loop(optimizer, model, order, to_none, set())
    optimizer.gradhealth.close()
    assert notes_of(tmp_path) == []


@pytest.mark.parametrize("to_none", [True, False])
def test_zeroing_zeros_drops_nothing(tmp_path: Path, to_none: bool) -> None:
    model = Net()
    optimizer = watched(model, tmp_path)
    optimizer.zero_grad(set_to_none=to_none)
    for i in range(3):
        optimizer.zero_grad(set_to_none=to_none)
        backward(model, i)
        optimizer.step()
        optimizer.zero_grad(set_to_none=to_none)
        model.zero_grad(set_to_none=to_none)
    optimizer.gradhealth.close()
    assert notes_of(tmp_path) == []


@pytest.mark.parametrize("to_none", [True, False])
def test_smdebug_426_accumulation_is_one_row_per_step(tmp_path: Path, recording: Recording, to_none: bool) -> None:
    # smdebug saved at each backward (as did Lightning#1923's counters): partial sums, and steps of the wrong number.
    model, made = Net(), []
    optimizer = watched(model, tmp_path)
    for i in range(12):
        backward(model, i)
        if i % 4 == 3:
            made.append(consumed(model))
            optimizer.step()
            optimizer.zero_grad(set_to_none=to_none)
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    recording.check(made)
    assert notes_of(tmp_path) == []


@pytest.mark.parametrize("to_none", [True, False])
def test_wandb_1639_adversarial_training(tmp_path: Path, recording: Recording, to_none: bool) -> None:
    # wandb.watch lost the generator there. What its loss adds to the discriminator is zeroed unused, and no loss.
    real, fake = Net(), torch.nn.Linear(6, 6)
    critic = watched(real, tmp_path / "critic")
    generator: Any = torch.optim.SGD(fake.parameters(), lr=0.01)
    GradHealthWriter(generator, fake, logdir=tmp_path / "generator", every=1)
    seen: list[Step] = []
    made: list[Step] = []
    for i in range(5):
        critic.zero_grad(set_to_none=to_none)
        (real(fake(batch(i)).detach()) - real(batch(i))).mean().backward()
        seen.append(consumed(real))
        critic.step()
        generator.zero_grad(set_to_none=to_none)
        (-real(fake(batch(i)))).mean().backward()
        made.append(consumed(fake))
        generator.step()
    for optimizer in (critic, generator):
        assert optimizer.gradhealth.step == 5
        optimizer.gradhealth.close()
    recording.check(seen, total=False)
    recording.check(made, total=False)
    assert notes_of(tmp_path / "critic") == notes_of(tmp_path / "generator") == []


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("name", ["LBFGS", "SGD"])
def test_a_closure_that_zeroes_drops_nothing(tmp_path: Path, recording: Recording, name: str, to_none: bool) -> None:
    model = Net()
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=4) if name == "LBFGS" else None
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.01)
    GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    firsts: list[Step] = []
    for i in range(4):
        evaluations = itertools.count()

        def closure(i: int = i, evaluations: Any = evaluations) -> torch.Tensor:
            optimizer.zero_grad(set_to_none=to_none)
            loss: torch.Tensor = (model(batch(i)) - batch(i).sum(1, keepdim=True)).square().mean()
            loss.backward()
            if next(evaluations) == 0:
                firsts.append(consumed(model))
            return loss

        optimizer.step(closure)
        assert name == "SGD" or next(evaluations) > 1
    optimizer.gradhealth.close()
    recording.check(firsts)
    assert notes_of(tmp_path) == []


@pytest.mark.parametrize("when", ["fresh", "later"])
def test_a_distributed_checkpoint_makes_no_step(tmp_path: Path, recording: Recording, when: str) -> None:
    # It fills the optimizer's state by a step with gradients of zero and a rate of zero.
    checkpoint = pytest.importorskip("torch.distributed.checkpoint.state_dict")
    model = Net()
    optimizer = watched(model, tmp_path)  # SGD has no state, so it is stepped at each checkpoint
    made: list[Step] = []
    for i in range(4):
        if i == (0 if when == "fresh" else 2):
            checkpoint.get_optimizer_state_dict(model, optimizer)
            checkpoint._init_optim_state(optimizer)
            assert optimizer.gradhealth.step == i
        backward(model, i)
        made.append(consumed(model))
        optimizer.step()
        optimizer.zero_grad()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (4, 0)
    optimizer.gradhealth.close()
    recording.check(made)
    assert notes_of(tmp_path) == []
