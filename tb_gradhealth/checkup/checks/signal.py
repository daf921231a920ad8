"""What becomes of the signal on its way through the layers: lost, constant, silent or saturated."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...diagnosis.finding import Severity
from ...diagnosis.rule import Cause, Hit, evidence
from ...diagnosis.rules import constant_signal, dead_units, nonfinite, prediction_collapse, saturated
from ...diagnosis.rules.constant_input import ALIKE
from ...diagnosis.structure import looks_embedded
from ..check import Check, hit
from ..examined import Examined

#: Elements of each unit, over samples and places, from which on it tells something that all of them are 0.
ENOUGH = 32
#: At the start half of the units are silent in many a small layer that then learns; with three quarters few do.
MANY = 0.75


def look_finite(examined: Examined) -> Iterable[Hit]:
    bad = examined.seen.bad
    if bad is not None:
        name, what = bad
        yield hit(name, evidence(f"output not finite: the module {what}", 1, unit="the first module in the pass"))
    elif examined.seen.ran and not np.isfinite(examined.loss):
        yield hit("", evidence("loss, of finite outputs,", examined.loss))
    elif examined.gradients is not None and (wrong := np.flatnonzero(examined.gradients.bad)).size:
        place = int(wrong[-1])  # backward goes from the end to the start: the deepest is the first
        told = evidence("gradients not finite", wrong.size, len(examined.parts), "tensors, of a finite loss")
        yield hit(examined.parts[place].name, told)


def look_constant(examined: Examined) -> Iterable[Hit]:
    """Of those that are constant the one nearest the input: whatever follows has it from there."""
    if _samples_alike(examined):
        return
    limit = constant_signal.RULE.thresholds["spread"]
    for place, one in enumerate(examined.calls):
        hidden = one.kind in ("linear", "conv", "activation", "recurrent") and not looks_embedded(one.name)
        if hidden and one.spread < limit and one.name != examined.head and not _silenced(examined, one.name):
            told = evidence("spread across the batch", one.spread, limit, "share of the RMS")
            yield hit(examined.owner(place), told, "high")
            return


def look_output(examined: Examined) -> Iterable[Hit]:
    output = examined.output
    if output is None or output.dim() < 1 or len(output) < 2 or not output.is_floating_point():
        return
    if _samples_alike(examined) or not bool(output.isfinite().all()):
        return
    samples = output.reshape(len(output), -1).double()
    rms = float(samples.square().mean().sqrt())
    spread = float((samples - samples.mean(0)).square().mean().sqrt())
    limit = prediction_collapse.RULE.thresholds["relative"]
    told = evidence("spread of the output across the batch", spread, rms, "beside its RMS")
    if rms == 0 and any(examined.zero_by_design):
        yield hit(examined.head, told, "notice", "a head that begins at zero answers 0 to everything, and opens")
    elif spread <= limit * rms:
        yield hit(examined.head, told)


def look_silent(examined: Examined) -> Iterable[Hit]:
    limits = dead_units.RULE.thresholds
    for place, one in enumerate(examined.calls):
        if one.function != "relu" or not one.silent >= limits["share"] or one.silent * one.units < limits["units"]:
            continue
        few = one.seen_by_unit < ENOUGH or one.silent < MANY
        severity: Severity = "notice" if few else "critical" if one.silent >= limits["nearly_all"] else "medium"
        told = evidence("units silent for all samples", one.silent, limits["share"], "share of units")
        yield hit(examined.owner(place), told, severity)


def look_saturated(examined: Examined) -> Iterable[Hit]:
    limit = saturated.RULE.thresholds["share"]
    for place, one in enumerate(examined.calls):
        if one.beyond > limit:
            yield hit(examined.owner(place), evidence("share beyond |x| = 3", one.beyond, limit, "share of elements"))


def _samples_alike(examined: Examined) -> bool:
    """Whether the batch has nothing to tell apart."""
    if examined.batch < 2:
        return True
    spreads = [one.spread for one in examined.inputs if one.floats]
    return bool(spreads) and not any(spread > ALIKE for spread in spreads)


def _silenced(examined: Examined, name: str) -> bool:
    """Whether a module returns 0 since a weight of its own, or all it is given, begins at zero by design."""
    modules = {one.module for one, zero in zip(examined.parts, examined.zero_by_design, strict=True) if zero}
    return name in modules


FINITE = Check(
    nonfinite.RULE.name,
    nonfinite.RULE.type,
    nonfinite.RULE.severity,
    look_finite,
    nonfinite.RULE.causes,
    (
        "look at the named module, with torch.autograd.set_detect_anomaly(True) for gradients",
        "add eps inside logarithms, roots and norms: x / (||x|| + 1e-8)",
    ),
    "scores that a mask sets to -inf are meant to be, in front of a softmax",
    ("nonfinite_parameters", "nonfinite_buffers", "nonfinite_inputs"),
)
_LOST = ("nonfinite", "alike_units", "dead_units", "saturated", "small_start")
CONSTANT = Check.like(constant_signal.RULE, look_constant, _LOST)

OUTPUT = Check(
    name="output_constant",
    type="MODE_COLLAPSE",
    severity="high",
    look=look_output,
    causes=(
        Cause("a signal that is lost before the last layer", ("VANISHING", "DEAD", "SATURATED")),
        Cause("the model reads another tensor than the one that varies"),
    ),
    actions=("follow the spread across the batch through the table of layers, to where it is lost",),
    innocent="a last layer that begins near zero has little spread at first",
    after=(*_LOST, "constant_signal"),
)
SILENT = Check.like(dead_units.RULE, look_silent, ("nonfinite_parameters", "input_scale"))
SATURATED = Check.like(saturated.RULE, look_saturated, ("input_scale", "large_start"))
CHECKS = (FINITE, SILENT, SATURATED, CONSTANT, OUTPUT)
