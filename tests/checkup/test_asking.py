"""The forms of a loss function, and what is said of those that are none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tb_gradhealth import doctor
from tb_gradhealth.checkup import ContractError

from .models import batch, loss, perceptron

MODEL = perceptron()
INPUTS, LABELS = batch()


@pytest.mark.parametrize(
    ("loss_fn", "one"),
    [
        (loss, (INPUTS, LABELS)),
        (lambda net, one: loss(net, one), (INPUTS, LABELS)),
        (lambda output, one: functional.cross_entropy(output, one[1]), (INPUTS, LABELS)),
        (lambda logits, one: functional.cross_entropy(logits, one["z"]), {"input": INPUTS, "z": LABELS}),
        (nn.CrossEntropyLoss(), [INPUTS, LABELS]),
        (functional.cross_entropy, (INPUTS, LABELS)),
        (functools.partial(functional.cross_entropy, reduction="mean"), {"input": INPUTS, "labels": LABELS}),
        (lambda one: loss(MODEL, one), (INPUTS, LABELS)),
        (lambda one: (loss(MODEL, one), "predictions"), (INPUTS, LABELS)),
        (lambda one: {"loss": loss(MODEL, one)[None]}, (INPUTS, LABELS)),
    ],
)
def test_all_forms_give_the_same(loss_fn: Callable[..., Any], one: Any) -> None:
    report = doctor(MODEL, lambda: one, loss_fn)
    assert report.examined.loss == loss(MODEL, (INPUTS, LABELS)).item()
    assert report.examined.gradients is not None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((MODEL.parameters(), batch, loss), "model: expected a torch.nn.Module, got generator"),
        ((MODEL, INPUTS, loss), "input_fn: expected a function that returns a batch, got Tensor"),
        ((MODEL, lambda: None, loss), "expected a batch .*, got None"),
        ((MODEL, batch, 3), "loss_fn: expected a function"),
        ((MODEL, batch, lambda a, b, c: None), r"got one with the parameters \(a, b, c\)"),
        ((MODEL, batch, lambda model, one: 0.5), "return a scalar tensor, got float"),
        ((MODEL, batch, lambda model, one: model(one[0])), r"got a tensor of shape \(32, 3\)"),
        ((MODEL, lambda: INPUTS, nn.MSELoss()), r"expected a batch \(inputs, target\), got Tensor"),
        ((MODEL, lambda: {"x": INPUTS}, nn.MSELoss()), "with one of the keys label, labels"),
        ((MODEL, lambda: {"x": INPUTS}, lambda output, one: output), r"Sequential.forward takes \(input\), got x"),
        ((MODEL, batch, loss, None, 5), "more together with optimizer=, got 5"),
    ],
)
def test_errors_say_what_was_expected(arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(ContractError, match=told):
        doctor(*arguments)


def test_what_input_fn_gives_is_asked_for_once() -> None:
    given = iter([batch()])
    assert doctor(MODEL, lambda: next(given), loss).ok


def test_steps_find_what_one_batch_cannot_tell() -> None:
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), 50.0, momentum=0.9)
    assert doctor(model, batch, loss, optimizer).ok
    report = doctor(model, batch, loss, optimizer, steps=12)
    assert {one.type for one in report.alarms} & {"EXPLODING", "UNSTABLE", "NUMERICAL"}
    assert report.later is not None
    assert report.later.steps == (0, 12)
