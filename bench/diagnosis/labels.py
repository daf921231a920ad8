"""Labels by effect: what was put into a training is no disease before it does harm."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .architectures import Part
from .cells import Cell
from .pathologies import PATHOLOGIES
from .probes import mechanisms
from .trial import EDITION, Outcome

Verdict = Literal["sick", "healthy", "neither"]

#: Share of the twin's progress by which a loss must be worse to count as harm.
HARM = 0.1
#: Progress, as a share of where the loss began, below which a plain training has not learned.
LEARNED = 0.1
#: Share of a fault's gradient elements that must be lost for an underflow to be one.
LOST = 0.5

LABEL = "label.json"


@dataclass(frozen=True)
class Label:
    """What a run is. ``worse`` is (its final loss − its twin's) / (its twin's progress), None where it is not finite.

    ``nodes`` are those at fault, none for the whole model; ``mechanisms`` are diseases seen on the model itself, kind →
    nodes.
    """

    name: str
    part: Part
    architecture: str
    habit: str
    pathology: str | None
    onset: str | None
    onset_step: int
    seed: int
    every: int
    steps: int
    nodes: tuple[str, ...]
    verdict: Verdict
    worse: float | None
    start: float | None
    end: float | None
    twin_start: float
    twin_end: float
    mechanisms: dict[str, list[str]]
    edition: int = EDITION


def label(cell: Cell, outcome: Outcome, twin: Outcome) -> Label:
    progress = max(twin.start - twin.end, 1e-9)
    worse = (outcome.end - twin.end) / progress if outcome.finite else None
    found = mechanisms(outcome.figures, twin.figures)
    found |= _of_parameters(cell, outcome, twin)
    harmed = worse is None or worse >= HARM
    if cell.pathology:
        verified = set(found) & set(PATHOLOGIES[cell.pathology].mechanisms)
        verdict: Verdict = "sick" if harmed or verified else "neither"
    else:
        learned = outcome.end < outcome.start - LEARNED * max(abs(outcome.start), 0.1)
        verdict = "healthy" if learned and not harmed and not found else "neither"
    return Label(
        cell.name,
        cell.part,
        cell.architecture,
        cell.habit,
        cell.pathology,
        cell.onset,
        cell.onset_step,
        cell.seed,
        cell.every,
        cell.steps,
        outcome.nodes,
        verdict,
        worse,
        *(value if math.isfinite(value) else None for value in (outcome.start, outcome.end)),
        twin.start,
        twin.end,
        found,
    )


def _of_parameters(cell: Cell, outcome: Outcome, twin: Outcome) -> dict[str, list[str]]:
    """What shows in how parameters moved, and in what a fault measured."""
    found: dict[str, list[str]] = {}
    if cell.pathology:  # a parameter that only decays moves by less than a hundredth of what its twin does
        hardly = [name for name, by in outcome.moved.items() if by < 0.05 * twin.moved.get(name, 0.0)]
        stuck = [name for name in hardly if any(name.startswith(f"{node}.") for node in outcome.nodes)]
        found |= {"STALLED": stuck} if stuck else {}
    if outcome.fault.get("gradient_elements_lost", 0.0) >= LOST:
        found["UNDERFLOW"] = [""]
    return found


def save(label: Label, folder: Path) -> None:
    (folder / LABEL).write_text(json.dumps(asdict(label), indent=1) + "\n")


def saved(folder: Path) -> Label:
    written = json.loads((folder / LABEL).read_text())
    return Label(**{**written, "nodes": tuple(written["nodes"])})
