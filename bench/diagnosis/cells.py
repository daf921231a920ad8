"""Which trainings there are, and which of them rules may be tuned on.

A part has architectures and habits of its own, as their tables say, and seeds. They are unseen there, and seen in the
parts after it.

===================  =========================  ====================================================================
part                 development                examined, held-out
===================  =========================  ====================================================================
seeds                0, 1, 2                    3, 4, 5 and 6, 7, 8
architectures        its own                    its own; with unseen habits, the seen ones as well
habits               its own                    its own; on unseen architectures, the seen ones as well
pathologies, onsets  all, on all architectures  all, on unseen architectures; on the seen ones, inside trainings
                                                with unseen habits
===================  =========================  ====================================================================

Rules are tuned on development, and on examined: that was held out until its misses were learned from.

A sick training's twin is the healthy one of the same architecture, habit and seed; a healthy training's twin is the
plain one. So twins are runs of the ground themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from .architectures import ARCHITECTURES, Architecture, Part, up_to
from .habits import HABITS, PLAIN, Habit, fitting
from .pathologies import PATHOLOGIES, Onset

SEEDS: dict[Part, tuple[int, ...]] = {"development": (0, 1, 2), "examined": (3, 4, 5), "held-out": (6, 7, 8)}

#: Steps a row covers and steps of a training, by seed. Few rows with many steps cost as much as many with few.
CADENCES = ((1, 120), (4, 200), (4, 200))

#: Share of a training at which a fault comes, and at which one that grows is there in full.
SUDDEN, GROWS, GROWN = 3 / 8, 1 / 4, 3 / 4


@dataclass(frozen=True)
class Cell:
    """One training. ``pathology`` and ``onset`` are None in healthy ones."""

    part: Part
    architecture: str
    habit: str
    seed: int
    pathology: str | None = None
    onset: Onset | None = None

    @property
    def name(self) -> str:
        fault = f"-{self.pathology}-{self.onset}" if self.pathology else ""
        return f"{self.architecture}-{self.habit}{fault}-{self.seed}"

    @property
    def twin(self) -> Cell:
        """The same training without what is odd about it; a plain one's is itself."""
        habit = self.habit if self.pathology else PLAIN.name
        return Cell(self.part, self.architecture, habit, self.seed)

    @property
    def every(self) -> int:
        return CADENCES[self.seed % len(CADENCES)][0]

    @property
    def steps(self) -> int:
        return CADENCES[self.seed % len(CADENCES)][1]

    @property
    def onset_step(self) -> int:
        """The first step at which the fault can have an effect; 0 in healthy trainings."""
        share = {"sudden": SUDDEN, "progressive": GROWS}.get(self.onset or "", 0.0)
        return int(share * self.steps)

    def strength(self, step: int) -> float:
        """Of the fault, at ``step``."""
        if self.pathology is None or step < self.onset_step:
            return 0.0
        if self.onset != "progressive":
            return 1.0
        return min(1.0, (step - self.onset_step + 1) / ((GROWN - GROWS) * self.steps))


def cells(part: Part) -> list[Cell]:
    """All trainings of a part, twins before those that need them, and otherwise such that any beginning of the list is
    a fair sample: half of it healthy, seeds, architectures and pathologies mixed."""
    healthy, sick = (sorted(some, key=_order) for some in (_healthy(part), _sick(part)))
    mixed = [cell for pair in zip(sick, healthy, strict=False) for cell in pair]
    mixed += (sick if len(sick) > len(healthy) else healthy)[len(mixed) // 2 :]
    with_twins = (cell for one in mixed for cell in (one.twin.twin, one.twin, one))
    return list(dict.fromkeys(with_twins))


def _architectures(part: Part) -> list[Architecture]:
    return [architecture for architecture in ARCHITECTURES.values() if architecture.part in up_to(part)]


def _healthy(part: Part) -> Iterator[Cell]:
    for architecture in _architectures(part):
        for habit in fitting(architecture, part):
            if part in (architecture.part, habit.part):
                for seed in SEEDS[part]:
                    yield Cell(part, architecture.name, habit.name, seed)


def _sick(part: Part) -> Iterator[Cell]:
    """Of three seeds two are in plain trainings and one in a training with one habit or another; those of seen
    architectures are in trainings with unseen habits, of one seed."""
    for architecture in _architectures(part):
        seen = architecture.part != part
        shared = [one for one in fitting(architecture, part) if one.shared and (one.part == part or not seen)]
        for index, pathology in enumerate(PATHOLOGIES.values()):
            if not pathology.fits(architecture):
                continue
            for place, onset in enumerate(pathology.onsets):
                for seed in SEEDS[part][: 1 if seen else None]:
                    with_habit = seen or seed == SEEDS[part][-1]
                    habit = shared[(index + place + seed) % len(shared)] if with_habit else PLAIN
                    yield Cell(part, architecture.name, habit.name, seed, pathology.name, onset)


def _order(cell: Cell) -> bytes:
    return hashlib.sha256(cell.name.encode()).digest()


def habit_of(cell: Cell) -> Habit:
    return HABITS[cell.habit]
