"""What goes wrong in us, or is odd in a user's optimizer, costs a row at most: never the loop, never another row."""

from __future__ import annotations

import copy
import inspect
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tb_gradhealth.stages as stages_module
from gradhealth_kernels.launch import StepRing
from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning
from tb_gradhealth.store.records import EventFile

from ..writer.loops import Net, losses
from .recorded import Recording, notes_of, run_of

STEPS = 6


def linear() -> torch.nn.Linear:
    return torch.nn.Linear(2, 1, bias=False)


def put(model: torch.nn.Linear, step: int) -> None:
    """A gradient whose norm says its step."""
    model.weight.grad = torch.tensor([[0.0, 10.0**step]])


def norms(recording: Recording, stream: str = "gradients", name: str = "weight") -> dict[int, float]:
    return {step: round(found.norm, 3) for step, found in recording.of(name, stream).items() if found is not None}


def failing(monkeypatch: pytest.MonkeyPatch, name: str, *calls: int) -> None:
    """Makes the calls of that number to a method of the ring raise."""
    original, count = getattr(StepRing, name), [0]

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if count[0] - 1 in calls:
            raise RuntimeError("not this time")
        return original(*args, **kwargs)

    monkeypatch.setattr(StepRing, name, sometimes)


@pytest.mark.parametrize(
    ("ours", "failed"), [(True, 2), (False, 4), (False, 5)], ids=["once for both", "before clipping", "as applied"]
)
def test_a_step_that_could_not_be_measured_leaves_the_one_before_alone(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch, ours: bool, failed: int
) -> None:
    # Our own clipping measures once a step, torch's twice: a measurement of step 2 fails.
    failing(monkeypatch, "measure_gradients", failed)
    model = linear()
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1, unclipped=not ours
    )
    with pytest.warns(GradHealthWarning, match="not this time"):
        for step in range(STEPS):
            put(model, step)
            if ours:
                optimizer.gradhealth.clip_grad_norm_(1e9)
            else:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            optimizer.step()
    monitor = optimizer.gradhealth
    monitor.close()
    assert (monitor.step, monitor.problems) == (STEPS, 1)
    assert norms(recording) == {step: 10.0**step for step in range(STEPS) if step != 2}


def test_a_ring_that_cannot_be_handed_over_costs_its_own_steps(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "take", 1)
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    with pytest.warns(GradHealthWarning, match="not this time"):
        for step in range(STEPS):
            put(model, step)
            optimizer.step()
    optimizer.gradhealth.close()
    found = norms(recording)
    assert set(range(STEPS)) - set(found) <= {1, 2}
    assert all(norm == 10.0**step for step, norm in found.items())


def test_a_step_that_failed_and_was_dropped_takes_no_good_one_with_it(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "measure_gradients", 4)
    model = linear()
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1, unclipped=True
    )
    with pytest.warns(GradHealthWarning, match="not this time"):
        for step in range(3):
            put(model, step)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            if step < 2:
                optimizer.step()
            optimizer.zero_grad()
    optimizer.gradhealth.close()
    assert norms(recording) == {0: 1.0, 1: 10.0}


def test_an_optimizer_that_joins_within_a_step_begins_the_next(tmp_path: Path, recording: Recording) -> None:
    models = linear(), linear()
    first: Any = GradHealthWriter(torch.optim.SGD(models[0].parameters(), lr=0.0), models[0], logdir=tmp_path, every=1)
    second: Any = None
    for step in range(4):
        for model in models:
            put(model, step)
        first.step()
        if step == 1:
            second = torch.optim.SGD(models[1].parameters(), lr=0.0)
            second = GradHealthWriter(second, models[1], beside=first, prefix="second")
        if second is not None:
            second.step()
    assert first.gradhealth.problems == 0
    first.gradhealth.close()
    assert norms(recording) == {0: 1.0, 1: 10.0, 2: 100.0, 3: 1000.0}
    assert norms(recording, name="second.weight") == {2: 10.0, 3: 100.0, 4: 1000.0}


@pytest.mark.parametrize("how", ["model.zero_grad", "a new gradient"])
def test_gradients_that_vanish_after_a_look_are_not_those_of_the_next_step(
    tmp_path: Path, recording: Recording, how: str
) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    for step in range(4):
        put(model, step)
        if step == 2:
            assert model.weight.grad is not None
            model.weight.grad[0, 0] = float("nan")
        norm = optimizer.gradhealth.clip_grad_norm_(1e9)
        if norm.isfinite():
            optimizer.step()
        if how == "model.zero_grad":
            model.zero_grad()
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    assert norms(recording) == norms(recording, "unclipped") == {0: 1.0, 1: 10.0, 2: 1000.0}
    assert [(note.step, note.kind, note.tensors[0].nan) for note in notes_of(tmp_path)] == [(2, "not_stepped", 1)]


