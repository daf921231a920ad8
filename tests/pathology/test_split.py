"""What there is to be made: enough of each, and nothing that rules are tuned on among what they are tested on."""

from __future__ import annotations

from collections import Counter

from bench.diagnosis.architectures import ARCHITECTURES
from bench.diagnosis.cells import SEEDS, cells
from bench.diagnosis.habits import HABITS
from bench.diagnosis.judges.judge import SEVERITY
from bench.diagnosis.pathologies import PATHOLOGIES

DEVELOPMENT, HELD_OUT = cells("development"), cells("held-out")


def test_development_has_known_architectures_habits_and_seeds_only() -> None:
    assert {ARCHITECTURES[cell.architecture].part for cell in DEVELOPMENT} == {"development"}
    assert {HABITS[cell.habit].part for cell in DEVELOPMENT} == {"development"}
    assert not {cell.seed for cell in DEVELOPMENT} & {cell.seed for cell in HELD_OUT}


def test_every_held_out_run_that_counts_has_an_unseen_architecture_or_habit() -> None:
    twins = {cell.twin for cell in HELD_OUT}  # plain trainings of known architectures, which others are compared with
    for cell in HELD_OUT:
        unseen = "held-out" in (ARCHITECTURES[cell.architecture].part, HABITS[cell.habit].part)
        assert unseen or cell in twins


def test_ground_is_as_large_as_it_claims() -> None:
    for part in (DEVELOPMENT, HELD_OUT):
        sick = [cell for cell in part if cell.pathology]
        assert len({cell.architecture for cell in sick}) >= 6
        assert len({cell.pathology for cell in sick}) >= 12
        assert {cell.onset for cell in sick} == {"start", "sudden", "progressive"}
    assert sum(cell.pathology is not None for cell in HELD_OUT) >= 600  # half of them need harm no more than half
    assert sum(cell.pathology is None for cell in HELD_OUT) >= 300


def test_cells_of_each_parts_own_architectures_have_three_seeds() -> None:
    for name, part in (("development", DEVELOPMENT), ("held-out", HELD_OUT)):
        own = [cell for cell in part if ARCHITECTURES[cell.architecture].part == name]
        sick = Counter((cell.architecture, cell.pathology, cell.onset) for cell in own if cell.pathology)
        healthy = Counter((cell.architecture, cell.habit) for cell in own if not cell.pathology)
        assert set(sick.values()) == set(healthy.values()) == {len(SEEDS["held-out"])} == {3}


def test_twins_come_before_those_that_need_them_and_a_beginning_is_mixed() -> None:
    for part in (DEVELOPMENT, HELD_OUT):
        place = {cell: index for index, cell in enumerate(part)}
        assert len(place) == len(part) == len({cell.name for cell in part})
        assert all(place[cell.twin] <= place[cell] for cell in part)
        first = part[:150]
        assert len({cell.architecture for cell in first}) == len({cell.architecture for cell in part})
        assert 0.35 < sum(cell.pathology is None for cell in first) / len(first) < 0.75


def test_every_fault_names_types_that_there_are() -> None:
    for pathology in PATHOLOGIES.values():
        assert set(pathology.types) <= set(SEVERITY)
        assert pathology.reason or pathology.seen == "gradients", "a level that cannot show a fault needs a reason"


def test_a_growing_fault_grows() -> None:
    cell = next(cell for cell in DEVELOPMENT if cell.onset == "progressive")
    strengths = [cell.strength(step) for step in range(cell.steps)]
    assert not any(strengths[: cell.onset_step])
    assert 0 < strengths[cell.onset_step] < 0.1
    assert strengths[-1] == 1.0
    assert strengths == sorted(strengths)
