"""What the training thread hands over: consecutive measured steps, and what happened at them. numpy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from gradhealth_kernels import figures, metrics
from gradhealth_kernels.statistics import Entries, merge

from ..nodes import Index
from ..notes import MAX_TENSORS, Fault, Note

Number = float | Callable[[], float]
"""A number, or how to fetch it from a device: called on the writer's thread alone."""

Outcome = Literal["step", "skipped", "not_stepped"]

_NORM = metrics.select(["norm"])
_FIRST = np.zeros(1, np.intp)


class Taken(Protocol):
    """Entries ``[step, tensor]`` that may still be on their way from a device."""

    def entries(self) -> Entries: ...


@dataclass
class Attempt:
    """An attempt of one optimizer that a GradScaler had a hand in, or that no step came of. ``found_inf`` is not 0 when
    it was skipped by an optimizer that skips inside its own step, and so alone knows, on its device."""

    step: int
    outcome: Outcome
    loss_scale: Number | None
    columns: Index  # its optimizer's tensors
    found_inf: Number = 0.0

    def settled(self) -> Attempt:
        """The same with all numbers fetched."""
        outcome = self.outcome
        if outcome == "step" and number(self.found_inf):
            outcome = "skipped"
        scale = None if self.loss_scale is None else number(self.loss_scale)
        return Attempt(self.step, outcome, scale, self.columns)


@dataclass
class Block:
    """Consecutive measured steps from ``first_step`` on, and what the loop logged meanwhile.

    ``terms`` are gradients that are still to be added up over ranks: (step, column) → this rank's term, flat.

    A ``dropped`` block is one set of gradients that ``zero_grad`` threw away: it is no step, but happened before the
    step ``first_step``.
    """

    first_step: int
    taken: Taken
    logged: list[tuple[str, Number]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    dropped: bool = False
    terms: Mapping[tuple[int, int], Callable[[], npt.NDArray[np.float64]]] = field(default_factory=dict)

    def read(self) -> tuple[Entries, list[Attempt]]:
        """Entries ``[step, tensor]`` and settled attempts, after waiting for the device."""
        return self.taken.entries(), [attempt.settled() for attempt in self.attempts]


@dataclass(frozen=True)
class Ready:
    """Entries that have arrived."""

    all: Entries

    def entries(self) -> Entries:
        return self.all


def number(value: Number) -> float:
    return float(value() if callable(value) else value)


def notes_of(block: Block, entries: Entries, attempts: Sequence[Attempt], names: Sequence[str]) -> list[Note]:
    """What is to be said of a block of the tensors ``names``; ``entries [step, tensor]``."""
    if block.dropped:
        if not entries["abs_max"].any() and not figures.nonfinite(entries).any():
            return []  # zeros, that something else than the optimizer's zero_grad left
        return [_note(block.first_step, "not_stepped", entries[0], names, {})]
    found = list(block.notes)
    for attempt in attempts:
        if attempt.outcome != "step":
            at = entries[attempt.step - block.first_step, attempt.columns]
            own = [names[column] for column in attempt.columns]
            values = {} if attempt.loss_scale is None else {"loss_scale": number(attempt.loss_scale)}
            found.append(_note(attempt.step, attempt.outcome, at, own, values))
    return found


def _note(step: int, kind: str, entries: Entries, names: Sequence[str], values: dict[str, float]) -> Note:
    bad = np.flatnonzero(figures.nonfinite(entries))
    faults = [
        Fault(names[i], int(entries["nan"][i]), int(entries["pos_inf"][i]), int(entries["neg_inf"][i]))
        for i in bad[:MAX_TENSORS]
    ]
    if kind == "not_stepped":
        norm = float(metrics.compute(merge(entries, _FIRST, np.array([len(entries)], np.intp)), _NORM)[0, 0])
        values = {**values, **({} if math.isnan(norm) else {"norm": norm})}
    return Note(step, kind, tuple(faults), len(bad) - len(faults), values)
