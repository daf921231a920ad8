"""Findings: what a diagnosis says, with its evidence. Standard library only; used on both sides of the event file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Severity = Literal["critical", "high", "medium", "low", "notice"]
#: Gravest first. A notice is a hint that no alarm is made of.
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "notice")

#: Types of findings: name → what it means. Of findings that are equally grave the one that stands first here explains
#: most of what is seen elsewhere.
TYPES: dict[str, str] = {
    "NUMERICAL": "a value that is not finite was used",
    "UNDERFLOW": "gradients are too small for their number format",
    "SCALE_MISMATCH": "inputs are far from the scale that layers are made for",
    "SATURATED": "activation functions are driven to where they have no slope",
    "BOTTLENECK": "a layer passes on far fewer dimensions than it has",
    "PROGRESSIVE_DEATH": "more and more units fall silent",
    "DEAD": "units or gradients are constantly zero",
    "EXPLODING": "gradients, weights or the loss grow out of proportion",
    "UNSTABLE": "steps are so large that training swings",
    "VANISHING": "gradient or signal is lost on its way through the layers",
    "STALLED_COMPONENT": "a part of the model does not learn",
    "MODE_COLLAPSE": "predictions no longer depend on the input",
    "OVERFITTING": "the model does worse on data that it has not seen",
    "PLATEAU": "the loss no longer falls",
}


class Evidence(NamedTuple):
    """A figure, and what it is held against; NaN where there is nothing to hold it against."""

    what: str
    value: float
    baseline: float
    unit: str


@dataclass(frozen=True)
class Finding:
    """``node`` is a module or tensor, "" the whole model. The evidence held in the steps ``[start, stop)``, and was
    enough to say so at the step ``detected``."""

    type: str
    severity: Severity
    node: str
    start: int
    stop: int
    detected: int
    evidence: tuple[Evidence, ...]
    causes: tuple[str, ...]  # the likeliest first
    actions: tuple[str, ...]
    innocent: str  # why this may be normal
    rule: str
    follows: str = ""  # the rule of the finding that explains this one; "" where it stands for itself


def order(finding: Finding) -> tuple[int, int, int, int, str]:
    """Worst first, then what was seen first, then what explains the rest."""
    types = list(TYPES)
    place = types.index(finding.type) if finding.type in types else len(types)
    return SEVERITIES.index(finding.severity), finding.detected, place, finding.start, finding.node


def stitched(sessions: Iterable[tuple[int, Iterable[Finding]]]) -> tuple[Finding, ...]:
    """What is left of the findings of sessions, each with its first step and in the order in which they were recorded,
    worst first: a later session replaces everything from its first step on."""
    kept: list[Finding] = []
    for start, found in sessions:
        kept = [replace(one, stop=min(one.stop, start)) for one in kept if max(one.start, one.detected) < start]
        kept += found
    return tuple(sorted(kept, key=order))
