"""The wrapped optimizer is the optimizer it was: to isinstance, schedulers, copies, hooks, closures and libraries."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter

from .loops import Net, cells, losses, timeline


def watched(tmp_path: Path, **options: Any) -> tuple[Net, Any]:
    model = Net()
    return model, GradHealthWriter(torch.optim.AdamW(model.parameters()), model, logdir=tmp_path / "run", **options)


def test_it_is_the_same_object_of_the_same_class_by_every_name(tmp_path: Path) -> None:
    model = Net()
    bare = torch.optim.AdamW(model.parameters())
    before = repr(bare)
    optimizer = GradHealthWriter(bare, model, logdir=tmp_path)
    assert optimizer is bare
    assert isinstance(optimizer, torch.optim.AdamW)
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert isinstance(optimizer, GradHealthWriter)
    assert (type(optimizer).__name__, type(optimizer).__module__) == ("AdamW", "torch.optim.adamw")
    assert repr(optimizer) == before


def test_only_gradhealth_is_added_to_the_optimizers_public_names(tmp_path: Path) -> None:
    model = Net()
    bare = set(dir(torch.optim.AdamW(model.parameters())))
    _, optimizer = watched(tmp_path)
    added = {name for name in dir(optimizer) if not name.startswith("_")} - bare
    assert added == {"gradhealth"}


def test_close_gives_the_optimizer_its_own_class_and_hooks_back(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)
    monitor = optimizer.gradhealth
    monitor.close()
    monitor.close()
    assert type(optimizer) is torch.optim.AdamW
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any("gradhealth" in key for key in vars(optimizer))
    again = GradHealthWriter(optimizer, model, logdir=tmp_path / "again")
    assert again is optimizer


def test_with_block_closes(tmp_path: Path) -> None:
    model = Net()
    with GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path) as optimizer:
        for _ in losses(model, 3):
            optimizer.step()
    assert type(optimizer) is torch.optim.SGD
    assert timeline(tmp_path).end == 3


def test_state_dict_is_what_it_was_and_loads_both_ways(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)
    for _ in losses(model, 2):
        optimizer.step()
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    bare = torch.optim.AdamW(model.parameters())
    bare.load_state_dict(state)
    optimizer.load_state_dict(bare.state_dict())
    assert optimizer.gradhealth.step == 2
    for _ in losses(model, 1):
        optimizer.step()
    assert optimizer.gradhealth.step == 3


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_bare_optimizers(tmp_path: Path, how: str) -> None:
    model, optimizer = watched(tmp_path)
    for _ in losses(model, 1):
        optimizer.step()
    if how == "deepcopy":
        twin = copy.deepcopy(optimizer)
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(optimizer))
    else:
        buffer = io.BytesIO()
        torch.save(optimizer, buffer)
        buffer.seek(0)
        twin = torch.load(buffer, weights_only=False)
    assert type(twin) is torch.optim.AdamW
    assert len(twin.state) == len(optimizer.state)
    assert not twin._optimizer_step_pre_hooks
    twin.step()
    assert optimizer.gradhealth.step == 1


def test_type_of_a_watched_optimizer_makes_a_bare_one(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)
    other = type(optimizer)(model.parameters(), lr=0.5)
    assert type(other) is torch.optim.AdamW
    assert other.param_groups[0]["lr"] == 0.5


SCHEDULERS = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=8),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 1e-4, 1e-2, cycle_momentum=False),
    "LinearLR": lambda o: torch.optim.lr_scheduler.LinearLR(o),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.ConstantLR(o), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("first", ["scheduler", "writer"])
def test_schedulers_give_the_same_rates_and_warn_nothing(tmp_path: Path, name: str, first: str) -> None:
    def rates(watch: bool) -> list[float]:
        model = Net()
        optimizer: Any = torch.optim.AdamW(model.parameters(), lr=0.01)
        if watch and first == "writer":
            optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path)
        scheduler: Any = SCHEDULERS[name](optimizer)
        if watch and first == "scheduler":
            optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path)
        found = []
        for loss in losses(model, 6):
            optimizer.step()
            scheduler.step(*[loss.item()] if name == "ReduceLROnPlateau" else [])
            found.append(optimizer.param_groups[0]["lr"])
        if watch:
            assert optimizer.gradhealth.step == 6
            optimizer.gradhealth.close()
        return found

    with warnings.catch_warnings(record=True) as bare_warnings:
        warnings.simplefilter("always")
        bare = rates(watch=False)
    with warnings.catch_warnings(record=True) as watched_warnings:
        warnings.simplefilter("always")
        assert rates(watch=True) == bare
    assert [str(w.message) for w in watched_warnings] == [str(w.message) for w in bare_warnings]


def test_a_users_hook_that_edits_gradients_runs_before_they_are_measured(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path, every=1)

    def halve(*_: Any) -> None:
        for parameter in model.head.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(0.5)

    optimizer.register_step_pre_hook(halve)
    expected = []
    for _ in losses(model, 3):
        assert model.head.weight.grad is not None
        expected.append(model.head.weight.grad.double().norm().item() / 2)
        optimizer.step()
    optimizer.gradhealth.close()
    np.testing.assert_allclose(cells(timeline(tmp_path / "run"), "norm", "head.weight", 1)[0], expected, rtol=2e-3)


def test_lbfgs_gives_one_row_a_step_from_its_first_evaluation(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=4)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(3))
    firsts: list[float] = []
    calls = 0
    for _ in range(3):
        evaluations: list[float] = []

        def closure(seen: list[float] = evaluations) -> torch.Tensor:
            nonlocal calls
            calls += 1
            optimizer.zero_grad()
            loss: torch.Tensor = (model(x) - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
            assert model.head.weight.grad is not None
            seen.append(model.head.weight.grad.double().norm().item())
            return loss

        assert optimizer.step(closure).item() > 0
        firsts.append(evaluations[0])
    assert calls > 3
    assert optimizer.gradhealth.step == 3
    optimizer.gradhealth.close()
    np.testing.assert_allclose(cells(timeline(tmp_path), "norm", "head.weight", 1)[2], firsts, rtol=2e-3)


@pytest.mark.parametrize("passing", ["positional", "keyword"])
def test_closures_of_other_optimizers_are_measured_after_they_ran(tmp_path: Path, passing: str) -> None:
    model, optimizer = watched(tmp_path, every=1)

    def closure() -> float:
        return next(losses(model, 1)).item()

    returned = optimizer.step(closure) if passing == "positional" else optimizer.step(closure=closure)
    assert returned > 0
    optimizer.gradhealth.close()
    assert cells(timeline(tmp_path / "run"), "norm", "head.weight", 1)[2][0] > 0


def test_a_step_that_raised_does_not_hide_the_next_ones(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)

    def broken() -> float:
        raise RuntimeError("out of data")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of data"):
            optimizer.step(broken)
    for _ in losses(model, 2):
        optimizer.step()
    assert optimizer.gradhealth.step == 2


def test_a_subclass_that_calls_super_step_is_measured_once(tmp_path: Path) -> None:
    class Twice(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    model = Net()
    torch.optim.SGD(model.parameters(), lr=0.1)  # patches SGD.step, so that both classes fire hooks
    optimizer: Any = GradHealthWriter(Twice(model.parameters(), lr=0.1), model, logdir=tmp_path)
    for _ in losses(model, 3):
        optimizer.step()
    assert optimizer.gradhealth.step == 3


def test_compiled_step_is_measured(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)
    step = torch.compile(optimizer.step, backend="eager")
    for _ in losses(model, 3):
        step()
    assert optimizer.gradhealth.step == 3
    assert optimizer.gradhealth.problems == 0


def test_a_group_added_later_is_measured_from_then_on(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = torch.optim.SGD(model.body.parameters(), lr=0.01)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=2)
    for _ in losses(model, 4):
        optimizer.step()
    optimizer.add_param_group({"params": model.head.parameters()})
    for _ in losses(model, 4):
        optimizer.step()
    optimizer.gradhealth.close()
    history = timeline(tmp_path)
    assert history.end == 8
    head = cells(history, "norm", "head.weight", 2)[2]
    assert np.isnan(head[:2]).all()
    assert (head[2:] > 0).all()
    assert (cells(history, "norm", "body.0.weight", 2)[2] > 0).all()


def test_a_forgotten_optimizer_is_freed_and_its_rows_are_written(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)
    for _ in losses(model, 3):
        optimizer.step()
    alive = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert alive() is None
    assert timeline(tmp_path / "run").end == 3


def test_a_class_derived_from_a_watched_optimizers_makes_optimizers_of_its_own(tmp_path: Path) -> None:
    model, optimizer = watched(tmp_path)

    class Derived(type(optimizer)):  # type: ignore[misc]
        pass

    own = Derived(model.parameters(), lr=0.5)
    assert (type(own), own.defaults["lr"]) == (Derived, 0.5)
    assert not hasattr(own, "gradhealth")
    for _ in losses(model, 1):
        own.step()
        own.zero_grad()
    assert optimizer.gradhealth.step == 0


def test_a_facade_as_lightnings_finds_everything_on_the_optimizer_that_it_wraps(tmp_path: Path) -> None:
    _, optimizer = watched(tmp_path)

    class Facade(type(optimizer)):  # type: ignore[misc]
        """Is of the optimizer's class, and has none of its attributes."""

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["_optimizer"], name)

    facade = Facade.__new__(Facade)
    facade.__dict__["_optimizer"] = optimizer
    assert facade.param_groups is optimizer.param_groups
    assert facade.gradhealth is optimizer.gradhealth
    assert type(copy.deepcopy(facade)) is Facade
