"""The learning rate is logged without being told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run

STEPS, EVERY = 23, 5
ROWS = [range(first, min(first + EVERY, STEPS)) for first in range(0, STEPS, EVERY)]


def model() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def backward(net: torch.nn.Module) -> torch.Tensor:
    net.zero_grad()
    loss: torch.Tensor = net(torch.ones(4, 2)).square().sum()
    loss.backward()
    return loss


def train(
    logdir: Path,
    groups: list[dict[str, Any]] | None = None,
    schedule: Callable[[Any], Any] | None = None,
    each: Callable[[Any, int], None] = lambda optimizer, step: None,
    lr: Any = 0.5,
) -> dict[int, list[float]]:
    """Group → its rate at each step, as it was when the optimizer stepped."""
    net = model()
    split = [{"params": layer.parameters(), **own} for layer, own in zip(net, groups or [{}, {}], strict=True)]
    optimizer: Any = torch.optim.SGD(split if groups else net.parameters(), lr=lr)
    with GradHealthWriter(optimizer, net, logdir=logdir, every=EVERY):
        scheduler = schedule(optimizer) if schedule else None
        rates: dict[int, list[float]] = {}
        for step in range(STEPS):
            backward(net)
            for index, group in enumerate(optimizer.param_groups):
                rates.setdefault(index, []).append(float(group["lr"]))
            optimizer.step()
            each(optimizer, step)
            if scheduler is not None:
                scheduler.step()
        assert optimizer.gradhealth.problems == 0
    return rates


def assert_logged(logdir: Path, name: str, rates: list[float]) -> None:
    found = open_run(logdir).scalars()[name]
    assert found.steps.tolist() == [[row.start, row.stop] for row in ROWS]
    assert found.count.tolist() == [len(row) for row in ROWS]
    for values, figure in ((found.mean, np.mean), (found.min, np.min), (found.max, np.max)):
        np.testing.assert_allclose(values, [figure([rates[step] for step in row]) for row in ROWS], rtol=1e-12)


def one_cycle(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.4, 0.1][: len(optimizer.param_groups)], total_steps=STEPS)


def warm_up(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 5))


@pytest.mark.parametrize("schedule", [None, one_cycle, warm_up])
def test_of_one_group(tmp_path: Path, schedule: Any) -> None:
    rates = train(tmp_path, schedule=schedule)
    assert list(open_run(tmp_path).scalars()) == ["lr"]
    assert_logged(tmp_path, "lr", rates[0])


def test_groups_that_agree_are_one(tmp_path: Path) -> None:
    rates = train(tmp_path, [{}, {"weight_decay": 0.1}], warm_up)
    assert list(open_run(tmp_path).scalars()) == ["lr"]
    assert_logged(tmp_path, "lr", rates[1])


@pytest.mark.parametrize("schedule", [None, one_cycle, warm_up])
def test_groups_that_differ_by_their_names(tmp_path: Path, schedule: Any) -> None:
    rates = train(tmp_path, [{"lr": 0.1}, {"lr": 0.2, "name": "head"}], schedule)
    assert set(open_run(tmp_path).scalars()) == {"lr/group0", "lr/head"}
    assert_logged(tmp_path, "lr/group0", rates[0])
    assert_logged(tmp_path, "lr/head", rates[1])


def test_of_many_groups_the_range(tmp_path: Path) -> None:
    layers = [torch.nn.Linear(1, 1) for _ in range(20)]
    net = torch.nn.Sequential(*layers)
    optimizer: Any = torch.optim.SGD([{"params": one.parameters(), "lr": 0.5**i} for i, one in enumerate(layers)])
    with GradHealthWriter(optimizer, net, logdir=tmp_path):
        net(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    found = open_run(tmp_path).scalars()
    assert {name: one.mean.tolist() for name, one in found.items()} == {"lr/min": [0.5**19], "lr/max": [1.0]}


@pytest.mark.parametrize("first", [0, 8])
def test_the_loop_may_log_it_itself(tmp_path: Path, first: int) -> None:
    def log(optimizer: Any, step: int) -> None:
        if step >= first:
            optimizer.gradhealth.log(loss=1.0, lr=step, loss_scale=2.0, val_loss=3.0)

    train(tmp_path, each=log)
    found = open_run(tmp_path).scalars()
    assert set(found) == {"loss", "lr", "loss_scale", "val_loss"}
    own = {row.start: [float(step) for step in row if step >= first] or [0.5] * EVERY for row in ROWS}
    assert found["lr"].mean.tolist() == [np.mean(values) for values in own.values()]
    assert found["lr"].count.tolist() == [len(values) for values in own.values()]


def test_a_tensor_is_read_as_it_is_at_the_step(tmp_path: Path) -> None:
    rate = torch.tensor(0.5)

    def halve(optimizer: Any, step: int) -> None:
        rate.mul_(0.5)

    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), lr=rate, foreach=False)
    rate = optimizer.param_groups[0]["lr"]
    rates = []
    with GradHealthWriter(optimizer, net, logdir=tmp_path, every=EVERY):
        for step in range(STEPS):
            backward(net)
            rates.append(float(rate))
            optimizer.step()
            halve(optimizer, step)
    assert_logged(tmp_path, "lr", rates)


def test_of_two_optimizers(tmp_path: Path) -> None:
    one, other = model(), model()
    first: Any = torch.optim.SGD(one.parameters(), lr=0.25)
    second: Any = torch.optim.SGD(other.parameters(), lr=0.5)
    first = GradHealthWriter(first, one, logdir=tmp_path, every=EVERY)
    second = GradHealthWriter(second, other, beside=first, prefix="critic")
    for _ in range(STEPS):
        for net, optimizer in ((one, first), (other, second)):
            backward(net)
            optimizer.step()
    first.gradhealth.close()
    assert set(open_run(tmp_path).scalars()) == {"lr/optimizer0", "lr/critic"}
    assert_logged(tmp_path, "lr/optimizer0", [0.25] * STEPS)
    assert_logged(tmp_path, "lr/critic", [0.5] * STEPS)


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    train(tmp_path, each=lambda optimizer, step: optimizer.param_groups[0].update(lr=0.5 if step < 5 else 1))
    assert open_run(tmp_path).scalars()["lr"].max.tolist() == [0.5, 1, 1, 1, 1]

    class Odd(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            return None

    net = model()
    optimizer: Any = Odd(net.parameters(), lr=0.1)
    del optimizer.param_groups[0]["lr"]
    with GradHealthWriter(optimizer, net, logdir=tmp_path / "odd"):
        backward(net)
        optimizer.step()
        assert optimizer.gradhealth.problems == 0
    assert open_run(tmp_path / "odd").scalars() == {}
