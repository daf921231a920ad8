"""What ``doctor`` makes of the proving ground's models before their first step: healthy ones, those with a habit, and
those with a fault that is there from the start. Of a fault it is not asked whether it would do harm. The held-out part
is left alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

import torch

from tb_gradhealth import doctor
from tb_gradhealth.checkup import Report

from . import options
from .diagnosis.architectures import ARCHITECTURES, Architecture, up_to
from .diagnosis.architectures.task import Batch, Task
from .diagnosis.habits import HABITS, PLAIN, Habit
from .diagnosis.pathologies import PATHOLOGIES, Pathology

SUMMARY = "alarms of the doctor on the proving ground's models"
LOOKED_AT = [one for one in ARCHITECTURES.values() if one.part in up_to("examined")]
#: What can be seen of a model and a batch; the others are faults of steps, or of what labels mean.
IN_SIGHT = (
    "large_weights",
    "small_weights",
    "dead_units",
    "saturated",
    "nan_weight",
    "nan_input",
    "silent_head",
    "off_scale",
    "detached",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=options.at_least(1), default=10, help="models of each kind (10)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    plain = [(one.name, report) for one, report in _healthy([PLAIN], given.seeds)]
    habits = [
        (one.name, report)
        for one, report in _healthy([one for one in HABITS.values() if one.part in up_to("examined")], given.seeds)
    ]
    for title, found in (("plain", plain), ("with habits", habits)):
        alarmed = [f"{name} {report.verdict}" for name, report in found if not report.ok]
        print(f"{title}: {len(alarmed)} of {len(found)} have an alarm", *alarmed[:8], sep="\n  ")
    print(f"{'fault':16}{'models':>8}{'alarm':>8}{'right type':>12}")
    total = [0, 0, 0]
    for name in IN_SIGHT:
        reports = list(_sick(PATHOLOGIES[name], given.seeds))
        right = sum(bool({one.type for one in each.alarms} & set(PATHOLOGIES[name].types)) for each in reports)
        counts = [len(reports), sum(not each.ok for each in reports), right]
        total = [before + more for before, more in zip(total, counts, strict=True)]
        print(f"{name:16}{counts[0]:8}{counts[1]:8}{counts[2]:12}")
    print(f"{'all':16}{total[0]:8}{total[1]:8}{total[2]:12}")


def _healthy(habits: Iterable[Habit], seeds: int) -> Iterator[tuple[Architecture, Report]]:
    for architecture in LOOKED_AT:
        for habit in habits:
            if habit.fits(architecture):
                for seed in range(seeds):
                    yield architecture, _looked(*_made(architecture, habit, seed))


def _sick(pathology: Pathology, seeds: int) -> Iterator[Report]:
    for architecture in LOOKED_AT:
        if pathology.fits(architecture):
            for seed in range(seeds):
                task, batch = _made(architecture, PLAIN, seed)
                fault = pathology.fault(task, seed)
                fault.before(1.0)
                hurt = fault.data(batch, 1.0)
                yield _looked(task, Batch(fault.seen(hurt.inputs, 1.0), hurt.targets))


def _made(architecture: Architecture, habit: Habit, seed: int) -> tuple[Task, Batch]:
    torch.manual_seed(seed)
    task = architecture.make(habit.knobs, seed)
    batch = task.draw(max(2, round(task.batch * habit.batch(0.0))), torch.Generator().manual_seed(1000 + seed))
    return task, Batch(batch.inputs * habit.input_scale, batch.targets) if habit.input_scale != 1 else batch


def _looked(task: Task, batch: Batch) -> Report:
    return doctor(task.model, lambda: batch, lambda batch: task.loss(batch))
