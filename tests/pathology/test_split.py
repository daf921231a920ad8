"""What there is to be made: enough of each, and nothing that rules are tuned on among what they are tested on."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from bench.diagnosis.architectures import ARCHITECTURES, PARTS, Part, up_to
from bench.diagnosis.cells import SEEDS, cells
from bench.diagnosis.habits import HABITS
from bench.diagnosis.judges.judge import SEVERITY
from bench.diagnosis.pathologies import PATHOLOGIES

CELLS = {part: cells(part) for part in PARTS}
of_each_part = pytest.mark.parametrize("part", PARTS)


@of_each_part
def test_a_part_has_its_own_architectures_and_habits_and_those_before_it(part: Part) -> None:
    known = up_to(part)
    assert {ARCHITECTURES[cell.architecture].part for cell in CELLS[part]} == set(known)
    assert {HABITS[cell.habit].part for cell in CELLS[part]} == set(known)


def test_seeds_are_of_one_part() -> None:
    seeds = Counter(seed for part in PARTS for seed in {cell.seed for cell in CELLS[part]})
    assert set(seeds.values()) == {1}


@of_each_part
def test_every_run_that_counts_has_an_unseen_architecture_or_habit(part: Part) -> None:
    twins = {cell.twin for cell in CELLS[part]}  # plain trainings of seen architectures, which others are compared with
    for cell in CELLS[part]:
        assert part in (ARCHITECTURES[cell.architecture].part, HABITS[cell.habit].part) or cell in twins


def test_what_was_held_out_is_what_is_examined() -> None:
    """The same runs in the same order, so those that are there count on."""
    names = "\n".join(cell.name for cell in CELLS["examined"])
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "e2c44a32bb760275"


@of_each_part
def test_ground_is_as_large_as_it_claims(part: Part) -> None:
    sick = [cell for cell in CELLS[part] if cell.pathology]
    assert len({cell.architecture for cell in sick}) >= 6
    assert len({cell.pathology for cell in sick}) >= 12
    assert {cell.onset for cell in sick} == {"start", "sudden", "progressive"}
    if part != "development":
        assert len(sick) >= 600  # half of them need harm no more than half
        assert len(CELLS[part]) - len(sick) >= 300


@of_each_part
def test_cells_of_each_parts_own_architectures_have_three_seeds(part: Part) -> None:
    own = [cell for cell in CELLS[part] if ARCHITECTURES[cell.architecture].part == part]
    sick = Counter((cell.architecture, cell.pathology, cell.onset) for cell in own if cell.pathology)
    healthy = Counter((cell.architecture, cell.habit) for cell in own if not cell.pathology)
    assert set(sick.values()) == set(healthy.values()) == {len(SEEDS[part])} == {3}


@of_each_part
def test_twins_come_before_those_that_need_them_and_a_beginning_is_mixed(part: Part) -> None:
    place = {cell: index for index, cell in enumerate(CELLS[part])}
    assert len(place) == len(CELLS[part]) == len({cell.name for cell in place})
    assert all(place[cell.twin] <= place[cell] for cell in place)
    first = CELLS[part][:200]
    assert len({cell.architecture for cell in first}) == len({cell.architecture for cell in place})
    assert 0.35 < sum(cell.pathology is None for cell in first) / len(first) < 0.75


def test_every_fault_names_types_that_there_are() -> None:
    for pathology in PATHOLOGIES.values():
        assert set(pathology.types) <= set(SEVERITY)
        assert pathology.reason or pathology.seen == "gradients", "a level that cannot show a fault needs a reason"


def test_a_growing_fault_grows() -> None:
    cell = next(cell for cell in CELLS["development"] if cell.onset == "progressive")
    strengths = [cell.strength(step) for step in range(cell.steps)]
    assert not any(strengths[: cell.onset_step])
    assert 0 < strengths[cell.onset_step] < 0.1
    assert strengths[-1] == 1.0
    assert strengths == sorted(strengths)
