"""Initial weights beside what their layers would have by default: too large, too small, or all alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...diagnosis.rule import Cause, Hit, evidence
from ...diagnosis.rules import large_start, small_start
from ...diagnosis.signals import ZERO_INIT
from ..check import Check, hit
from ..examined import Examined

#: One matrix that begins so many times larger than its default, and than the median, is told of, or so much smaller.
#: Torch's initialisations give up to 2.9 times the default (Xavier with tanh's gain), scaled residual branches 1/14.
LARGER, MUCH_LARGER, SMALLER = 5.0, 10.0, 1 / 10
_UNIT = "times the default"


def look_large(examined: Examined) -> Iterable[Hit]:
    inner = list(examined.inner)
    ratio = examined.parameters.ratio
    median = float(np.median(ratio[inner])) if inner else np.nan
    limit = large_start.RULE.thresholds["times"]
    if median > limit:
        yield hit(examined.parts[inner[0]].name, evidence("initial weight scale, median", median, 1.0, _UNIT))
        return
    for place in inner:
        beside = ratio[place] / max(1.0, median)
        if beside > LARGER:
            told = evidence("initial weight scale", ratio[place], median, f"{_UNIT}, beside the median")
            yield hit(examined.parts[place].name, told, "high" if beside > MUCH_LARGER else "medium")
    yield from _outputs(examined)


def _outputs(examined: Examined) -> Iterable[Hit]:
    thresholds, scale = large_start.RULE.thresholds, examined.input_scale
    known = scale > 0
    limit = thresholds["output"] * scale if known else thresholds["output_alone"]
    layers = [place for place, one in enumerate(examined.calls) if one.kind in ("linear", "conv", "recurrent")]
    for place in layers:  # the first one is where it comes from
        rms = float(examined.returned.rms[place])
        if rms > limit:
            told = evidence("output RMS", rms, scale, "against the scale of the inputs")
            yield hit(examined.calls[place].name, told, None if known else "medium")
            return


def look_small(examined: Examined) -> Iterable[Hit]:
    inner = list(examined.inner)
    if not inner:
        return
    thresholds, ratio = small_start.RULE.thresholds, examined.parameters.ratio
    scale = examined.input_scale if examined.input_scale > 0 else 1.0
    modules = {examined.parts[place].module for place in inner}
    own = [place for place, one in enumerate(examined.calls) if one.name in modules]
    least = float(np.fmin.reduce(examined.returned.rms[own], initial=np.nan)) if own else np.nan
    median = float(np.median(ratio[inner]))
    faded = least < thresholds["output"] * scale
    if median < thresholds["times"] and faded:
        told = evidence("initial weight scale, median", median, 1.0, _UNIT)
        first = examined.parts[inner[0]].name
        yield hit(first, (*told, *evidence("least output RMS", least, scale, "against the inputs'")))
        return
    for place in inner:
        if ZERO_INIT < ratio[place] < min(1.0, median) * SMALLER:
            told = evidence("initial weight scale", ratio[place], median, f"{_UNIT}, beside the median")
            yield hit(examined.parts[place].name, told, "notice")


def look_alike(examined: Examined) -> Iterable[Hit]:
    """Units with the same weights get the same gradients, and stay the same."""
    figures = examined.parameters.figures
    for place, one in enumerate(examined.parts):
        if not one.alike or not one.matrix:
            continue
        zero = float(figures.norm[place]) == 0
        told = evidence("output units with the same weights", one.shape[0], one.shape[0], "units")
        if not one.trains or (zero and examined.gradients is None):
            yield hit(one.name, told, "notice")
        elif not zero:
            yield hit(one.name, told)
        elif examined.zero_by_design[place]:
            yield hit(one.name, told, "notice", "it gets a gradient: a branch, or a head, that opens")
        elif one.name not in examined.without:
            yield hit(one.name, evidence("weights and their gradient", 0, unit="both all zeros"), "critical")


LARGE = Check.like(large_start.RULE, look_large, after=("nonfinite_parameters",))
SMALL = Check.like(small_start.RULE, look_small, after=("nonfinite_parameters",))
ALIKE = Check(
    name="alike_units",
    type="STALLED_COMPONENT",
    severity="high",
    look=look_alike,
    causes=(Cause("an initialisation with a constant: zeros_, ones_, constant_, fill_"),),
    actions=("initialise with Xavier or Kaiming; constants are for biases and norms",),
    innocent="a fixed filter, such as one that averages, is constant on purpose",
)
CHECKS = (LARGE, SMALL, ALIKE)
