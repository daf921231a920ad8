"""Several optimizers: ``beside=`` puts them on one step axis and into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, losses, node, timeline
from .amp import batch, unscaled
from .recorded import NORM_TOLERANCE, Recording, Step, consumed, faults, notes_of, oracle, run_of


def sgd(module: torch.nn.Module) -> Any:
    return torch.optim.SGD(module.parameters(), lr=0.01)


def close(*optimizers: Any) -> None:
    for monitor in [optimizer.gradhealth for optimizer in optimizers]:
        monitor.close()
    assert all(type(optimizer) in (torch.optim.SGD, torch.optim.AdamW) for optimizer in optimizers)


def learning(model: Net) -> Step:
    return {name: figures for name, figures in consumed(model).items() if not name.startswith("unused")}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_in_turn_they_make_one_step(tmp_path: Path, recording: Recording, order: tuple[int, int]) -> None:
    model = Net()
    pair = [sgd(model.body), torch.optim.AdamW(model.head.parameters())]
    first: Any = GradHealthWriter(pair[0], model, logdir=tmp_path, every=1)
    second: Any = GradHealthWriter(pair[1], model, beside=first)
    assert second is pair[1]
    rows = []
    for i, _ in enumerate(losses(model, 5)):
        rows.append(learning(model))
        for index in order:
            pair[index].step()
        assert first.gradhealth.step == second.gradhealth.step == i + 1
    assert (first.gradhealth.problems, second.gradhealth.problems) == (0, 0)
    close(first, second)
    recording.check(rows)
    run = run_of(tmp_path)
    assert run.streams() == ["gradients"]
    assert len(run.timeline("gradients").sessions) == 1
    assert notes_of(tmp_path) == []


def test_they_log_into_the_same_rows(tmp_path: Path) -> None:
    model = Net()
    first = GradHealthWriter(sgd(model.body), model, logdir=tmp_path, every=2)
    second = GradHealthWriter(sgd(model.head), model, beside=first)
    for loss in losses(model, 4):
        first.step()
        second.step()
        second.gradhealth.log(loss=loss)
    close(first, second)
    history = timeline(tmp_path)
    assert (history.end, history.cell) == (4, 2)


def test_five_steps_of_the_critic_to_one_of_the_generator(tmp_path: Path, recording: Recording) -> None:
    """The axis counts the critic's steps; in between the generator has no gradient, which is not a zero."""
    real, fake = Net(), torch.nn.Linear(6, 6)
    critic = GradHealthWriter(sgd(real), real, logdir=tmp_path, every=1)
    generator = GradHealthWriter(sgd(fake), fake, beside=critic, prefix="generator")
    rows: list[Step] = []
    for i in range(3):
        for k in range(5):
            critic.zero_grad()
            (real(fake(batch(10 * i + k)).detach()) - real(batch(k))).mean().backward()
            rows.append(consumed(real))
            critic.step()
        generator.zero_grad()
        (-real(fake(batch(i)))).mean().backward()
        rows[-1].update({f"generator.{name}": figures for name, figures in consumed(fake).items()})
        generator.step()
    assert critic.gradhealth.step == generator.gradhealth.step == 15
    close(critic, generator)
    recording.check(rows)
    found = recording.of("generator.weight")
    assert {step for step, figures in found.items() if figures is not None} == {4, 9, 14}
    history = timeline(tmp_path)
    assert history.end == 15
    assert node(history, "generator") > 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_each_with_a_backward_of_its_own_through_all(
    tmp_path: Path, recording: Recording, order: tuple[int, int, int]
) -> None:
    """What another's backward leaves is dropped before one's own, and is no attempt; all gradients of a turn count."""
    model = Net()
    parts = [model.body[0], model.body[2], model.head]
    first: Any = GradHealthWriter(sgd(parts[0]), model, logdir=tmp_path, every=1, streams=["updates"])
    some = [first, *(GradHealthWriter(sgd(part), model, beside=first) for part in parts[1:])]
    rows: list[Step] = []
    for i in range(8):
        row: Step = {}
        for index in order:
            for one in some:
                one.zero_grad()
            model(batch(i)).square().mean().backward()
            own = {id(parameter) for parameter in parts[index].parameters()}
            named = {name for name, parameter in model.named_parameters() if id(parameter) in own}
            row |= {name: figures for name, figures in learning(model).items() if name in named}
            some[index].step()
        rows.append(row)
    assert (first.gradhealth.step, first.gradhealth.problems) == (8, 0)
    close(*some)
    recording.check(rows)
    assert notes_of(tmp_path) == []
    run = run_of(tmp_path)
    assert run.problems == []
    assert (run.timeline("updates").end, run.timeline("updates").cell) == (8, 1)