def test_clipped_with_another_each_time_and_stepped_now_and_then(tmp_path: Path, recording: Recording) -> None:
    models = linear(), linear()
    first: Any = GradHealthWriter(torch.optim.SGD(models[0].parameters(), lr=0.0), models[0], logdir=tmp_path, every=1)
    second: Any = torch.optim.SGD(models[1].parameters(), lr=0.0)
    second = GradHealthWriter(second, models[1], beside=first, prefix="second")
    for step in range(6):
        for model in models:
            put(model, step)
        first.gradhealth.clip_grad_norm_(1e9)
        first.step()
        if step % 3 == 2:
            second.step()
    assert first.gradhealth.step == 6
    first.gradhealth.close()
    assert norms(recording) == {step: 10.0**step for step in range(6)}
    assert norms(recording, name="second.weight") == {2: 100.0, 5: 1e5}


def test_a_step_that_raised_does_not_hide_a_skipped_one(tmp_path: Path) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.ones(()))

    def raise_(*_: Any) -> None:
        raise KeyError("the user's")

    for attempt in range(4):
        put(model, 0)
        if attempt == 1:
            assert model.weight.grad is not None
            model.weight.grad[0, 0] = float("inf")
        handle = optimizer.register_step_post_hook(raise_) if attempt == 0 else None
        try:
            scaler.step(optimizer)
        except KeyError:
            assert attempt == 0
            scaler._per_optimizer_states.clear()
        else:
            scaler.update()
        if handle is not None:
            handle.remove()
    assert optimizer.gradhealth.step == 4
    optimizer.gradhealth.close()
    assert [(note.step, note.kind) for note in notes_of(tmp_path)] == [(1, "skipped")]


def test_a_scaler_that_is_no_longer_used_scales_nothing(tmp_path: Path, recording: Recording) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1, unclipped=True
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(()))
    for step in range(5):
        put(model, step)
        if step < 2:
            assert model.weight.grad is not None
            model.weight.grad.mul_(1024)
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        if step < 2:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
    optimizer.gradhealth.close()
    assert norms(recording) == {step: 10.0**step for step in range(5)}
    found = norms(recording, "unclipped")
    assert set(found) >= {0, 1, 3, 4}
    assert all(norm == 10.0**step for step, norm in found.items())


def test_loading_a_state_forgets_what_had_begun(tmp_path: Path, recording: Recording) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    put(model, 0)
    optimizer.gradhealth.clip_grad_norm_(1e9)
    optimizer.gradhealth.load_state_dict({"step": 100})
    for step in range(3):
        put(model, step)
        optimizer.gradhealth.clip_grad_norm_(1e9)
        optimizer.step()
    assert optimizer.gradhealth.step == 103
    optimizer.gradhealth.close()
    assert norms(recording) == {100: 1.0, 101: 10.0, 102: 100.0}


class NoArgument(torch.optim.SGD):
    def zero_grad(self) -> None:  # type: ignore[override]
        super().zero_grad()


class KeepsZeros(torch.optim.SGD):
    def zero_grad(self, set_to_none: bool = False) -> None:
        super().zero_grad(set_to_none)


@pytest.mark.parametrize("kind", [NoArgument, KeepsZeros, torch.optim.SGD])
def test_zero_grad_is_the_optimizers_own(tmp_path: Path, kind: type[torch.optim.SGD]) -> None:
    model = linear()
    bare = kind(model.parameters(), lr=0.1)
    signature = inspect.signature(bare.zero_grad)
    optimizer: Any = GradHealthWriter(copy.copy(bare), model, logdir=tmp_path)
    assert inspect.signature(optimizer.zero_grad) == signature
    put(model, 1)
    optimizer.step()
    optimizer.zero_grad()
    assert (model.weight.grad is None) == (kind is not KeepsZeros)
    optimizer.gradhealth.close()
    assert "zero_grad" not in vars(optimizer)


