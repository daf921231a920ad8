"""A watched optimizer under a GradScaler raises, warns and pickles as the bare one does."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net
from .amp import KINDS, batch, optimizer_of, train


def misuse(case: str, logdir: Path | None) -> list[Any]:
    """What comes of it, in the order in which it comes."""
    model = Net()
    if case == "fp16 parameters":
        model.half()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=1024.0)
    dtype = model.head.weight.dtype
    came: list[Any] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loss = model(batch(0).to(dtype)).float().square().mean()
            (loss if case == "no scale" else scaler.scale(loss)).backward()
            if case == "unscale twice":
                scaler.unscale_(optimizer)
                scaler.unscale_(optimizer)
            if case == "unscale without scale":
                torch.amp.GradScaler("cpu").unscale_(optimizer)
            if case == "closure":
                scaler.step(optimizer, closure=lambda: loss)
            if case == "no gradients":
                optimizer.zero_grad()
            if case == "scheduler after a skipped step":
                schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
                assert model.head.bias.grad is not None
                model.head.bias.grad[0] = float("inf")
            came.append(scaler.step(optimizer))
            if case == "step twice":
                scaler.step(optimizer)
            if case == "unscale after step":
                scaler.unscale_(optimizer)
            scaler.update()
            if case == "scheduler after a skipped step":
                schedule.step()
                came.append(optimizer.param_groups[0]["lr"])
        except Exception as error:
            came.append((type(error), str(error)))
        came += [(w.category, str(w.message)) for w in caught]
        if logdir is not None:
            optimizer.gradhealth.close()
    return [*came, *(parameter.detach().tolist() for parameter in model.parameters())]


CASES = {
    "step twice": RuntimeError,
    "unscale twice": RuntimeError,
    "unscale after step": RuntimeError,
    "unscale without scale": AssertionError,
    "fp16 parameters": ValueError,
    "no scale": AssertionError,
    "no gradients": AssertionError,
    "closure": RuntimeError,
    "scheduler after a skipped step": None,
    "nothing": None,
}


@pytest.mark.parametrize("case", CASES)
def test_misuse_comes_to_the_same(tmp_path: Path, case: str) -> None:
    bare = misuse(case, None)
    kinds = [item[0] for item in bare if isinstance(item, tuple) and issubclass(item[0], Exception)]
    if CASES[case] is not None:
        assert CASES[case] in kinds, "torch has changed: the case shows nothing any more"
    assert misuse(case, tmp_path) == bare


def test_a_training_goes_on_after_misuse(tmp_path: Path) -> None:
    model = Net()
    optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.1), model, logdir=tmp_path)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for i in range(3):
        optimizer.zero_grad()
        scaler.scale(model(batch(i)).square().mean()).backward()
        scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="already been called"):
            scaler.step(optimizer)
        scaler.update()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (3, 0)


@pytest.mark.parametrize("kind", ["SGD foreach", "AdamW fused"])
def test_the_scaler_is_left_alone(tmp_path: Path, kind: str) -> None:
    bare, watched = (train(kind, "auto", logdir).scaler for logdir in (None, tmp_path))
    assert type(watched) is torch.amp.GradScaler
    assert set(vars(watched)) == set(vars(bare))
    assert watched.state_dict() == bare.state_dict()
    copy = pickle.loads(pickle.dumps(watched))
    assert type(copy) is torch.amp.GradScaler
    assert copy.state_dict() == bare.state_dict()


def reads(optimizer: Any) -> tuple[bool, Any]:
    name = "_step_supports_amp_scaling"
    return hasattr(optimizer, name), getattr(optimizer, name, "absent")


@pytest.mark.parametrize("kind", KINDS)
def test_amp_support_reads_as_on_the_bare_optimizer(tmp_path: Path, kind: str) -> None:
    # Declared True, it advances Accelerate's schedule on skipped steps and makes Lightning raise.
    model = Net()
    before = reads(optimizer_of(kind, model))
    optimizer = optimizer_of(kind, model)
    GradHealthWriter(optimizer, model, logdir=tmp_path)
    assert reads(optimizer) == before
    optimizer.gradhealth.close()
    assert reads(optimizer) == before


def test_amp_support_that_is_set_by_class_or_later(tmp_path: Path) -> None:
    class Declares(torch.optim.SGD):
        _step_supports_amp_scaling = True

    model = Net()
    optimizer: Any = GradHealthWriter(Declares(model.parameters(), lr=0.1), model, logdir=tmp_path)
    assert optimizer._step_supports_amp_scaling is True
    optimizer._step_supports_amp_scaling = False
    assert optimizer._step_supports_amp_scaling is False
    optimizer.gradhealth.close()
    assert optimizer._step_supports_amp_scaling is False


def test_a_saved_optimizer_state_is_the_bare_one(tmp_path: Path) -> None:
    model = Net()
    bare = optimizer_of("AdamW fused", model)
    watched = GradHealthWriter(optimizer_of("AdamW fused", model), model, logdir=tmp_path)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(model(batch(0)).square().mean()).backward()
    for optimizer in (bare, watched):
        scaler.step(optimizer)
    assert set(vars(watched)) - set(vars(bare)) == {"_gradhealth"}
    assert repr(watched.state_dict()["param_groups"]) == repr(bare.state_dict()["param_groups"])
