"""Each architecture learns, and has what its table says of it."""

from __future__ import annotations

import pytest
import torch

from bench.diagnosis.architectures import ARCHITECTURES
from bench.diagnosis.cells import Cell
from bench.diagnosis.habits import HABITS
from bench.diagnosis.trial import Trial


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_it_learns_and_its_sites_are_there(name: str) -> None:
    trial = Trial(Cell("development", name, "plain", 1), None)
    model, sites, traits = trial.model, trial.task.sites, ARCHITECTURES[name].traits
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    layers = {layer for pair in (*sites.relus, *sites.bounded) for layer in pair}
    assert {sites.first, sites.head, *layers, *sites.branches, *sites.queries} <= set(modules)
    assert set(sites.weights) | {f"{sites.head}.weight"} <= set(parameters)
    assert all(isinstance(modules[act], torch.nn.ReLU) for _, act in sites.relus)
    has = {"relu": sites.relus, "bounded": sites.bounded, "attention": sites.queries, "policy": trial.task.figure}
    assert {trait for trait, there in has.items() if there} == traits & set(has)
    assert trial.eval.inputs.is_floating_point() == ("numbers" in traits)
    start = trial.evaluate(0)
    for step in range(40):
        trial.step(step)
    assert trial.evaluate(40) < start - 0.1 * max(abs(start), 0.1)


@pytest.mark.parametrize("habit", list(HABITS))
def test_a_habit_trains(habit: str) -> None:
    name = next(one.name for one in ARCHITECTURES.values() if HABITS[habit].fits(one))
    trial = Trial(Cell("development", name, habit, 1), None)
    for step in (0, trial.cell.steps // 3, trial.cell.steps - 1):
        trial.step(step)
    frozen = [name for name, parameter in trial.model.named_parameters() if not parameter.requires_grad]
    assert frozen == ([trial.task.sites.weights[-1]] if HABITS[habit].frozen else [])
    assert len(trial.optimizers) == 1 + HABITS[habit].alternating
