"""Each check finds the fault that was planted, where it was planted, and healthy models raise no alarm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.diagnosis.architectures import ARCHITECTURES
from bench.diagnosis.architectures.task import Knobs
from bench.diagnosis.faults import (
    DeadUnits,
    Detached,
    LargeWeights,
    NanInput,
    NanWeight,
    OffScale,
    Saturated,
    SmallWeights,
)
from bench.diagnosis.faults.fault import Fault
from tb_gradhealth import doctor
from tb_gradhealth.checkup import Report
from tb_gradhealth.checkup.checks import CHECKS

from .models import Batch, batch, loss, perceptron


@dataclass
class Case:
    """A healthy setup; what is planted changes it."""

    model: nn.Module = field(default_factory=perceptron)
    batch: Batch = field(default_factory=batch)
    loss: Callable[..., torch.Tensor] = loss
    optimizer: torch.optim.Optimizer | None = None

    def layer(self, index: int) -> nn.Linear:
        assert isinstance(self.model, nn.Sequential)
        layer = self.model[2 * index]
        assert isinstance(layer, nn.Linear)
        return layer

    def report(self) -> Report:
        return doctor(self.model, lambda: self.batch, self.loss, self.optimizer)


def nan_parameter(case: Case) -> None:
    case.layer(1).weight.data[3, 5] = torch.nan


def nan_buffer(case: Case) -> None:
    case.model.register_buffer("scale", torch.tensor([1.0, torch.nan]))


def nan_in_forward(case: Case) -> None:
    class Log(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.log()

    assert isinstance(case.model, nn.Sequential)
    case.model.insert(3, Log())


def nan_in_backward(case: Case) -> None:
    # The root of 0 is 0, its slope is not finite.
    case.loss = lambda model, one: loss(model, one) + model[0].weight.sub(model[0].weight.detach()).norm().sqrt()


def nan_input(case: Case) -> None:
    case.batch[0][2, 3] = torch.inf


def offset(case: Case) -> None:
    case.model, case.batch = perceptron(nn.Tanh), (case.batch[0] + 5, case.batch[1])


def one_wild_feature(case: Case) -> None:
    case.batch[0][:, 2] *= 1e-3


def dead_feature(case: Case) -> None:
    case.batch[0][:, 2] = 0


def constant_feature(case: Case) -> None:
    case.batch[0][:, 2] = 0.5


def alike_samples(case: Case) -> None:
    case.batch[0][:] = case.batch[0][0]


def unknown_token(case: Case) -> None:
    case.model = nn.Sequential(nn.Embedding(10, 8), nn.Flatten(), nn.Linear(16, 3))
    case.batch = torch.tensor([[1, 10], [2, 3]]), torch.tensor([0, 1])


def frozen(case: Case) -> None:
    case.model.requires_grad_(False)


def forgotten(case: Case) -> None:
    case.optimizer = torch.optim.SGD([*case.layer(0).parameters(), *case.layer(3).parameters()], 0.1)


def of_a_copy(case: Case) -> None:
    case.optimizer = torch.optim.SGD(copy.deepcopy(case.model).parameters(), 0.1)


def frozen_in_optimizer(case: Case) -> None:
    case.optimizer = torch.optim.SGD(case.model.parameters(), 0.1)
    case.layer(0).requires_grad_(False)


def large(case: Case) -> None:
    for index in range(4):
        case.layer(index).weight.data *= 4


def one_large(case: Case) -> None:
    case.layer(1).weight.data *= 8


def small(case: Case) -> None:
    for index in range(3):
        case.layer(index).weight.data *= 0.05
        case.layer(index).bias.data.zero_()


def constant_weights(case: Case) -> None:
    nn.init.constant_(case.layer(1).weight, 0.1)


def all_zero(case: Case) -> None:
    for one in case.model.parameters():
        nn.init.zeros_(one)


def dead(case: Case) -> None:
    case.layer(1).bias.data -= 100


class Functional(nn.Module):
    """Activation functions that are no modules, one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.head = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(functional.relu_(self.two(torch.tanh(self.one(x)))))
        return out


