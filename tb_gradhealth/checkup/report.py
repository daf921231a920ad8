"""What came of an examination."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import Any

from ..diagnosis import Diagnosis
from ..diagnosis.finding import Finding, Severity, order
from ..diagnosis.telling import figure, grouped, number, plain, where
from .batches import Given
from .examined import Examined

#: Inputs of more features than this are told of as a whole.
FEATURES = 256


@dataclass(frozen=True, eq=False)
class Report:
    """``skipped``: what could not be looked at, in sentences. ``later``: the diagnosis of the steps that a copy was
    trained for."""

    model: str
    examined: Examined
    early: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()
    later: Diagnosis | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the first look, and those of the steps that came after it, but for what was said already."""
        known = {(one.rule, one.node) for one in self.early}
        later = () if self.later is None else self.later.findings
        return tuple(sorted((*self.early, *(one for one in later if (one.rule, one.node) not in known)), key=order))

    @property
    def alarms(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity != "notice")

    @property
    def groups(self) -> list[tuple[Finding, list[Finding]]]:
        """The alarms, each with those that it explains; first the group with the gravest."""
        return sorted(grouped(self.alarms), key=lambda group: min(order(one) for one in (group[0], *group[1])))

    @property
    def worst(self) -> Severity | None:
        """The severity of the gravest finding."""
        return self.findings[0].severity if self.findings else None

    @property
    def ok(self) -> bool:
        """Whether there is nothing but hints."""
        return not self.alarms

    @property
    def verdict(self) -> str:
        """One sentence: the gravest finding or what explains it, or that there is none."""
        steps = 0 if self.later is None else self.later.steps[1] - self.later.steps[0]
        looked = "one batch" if self.examined.seen.ran else "its parts"
        looked += f" and {steps} steps of a copy" if steps else ""
        if not self.alarms:
            return f"nothing is wrong before training, as far as {looked} can tell"
        worst, _ = self.groups[0]
        more = f", and {len(self.alarms) - 1} more" if len(self.alarms) > 1 else ""
        return f"{worst.type} in {where(worst)}: {figure(worst.evidence[0])}{more}"

    def __str__(self) -> str:
        from .telling import text

        return text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def content(self) -> dict[str, Any]:
        """What JSON can hold of it: what is not finite is spelled out, NaN is null."""
        examined = self.examined
        memory, seconds = examined.memory, examined.seconds
        return {
            "verdict": self.verdict,
            "ok": self.ok,
            "worst": self.worst,
            "findings": [plain(one) for one in self.findings],
            "skipped": list(self.skipped),
            "model": {"name": self.model, **_counts(examined)},
            "loss": number(examined.loss),
            "inputs": [_given(one) for one in examined.inputs],
            "targets": [_given(one) for one in examined.targets],
            "parameters": _parameters(examined),
            "modules": _modules(examined),
            "memory": {
                **vars(memory),
                "needed": memory.needed,
                "resident": None if memory.resident is None else list(memory.resident),
            },
            "seconds": None if seconds is None else dict(vars(seconds)),
        }


def _counts(examined: Examined) -> dict[str, Any]:
    parts = examined.parts
    dtypes: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for one in parts:
        dtypes[one.dtype] += one.numel
        modules[one.name.split(".")[0]] += one.numel
    return {
        "parameters": sum(one.numel for one in parts),
        "trained": sum(one.numel for one in parts if one.trains),
        "frozen": sum(one.numel for one in parts if not one.trains),
        "tensors": len(parts),
        "tied": {one.name: list(one.aliases) for one in parts if one.aliases},
        "by_dtype": dict(dtypes),
        "by_module": dict(modules),
        "buffers": sum(one.numel for one in examined.buffers.parts),
    }


def _given(one: Given) -> dict[str, Any]:
    fields = {key: number(value) for key, value in vars(one).items() if isinstance(value, float)}
    dtype = str(one.tensor.dtype).removeprefix("torch.")
    known = {key: value for key, value in fields.items() if value is not None}
    found: dict[str, Any] = {"name": one.name, "shape": list(one.tensor.shape), "dtype": dtype, "bad": one.bad, **known}
    if one.features is not None and len(one.features.mean) <= FEATURES:
        found["features"] = {name: [number(float(x)) for x in values] for name, values in vars(one.features).items()}
    return found


def _parameters(examined: Examined) -> list[dict[str, Any]]:
    figures, gradients, ratio = examined.parameters.figures, examined.gradients, examined.parameters.ratio
    return [
        {
            "name": one.name,
            "shape": list(one.shape),
            "dtype": one.dtype,
            "trains": one.trains,
            "in_optimizer": one.listed,
            "bad": int(figures.bad[place]),
            "mean": number(float(figures.mean[place])),
            "std": number(float(figures.std[place])),
            "times_default": number(float(ratio[place])),
            "gradient_norm": None if gradients is None else number(float(gradients.norm[place])),
        }
        for place, one in enumerate(examined.parts)
    ]


def _modules(examined: Examined) -> list[dict[str, Any]]:
    if not examined.calls:
        return []
    returned = examined.returned
    shares = ("spread", "beyond", "silent")
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "call": one.number,
            "shape": list(one.shape),
            "rms": number(float(returned.rms[place])),
            "mean": number(float(returned.mean[place])),
            "bad": int(returned.bad[place]),
            **{name: number(getattr(one, name)) for name in shares if not math.isnan(getattr(one, name))},
        }
        for place, one in enumerate(examined.calls)
    ]
