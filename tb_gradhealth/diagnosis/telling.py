"""A diagnosis in sentences, and as plain objects for programs. Names are as in the file: not fit for a terminal."""

from __future__ import annotations

import math
from typing import Any

from ..notes import written
from .diagnose import Diagnosis
from .finding import TYPES, Evidence, Finding


def verdict(diagnosis: Diagnosis) -> str:
    """One sentence: the gravest finding, or that there is none."""
    alarms = [one for one in diagnosis.findings if one.severity != "notice"]
    first, end = diagnosis.steps
    looked = f"{end - first:,} steps"
    if not end > first:
        return "nothing is recorded yet"
    if not alarms:
        return f"nothing is wrong in {looked}, as far as was recorded"
    worst = alarms[0]
    more = f", and {len(alarms) - 1} more" if len(alarms) > 1 else ""
    return f"{worst.type}: {TYPES.get(worst.type, worst.rule)}, in {where(worst)}, from step {worst.start} on{more}"


def where(finding: Finding) -> str:
    return finding.node or "the whole model"


def steps(finding: Finding) -> str:
    """When the evidence held, and when that could be said."""
    last = finding.stop - 1
    held = f"step {last}" if last == finding.start else f"steps {finding.start} to {last}"
    return f"{held}, seen at step {finding.detected}"


def figure(one: Evidence) -> str:
    """``loss 31.2 (against the largest of its first steps: 2.31)``."""
    beside = [one.unit] if one.unit else []
    if not math.isnan(one.baseline):
        beside.append(f"reference {_short(one.baseline)}")
    return f"{one.what} {_short(one.value)}" + (f" ({', '.join(beside)})" if beside else "")


def content(diagnosis: Diagnosis) -> dict[str, Any]:
    """What JSON can hold of it: what is not finite is spelled out, NaN is null."""
    return {
        "verdict": verdict(diagnosis),
        "worst": diagnosis.worst,
        "steps": list(diagnosis.steps),
        "streams": list(diagnosis.streams),
        "findings": [_finding(one) for one in diagnosis.findings],
        "missing": [{**one.__dict__, "needs": list(one.needs)} for one in diagnosis.missing],
        "problems": list(diagnosis.problems),
    }


def _finding(one: Finding) -> dict[str, Any]:
    fields = dict(one.__dict__)
    fields["evidence"] = [
        {"what": e.what, "value": _number(e.value), "baseline": _number(e.baseline), "unit": e.unit}
        for e in one.evidence
    ]
    return {**fields, "causes": list(one.causes), "actions": list(one.actions)}


def _number(value: float) -> float | str | None:
    return None if math.isnan(value) else written(value)


def _short(value: float) -> str:
    return (
        f"{value:,.0f}" if value == int(value if math.isfinite(value) else 0) and abs(value) < 1e6 else f"{value:.3g}"
    )
