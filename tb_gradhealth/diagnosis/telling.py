"""A diagnosis in sentences, and as plain objects for programs. Names are as in the file: not fit for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..notes import written
from .diagnose import Diagnosis
from .finding import TYPES, Evidence, Finding

#: Of a long name the end is told, which tells tensors of a model apart.
LONGEST_NAME = 80


def verdict(diagnosis: Diagnosis) -> str:
    """One sentence: the gravest finding or what explains it, or that there is none."""
    alarms = [one for one in diagnosis.findings if one.severity != "notice"]
    first, end = diagnosis.steps
    looked = f"{end - first:,} step{'s' if end > first + 1 else ''}"
    if not end > first:
        return "nothing is recorded yet"
    if not alarms:
        return f"nothing is wrong in {looked}, as far as was recorded"
    groups = grouped(alarms)
    worst, others = groups[0]
    more = f", with {len(others)} more that follow{'s' if len(others) == 1 else ''} from it" if others else ""
    more += (
        f", and {len(groups) - 1} that do{'es' if len(groups) == 2 else ''} not" if others and len(groups) > 1 else ""
    )
    more += f", and {len(groups) - 1} more" if not others and len(groups) > 1 else ""
    return f"{worst.type}: {TYPES.get(worst.type, worst.rule)}, in {where(worst)}, from step {worst.start} on{more}"


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """Findings that stand for themselves, each with those that it explains: those first of whose group the gravest is
    first of those given."""
    every = list(findings)
    first = {one.rule: one for one in reversed(every) if not one.follows}
    groups: dict[Finding, list[Finding]] = {one: [] for one in every if one.follows not in first}
    for one in every:
        if one.follows in first:
            groups[first[one.follows]].append(one)
    place = {one: number for number, one in reversed(list(enumerate(every)))}
    return sorted(groups.items(), key=lambda group: min(place[one] for one in (group[0], *group[1])))


def sentence(finding: Finding) -> str:
    """A finding by itself: what, where, since when, and the figures."""
    name = where(finding)
    name = name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
    what = TYPES.get(finding.type, finding.rule)
    figures = f": {'; '.join(map(figure, finding.evidence))}" if finding.evidence else ""
    follows = f" ({finding.follows} explains it)" if finding.follows else ""
    return f"{finding.type} in {name}, {steps(finding)}: {what}{figures}{follows}"


def where(finding: Finding) -> str:
    return finding.node or "the whole model"


def steps(finding: Finding) -> str:
    """When the evidence held, and when that could be said."""
    last = finding.stop - 1
    held = f"step {last}" if last == finding.start else f"steps {finding.start} to {last}"
    return f"{held}, seen at step {finding.detected}"


def figure(one: Evidence) -> str:
    """``loss: 31.2 (against the largest of its first steps, reference 2.31)``."""
    beside = [one.unit] if one.unit else []
    if not math.isnan(one.baseline):
        beside.append(f"reference {_short(one.baseline)}")
    return f"{one.what}: {_short(one.value)}" + (f" ({', '.join(beside)})" if beside else "")


def content(diagnosis: Diagnosis) -> dict[str, Any]:
    """What JSON can hold of it: what is not finite is spelled out, NaN is null."""
    return {
        "verdict": verdict(diagnosis),
        "worst": diagnosis.worst,
        "steps": list(diagnosis.steps),
        "streams": list(diagnosis.streams),
        "findings": [plain(one) for one in diagnosis.findings],
        "missing": [{**one.__dict__, "needs": list(one.needs)} for one in diagnosis.missing],
        "problems": list(diagnosis.problems),
    }


def plain(one: Finding) -> dict[str, Any]:
    """The same of one finding."""
    fields = dict(one.__dict__)
    fields["evidence"] = [
        {"what": e.what, "value": number(e.value), "baseline": number(e.baseline), "unit": e.unit} for e in one.evidence
    ]
    return {**fields, "causes": list(one.causes), "actions": list(one.actions)}


def number(value: float) -> float | str | None:
    """A figure as JSON can hold it."""
    return None if math.isnan(value) else written(value)


def _short(value: float) -> str:
    return (
        f"{value:,.0f}" if value == int(value if math.isfinite(value) else 0) and abs(value) < 1e6 else f"{value:.3g}"
    )
