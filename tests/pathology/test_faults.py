"""A fault does what it says, where it says, and nothing before its onset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.diagnosis.architectures import ARCHITECTURES
from bench.diagnosis.architectures.task import Batch
from bench.diagnosis.cells import Cell
from bench.diagnosis.faults import (
    DeadUnits,
    Detached,
    LowRank,
    NanWeight,
    OffScale,
    OneTarget,
    SilentHead,
    SmallWeights,
    Stuck,
    Underflow,
)
from bench.diagnosis.pathologies import PATHOLOGIES, Onset
from bench.diagnosis.probes import mechanisms, probe
from bench.diagnosis.trial import Trial

#: Where each fault is tried: the first architecture that can have it.
WHERE = {
    name: next(one.name for one in ARCHITECTURES.values() if pathology.fits(one))
    for name, pathology in PATHOLOGIES.items()
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _trial(pathology: str | None, onset: Onset = "sudden", architecture: str | None = None, seed: int = 1) -> Trial:
    name = architecture or WHERE[pathology or "high_rate"]
    return Trial(Cell("development", name, "plain", seed, pathology, onset if pathology else None), None)


@pytest.mark.parametrize("name", list(PATHOLOGIES))
def test_until_its_onset_a_sick_training_is_its_twin_bit_for_bit(name: str) -> None:
    sick, twin = _trial(name), _trial(None, architecture=WHERE[name])
    onset = sick.cell.onset_step
    for trial in (sick, twin):
        for step in range(onset - 6, onset):
            trial.step(step)
    assert _weights(sick) == _weights(twin)
    for step in range(onset, onset + 24):  # one of eight batches is corrupt
        for trial in (sick, twin):
            trial.step(step)
        if _weights(sick) != _weights(twin):
            return
    pytest.fail("the fault left the training as it was")


def test_same_seed_same_training() -> None:
    one, two, other = (_trial(None, architecture="cnn", seed=seed) for seed in (1, 1, 2))
    for trial in (one, two, other):
        for step in range(3):
            trial.step(step)
    assert _weights(one) == _weights(two) != _weights(other)


def test_mechanisms_are_found_where_they_were_put_and_nowhere_else() -> None:
    for kind, name, fault in (
        ("DEAD", "mlp", DeadUnits),
        ("BOTTLENECK", "mlp", LowRank),
        ("NUMERICAL", "mlp", NanWeight),
        ("MODE_COLLAPSE", "mlp", SilentHead),
    ):
        trial, twin = _trial(None, architecture=name), _trial(None, architecture=name)
        made = fault(trial.task, 1)
        made.before(1.0)
        found = mechanisms(probe(trial.task, trial.eval), probe(twin.task, twin.eval))
        assert set(found) == {kind}
        if kind in ("DEAD", "BOTTLENECK"):
            assert all(any(node.startswith(one) for one in made.nodes) for node in found[kind])
    assert mechanisms(probe(twin.task, twin.eval), probe(twin.task, twin.eval)) == {}


def test_a_rank_of_one_is_held_against_the_optimizer() -> None:
    trial = _trial("low_rank")
    for step in range(trial.cell.onset_step, trial.cell.onset_step + 3):
        trial.step(step)
    trial.fault.before(1.0)
    name = trial.fault.one_weight()[0]
    values = torch.linalg.svdvals(dict(trial.model.named_parameters())[name].detach())
    assert values[1] < 1e-5 * values[0]


def test_what_is_detached_gets_no_gradient_and_is_found_out() -> None:
    trial = _trial("detached", "start")
    trial.step(0)
    assert isinstance(trial.fault, Detached)
    layers = {name.rpartition(".")[0] for name, one in trial.model.named_parameters() if one.grad is None}
    assert layers
    assert set(trial.fault.nodes) == layers


def test_stuck_and_lost_gradients() -> None:
    trial = _trial(None)
    loss, _ = trial.task.loss(trial.eval)
    loss.backward()
    stuck, underflow = Stuck(trial.task, 1), Underflow(trial.task, 1)
    stuck.gradients(0.0)
    grads = {name: one.grad for name, one in trial.model.named_parameters() if one.grad is not None}
    stuck.gradients(1.0)
    zero = {name.rpartition(".")[0] for name, grad in grads.items() if not grad.any()}
    assert zero == set(stuck.nodes)
    underflow.gradients(1.0)
    assert underflow.figures()["gradient_elements_lost"] > 0.5


def test_data_and_norms() -> None:
    trial = _trial(None)
    batch = trial.task.draw(64, trial.source)
    off = OffScale(trial.task, 1).data(batch, 1.0).inputs
    assert off.mean() > 20
    assert off.std() > 10
    assert len(OneTarget(trial.task, 1).data(batch, 1.0).targets.unique()) == 1
    assert torch.equal(OneTarget(trial.task, 1).data(batch, 0.0).targets, batch.targets)
    small = SmallWeights(trial.task, 1)
    before = [float(weight.detach().norm()) for weight in small.hidden().values()]
    small.before(1.0)
    after = [float(weight.detach().norm()) for weight in small.hidden().values()]
    assert after == pytest.approx([norm * small.FACTOR for norm in before])


def test_probe_leaves_the_model_as_it_was() -> None:
    trial = _trial(None, architecture="transformer")
    before, hooks = _weights(trial), _hooks(trial)
    batch = Batch(trial.eval.inputs, trial.eval.targets)
    assert probe(trial.task, batch) == probe(trial.task, batch)
    assert (_weights(trial), _hooks(trial), trial.model.training) == (before, hooks, True)
    assert all(parameter.grad is None for parameter in trial.model.parameters())


def _weights(trial: Trial) -> list[bytes]:
    return [parameter.detach().numpy().tobytes() for parameter in trial.model.parameters()]


def _hooks(trial: Trial) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in trial.model.modules())