def test_a_drop_between_two_of_them_ends_the_step(tmp_path: Path, recording: Recording) -> None:
    """The second finds its gradients bad, and tries again: that is of the next step, and none is lost."""
    model = Net()
    first: Any = GradHealthWriter(sgd(model.body), model, logdir=tmp_path, every=1)
    second: Any = GradHealthWriter(sgd(model.head), model, beside=first)
    rows: list[Step] = []
    for i in range(3):
        for tries, one in (([0], first), ([1, 2], second)):
            for attempt in tries:
                for each in (first, second):
                    each.zero_grad()
                model(batch(10 * i + attempt)).square().mean().backward()
            name = "body." if one is first else "head."
            rows.append({key: figures for key, figures in learning(model).items() if key.startswith(name)})
            one.step()
    close(first, second)
    found = [(note.step, note.kind) for note in notes_of(tmp_path)]
    assert {kind for _, kind in found} == {"not_stepped"}
    for name in ("body.0.weight", "head.weight"):
        made = [figures.norm for figures in recording.of(name).values() if figures is not None]
        wanted = [figures.norm for row in rows if (figures := row.get(name)) is not None]
        assert len(wanted) == 3
        assert made == pytest.approx(wanted, rel=NORM_TOLERANCE)


def test_wandb_279_two_models_at_once(tmp_path: Path, recording: Recording) -> None:
    # The second wandb.watch raised; and two models of one kind have the same names.
    models = Net(), Net()
    one = GradHealthWriter(sgd(models[0]), models[0], logdir=tmp_path, every=1)
    bare = sgd(models[1])
    with pytest.raises(ValueError, match="prefix=") as raised:
        GradHealthWriter(bare, models[1], beside=one)
    assert "body.0.weight" in str(raised.value)
    assert type(bare) is torch.optim.SGD
    assert not bare._optimizer_step_pre_hooks
    two = GradHealthWriter(bare, models[1], beside=one, prefix="second")
    rows = []
    for _ in zip(losses(models[0], 3), losses(models[1], 3, seed=9), strict=True):
        rows.append(consumed(models[0]) | {f"second.{name}": f for name, f in consumed(models[1]).items()})
        one.step()
        two.step()
    close(one, two)
    recording.check(rows)


def test_a_prefix_alone(tmp_path: Path, recording: Recording) -> None:
    model = Net()
    optimizer = GradHealthWriter(sgd(model), model, logdir=tmp_path, every=1, prefix="student.of")
    rows = []
    for _ in losses(model, 2):
        rows.append({f"student.of.{name}": figures for name, figures in consumed(model).items()})
        optimizer.step()
    close(optimizer)
    recording.check(rows)


@pytest.mark.parametrize(
    "option",
    [{"logdir": "x"}, {"every": 5}, {"near_zero": 1e-6}, {"metrics": ["norm"]}, {"start_step": 3}],
    ids=lambda option: next(iter(option)),
)
def test_what_the_first_decides_cannot_be_passed_to_the_second(tmp_path: Path, option: dict[str, Any]) -> None:
    model = Net()
    first = GradHealthWriter(sgd(model.body), model, logdir=tmp_path)
    bare = sgd(model.head)
    with pytest.raises(ValueError, match="beside") as raised:
        GradHealthWriter(bare, model, beside=first, **option)
    assert next(iter(option)) in str(raised.value)
    assert type(bare) is torch.optim.SGD