def test_odd_attributes_of_an_optimizer_are_its_own_affair(tmp_path: Path, recording: Recording) -> None:
    class Odd(torch.optim.SGD):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.grad_scale, self.found_inf = 1.0, False
            self.param_groups[0]["lr"] = torch.tensor([0.1, 0.2])

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            pass

    model = linear()
    optimizer: Any = GradHealthWriter(Odd(model.parameters(), lr=0.1), model, logdir=tmp_path, every=1)
    for step in range(3):
        put(model, step)
        optimizer.step()
    monitor = optimizer.gradhealth
    monitor.close()
    assert monitor.problems == 0
    assert norms(recording) == {0: 1.0, 1: 10.0, 2: 100.0}


def test_gradients_made_in_inference_mode(tmp_path: Path) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path)
    for _ in range(3):
        with torch.inference_mode():
            model.weight.grad = torch.ones(1, 2)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
    monitor = optimizer.gradhealth
    monitor.close()
    assert (monitor.step, monitor.problems) == (3, 0)


def test_closing_inside_a_with_block(tmp_path: Path) -> None:
    model = linear()
    with GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path) as optimizer:
        optimizer.gradhealth.close()
    assert type(optimizer) is torch.optim.SGD


def test_a_hanging_disk_and_a_new_group_do_not_hold_up_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_module, "CLOSE_SECONDS", 3.0)
    gate, append = threading.Event(), EventFile.append

    def hanging(file: EventFile, event: Any) -> None:
        gate.wait(60)
        append(file, event)

    monkeypatch.setattr(EventFile, "append", hanging)
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.head.parameters(), lr=0.0), model, logdir=tmp_path, every=1)
    longest = 0.0
    for step, _ in enumerate(losses(model, 6)):
        if step == 3:
            optimizer.add_param_group({"params": list(model.body.parameters())})
        before = time.monotonic()
        optimizer.step()
        longest = max(longest, time.monotonic() - before)
    assert longest < 1.5, "waited for the disk"
    gate.set()
    optimizer.gradhealth.close()
    assert [session.schema.start_step for session in run_of(tmp_path).timeline("gradients").sessions] == [0, 3]


def test_clipping_inside_a_compiled_function_stays_whole(tmp_path: Path) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, unclipped=True
    )

    @torch.compile(backend="eager", fullgraph=True)
    def clip(weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.utils.clip_grad_norm_([weight], 1.0)

    put(model, 2)
    assert clip(model.weight) == 100.0
    optimizer.gradhealth.close()


def test_hundreds_of_optimizers_beside_each_other_join_in_no_time(tmp_path: Path) -> None:
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1)) for _ in range(300)])
    began = time.monotonic()
    optimizers: list[Any] = [GradHealthWriter(torch.optim.SGD([model[0]], lr=0.0), model, logdir=tmp_path)]
    optimizers += [GradHealthWriter(torch.optim.SGD([p], lr=0.0), model, beside=optimizers[0]) for p in list(model)[1:]]
    assert time.monotonic() - began < 10, "more than n² in the number of optimizers"
    optimizers[0].gradhealth.close()


@pytest.mark.parametrize("odd", [torch.empty((), device="meta"), torch.ones((), dtype=torch.complex64), "high"])
def test_a_logged_value_that_is_no_number_costs_itself(tmp_path: Path, odd: Any) -> None:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=5)
    with pytest.warns(GradHealthWarning):
        for _ in losses(model, 10):
            optimizer.step()
            optimizer.gradhealth.log(odd=odd)
    optimizer.gradhealth.close()
    assert run_of(tmp_path).timeline("gradients").end == 10


def test_an_optimizer_collected_in_a_thread_of_ours_is_closed_elsewhere(tmp_path: Path) -> None:
    model = linear()
    box: list[Any] = [GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path, every=1)]
    monitor = box[0].gradhealth
    put(model, 1)
    box[0].step()
    thread = threading.Thread(target=box.clear, name="gradhealth-encoder")
    thread.start()
    thread.join()
    deadline = time.monotonic() + 20
    while not (tmp_path / "gradhealth").exists() or run_of(tmp_path).streams() == []:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert monitor.problems == 0


@pytest.mark.parametrize("enter", [lambda o: o.zero_grad(), lambda o: o.step()])
def test_whatever_breaks_in_the_watch_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enter: Callable[[Any], None]
) -> None:
    model = linear()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path)
    put(model, 0)
    for name in ("parameters", "groups", "named"):
        monkeypatch.setattr(f"tb_gradhealth.boundary.watch.Watch.{name}", lambda *_: 1 / 0)
    with pytest.warns(GradHealthWarning, match="division by zero"):
        enter(optimizer)
        optimizer.step()
        optimizer.zero_grad()