def dead_function(case: Case) -> None:
    case.model = model = Functional()
    model.two.bias.data -= 100


def saturated_function(case: Case) -> None:
    case.model = model = Functional()
    model.one.weight.data *= 30


def saturated(case: Case) -> None:
    case.model = perceptron(nn.Tanh)
    case.layer(1).weight.data *= 20


def lost(case: Case) -> None:
    case.layer(1).weight.data *= 1e-4


def collapsed(case: Case) -> None:
    case.layer(3).weight.data *= 1e-4


def detached(case: Case) -> None:
    case.loss = lambda model, one: functional.cross_entropy(model[2:](model[:2](one[0]).detach()), one[1])


def disconnected(case: Case) -> None:
    case.loss = lambda model, one: loss(model, one).detach()


def masked(case: Case) -> None:
    case.loss = lambda model, one: functional.cross_entropy(model[2:](model[:2](one[0]) * 0), one[1])


def vanishing(case: Case) -> None:
    case.model = perceptron(nn.Sigmoid, layers=8)


def growing(case: Case) -> None:
    class Steep(nn.Module):
        """ReLU, and on the way back three times it."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.relu()
            return 3 * y - 2 * y.detach()

    case.model = perceptron(Steep, layers=8)


def probabilities(case: Case) -> None:
    assert isinstance(case.model, nn.Sequential)
    case.model.append(nn.Softmax(-1))


def one_label(case: Case) -> None:
    case.batch[1][:] = 1


def random_in_evaluation(case: Case) -> None:
    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.dropout(x, 0.3)

    assert isinstance(case.model, nn.Sequential)
    case.model.append(Noise())


def half(case: Case) -> None:
    case.model.half()
    case.batch = case.batch[0].half(), case.batch[1]
    case.loss = lambda model, one: loss(model, one) * 1e-4


def wrong_start(case: Case) -> None:
    case.layer(3).weight.data *= 300


#: Fault, the check that is to find it, severity, and the node.
PLANTED: tuple[tuple[Callable[[Case], None], str, str, str], ...] = (
    (nan_parameter, "nonfinite_parameters", "critical", "2.weight"),
    (nan_parameter, "nonfinite", "critical", "2"),
    (nan_buffer, "nonfinite_buffers", "high", "scale"),
    (nan_in_forward, "nonfinite", "critical", "3"),
    (nan_in_backward, "nonfinite", "critical", "0.weight"),
    (nan_input, "nonfinite_inputs", "critical", "input"),
    (offset, "input_scale", "medium", "0"),
    (one_wild_feature, "feature_scales", "medium", "input"),
    (dead_feature, "dead_features", "notice", "input"),
    (constant_feature, "dead_features", "notice", "input"),
    (alike_samples, "constant_input", "high", "input"),
    (unknown_token, "token_ids", "critical", "0"),
    (frozen, "nothing_trains", "high", ""),
    (forgotten, "not_in_optimizer", "medium", "2.weight"),
    (of_a_copy, "not_in_optimizer", "critical", ""),
    (frozen_in_optimizer, "idle_in_optimizer", "notice", "0.weight"),
    (large, "large_start", "critical", "0.weight"),
    (one_large, "large_start", "medium", "2.weight"),
    (small, "small_start", "critical", "0.weight"),
    (constant_weights, "alike_units", "high", "2.weight"),
    (all_zero, "alike_units", "critical", "2.weight"),
    (dead, "dead_units", "critical", "2"),
    (dead_function, "dead_units", "critical", "two"),
    (saturated, "saturated", "high", "2"),
    (saturated_function, "saturated", "high", "one"),
    (lost, "constant_signal", "high", "2"),
    (collapsed, "output_constant", "high", "6"),
    (detached, "no_gradient", "medium", "0.weight"),
    (disconnected, "loss_detached", "critical", ""),
    (masked, "zero_gradient", "high", "2.weight"),
    (vanishing, "depth_drop", "critical", "0.weight"),
    (growing, "depth_growth", "critical", "0.weight"),
    (wrong_start, "norm_limits", "notice", ""),
    (probabilities, "softmax_twice", "medium", ""),
    (one_label, "constant_targets", "low", "1"),
    (random_in_evaluation, "evaluation_differs", "low", ""),
    (half, "underflow", "high", ""),
    (wrong_start, "loss_at_start", "notice", ""),
)


def test_the_setup_is_healthy() -> None:
    report = Case().report()
    assert (report.ok, report.findings, report.skipped) == (True, (), ())


@pytest.mark.parametrize(("plant", "check", "severity", "node"), PLANTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_planted_fault_is_found_where_it_is(
    plant: Callable[[Case], None], check: str, severity: str, node: str
) -> None:
    case = Case()
    plant(case)
    found = [(one.rule, one.severity, one.node) for one in case.report().findings]
    assert (check, severity, node) in found


def test_each_check_has_a_fault_that_it_finds() -> None:
    assert {check for _, check, _, _ in PLANTED} == {one.name for one in CHECKS}


def test_the_first_index_and_the_count_are_told() -> None:
    case = Case()
    case.layer(1).weight.data[3, 5:7] = torch.inf
    (finding,) = (one for one in case.report().findings if one.rule == "nonfinite_parameters")
    (told,) = finding.evidence
    assert (told.value, told.unit) == (2, "of 256 elements, the first one at [3, 5]")


def test_what_follows_from_a_finding_is_told_as_such() -> None:
    case = Case()
    nan_parameter(case)
    follows = {one.rule: one.follows for one in case.report().findings}
    assert follows["nonfinite"] == "nonfinite_parameters"
    assert follows["nonfinite_parameters"] == ""
    case = Case()
    offset(case)
    case.layer(0).weight.data *= 2
    report = case.report()
    assert [(one.rule, [other.rule for other in others]) for one, others in report.groups] == [
        ("input_scale", ["saturated"])
    ]
    assert (report.worst, report.verdict[:19]) == ("high", "SCALE_MISMATCH in 0")


@pytest.mark.parametrize("name", [one.name for one in ARCHITECTURES.values() if one.part != "held-out"])
def test_healthy_architectures_raise_no_alarm(name: str) -> None:
    torch.manual_seed(0)
    task = ARCHITECTURES[name].make(Knobs(), 0)
    drawn = task.draw(task.batch, torch.Generator().manual_seed(1000))
    report = doctor(task.model, lambda: drawn, lambda batch: task.loss(batch))
    assert [one for one in report.findings if one.severity != "notice"] == []
    assert report.skipped == ()


@pytest.mark.parametrize(
    ("fault", "name", "kind"),
    [
        (LargeWeights, "resnet", "EXPLODING"),
        (SmallWeights, "cnn", "VANISHING"),
        (DeadUnits, "clip", "DEAD"),
        (Saturated, "bag", "SATURATED"),
        (NanWeight, "gru", "NUMERICAL"),
        (NanInput, "patches", "NUMERICAL"),
        (OffScale, "actor_critic", "SCALE_MISMATCH"),
        (Detached, "transformer", "STALLED_COMPONENT"),
    ],
)
def test_the_grounds_faults_are_found(fault: type[Fault], name: str, kind: str) -> None:
    torch.manual_seed(0)
    task = ARCHITECTURES[name].make(Knobs(), 0)
    planted: Any = fault(task, 0)
    planted.before(1.0)
    drawn = planted.data(task.draw(task.batch, torch.Generator().manual_seed(1000)), 1.0)
    drawn = type(drawn)(planted.seen(drawn.inputs, 1.0), drawn.targets)
    report = doctor(task.model, lambda: drawn, lambda batch: task.loss(batch))
    assert kind in {one.type for one in report.alarms}
