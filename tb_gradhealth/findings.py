"""Findings: what a diagnosis says, with its evidence. Standard library only; used on both sides of the event file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Severity = Literal["critical", "high", "medium", "low", "notice"]
#: Gravest first. A notice is a hint that no alarm is made of.
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "notice")

#: Evidence that comes again within so many rows is still the same finding; later it is a new phase of it.
GAP_ROWS = 20

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


def stitched(sessions: Iterable[tuple[int, int, Iterable[Finding]]]) -> tuple[Finding, ...]:
    """What is left of the findings of sessions, each with its first step and the steps of its rows, in the order in
    which they were recorded, worst first: a later session replaces everything from its first step on, and goes on with
    what it finds again."""
    kept: list[Finding] = []
    for start, every, found in sessions:
        kept = [replace(one, stop=min(one.stop, start)) for one in kept if max(one.start, one.detected) < start]
        before = list(kept)
        for one in found:
            known = next((other for other in before if _goes_on(other, one, GAP_ROWS * every)), None)
            if known is None:
                kept.append(one)
            else:
                before.remove(known)
                kept[kept.index(known)] = _joined(known, one)
    return tuple(sorted(kept, key=order))


def _goes_on(before: Finding, one: Finding, gap: int) -> bool:
    same = (before.rule, before.type, before.node) == (one.rule, one.type, one.node)
    return same and one.start - before.stop <= gap


def _joined(before: Finding, one: Finding) -> Finding:
    """As within a session: what it was first, unless it got graver."""
    if SEVERITIES.index(one.severity) < SEVERITIES.index(before.severity):
        return replace(one, start=before.start)
    return replace(before, stop=max(before.stop, one.stop))