def test_beside_something_unwatched(tmp_path: Path) -> None:
    model = Net()
    closed = GradHealthWriter(sgd(model.body), model, logdir=tmp_path)
    closed.gradhealth.close()
    bare = sgd(model.head)
    for other in (sgd(model.body), closed, model, "first", object()):
        with pytest.raises((TypeError, ValueError), match="beside"):
            GradHealthWriter(bare, model, beside=other)
    assert type(bare) is torch.optim.SGD


@pytest.mark.parametrize("closed", [0, 1])
def test_one_that_is_closed_leaves_the_others_whole(tmp_path: Path, closed: int) -> None:
    model = Net()
    first = GradHealthWriter(sgd(model.body), model, logdir=tmp_path, every=1)
    second = GradHealthWriter(sgd(model.head), model, beside=first)
    monitors = [first.gradhealth, second.gradhealth]
    for _ in losses(model, 3):
        first.step()
        second.step()
    monitors[closed].close()
    for _ in losses(model, 2):
        first.step()
        second.step()
    for monitor in monitors:
        monitor.close()
    assert [monitor.problems for monitor in monitors] == [0, 0]
    assert timeline(tmp_path).end >= 3


def test_each_optimizer_with_a_scaler_of_its_own(tmp_path: Path, recording: Recording) -> None:
    model = Net()
    pair = [sgd(model.body), sgd(model.head)]
    GradHealthWriter(pair[0], model, logdir=tmp_path, every=1)
    GradHealthWriter(pair[1], model, beside=pair[0])
    scalers: list[Any] = [torch.amp.GradScaler("cpu", init_scale=scale) for scale in (2.0**4, 2.0**9)]
    rows: list[Step] = []
    for i in range(4):
        rows.append({})
        for optimizer, scaler, part in zip(pair, scalers, (model.body, model.head), strict=True):
            model.zero_grad()
            scaler.scale((model(batch(i)) - 1).square().mean()).backward()
            if i == 2 and part is model.head:
                model.head.bias.grad[0] = float("inf")  # type: ignore[index]
            mine = {id(parameter) for parameter in part.parameters()}
            names = {name for name, parameter in model.named_parameters() if id(parameter) in mine}
            rows[-1] |= {name: figures for name, figures in unscaled(model, scaler).items() if name in names}
            scaler.step(optimizer)
            scaler.update()
    close(*pair)
    recording.check(rows)
    notes = notes_of(tmp_path)
    assert [(note.step, note.kind, note.values["loss_scale"]) for note in notes] == [(2, "skipped", 2.0**9)]
    assert set(faults(notes[0])) == {"head.bias"}


def test_optimizers_that_step_inside_backward(tmp_path: Path, recording: Recording) -> None:
    model = Net()
    optimizers: dict[torch.Tensor, Any] = {}
    last: Any = None
    rows: list[Step] = []
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}

    def step(parameter: torch.Tensor) -> None:
        rows[-1][names[parameter]] = oracle(parameter.grad)
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        optimizer: Any = torch.optim.SGD([parameter], lr=0.01)
        if last is None:
            last = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
        else:
            last = GradHealthWriter(optimizer, model, beside=last)
        optimizers[parameter] = optimizer
        parameter.register_post_accumulate_grad_hook(step)
    for i in range(4):
        rows.append({})
        (model(batch(i)) - 1).square().mean().backward()
    assert last.gradhealth.step == 4
    close(*optimizers.values())
    recording.check(rows)
    assert len(rows[0]) == 6
    assert notes_of(tmp_path) == []
