"""What one backward pass brings to each parameter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...diagnosis.finding import Severity
from ...diagnosis.rule import Cause, Hit, evidence
from ...diagnosis.rules import depth_profile, no_gradient, norm_limits, underflow, zero_gradient
from ...diagnosis.structure import zero_share
from ...rows import Floats
from ..check import Check, hit
from ..examined import Examined


def look_connected(examined: Examined) -> Iterable[Hit]:
    if examined.seen.ran and not examined.connected and any(one.trains for one in examined.parts):
        yield hit("", evidence("parameters that the loss depends on", 0, unit=f"of {len(examined.parts):,} tensors"))


def look_absent(examined: Examined) -> Iterable[Hit]:
    """One for those whose module ran, one for those whose did not."""
    if examined.gradients is None:
        return
    absent = [one for one in examined.parts if one.name in examined.without]
    trained = sum(one.trains for one in examined.parts)
    # The parts of torch's attention are read, not called.
    ran = [one for one in absent if examined.seen.ran.get(one.module.removesuffix(".out_proj"))]
    others = [one for one in absent if one not in ran]
    if ran:
        every: Severity | None = "critical" if len(absent) == trained else None
        yield hit(ran[0].name, evidence("parameters without gradient", len(ran), unit=f"of {trained:,} tensors"), every)
    if others:
        told = evidence("parameters whose module did not run", len(others), unit=f"of {trained:,} tensors")
        yield hit(others[0].name, told, "notice", "idle experts, and heads that are for another task, do not run")


def look_zero(examined: Examined) -> Iterable[Hit]:
    gradients = examined.gradients
    if gradients is None:
        return
    matrices = [place for place, one in enumerate(examined.parts) if one.matrix and one.name not in examined.without]
    matrices = [place for place in matrices if examined.parts[place].trains]
    silent = [place for place in matrices if gradients.norm[place] == 0]
    silent = [place for place in silent if zero_share(examined.parts[place].name) < 1]
    if not silent:
        return
    last = silent[-1]  # backward goes from the end to the start: what stops it stands behind the last one
    module = examined.parts[last].module
    opens = any(
        zero and (place > last or f"{module}.".startswith(f"{one.module}.") or not one.module)
        for place, (one, zero) in enumerate(zip(examined.parts, examined.zero_by_design, strict=True))
    )
    idle = "expert" in examined.parts[last].name
    told = evidence("matrices with a gradient of 0 throughout", len(silent), unit=f"of {len(matrices):,} matrices")
    if opens:
        innocent = "what follows begins at zero, and lets gradients through from the first step on"
        yield hit(examined.parts[last].name, told, "notice", innocent)
    else:
        yield hit(examined.parts[last].name, told, "notice" if idle else None)


def look_down(examined: Examined) -> Iterable[Hit]:
    """By RMS and by norm: neither alone is free of the sizes of tensors and of how often a kernel is used."""
    least, most = sorted(_decades(examined))
    if most > depth_profile.VANISHING.thresholds["decades"] and least > depth_profile.VANISHING.thresholds["of_norm"]:
        yield _profile(examined, most, depth_profile.VANISHING.thresholds["decades"])


def look_up(examined: Examined) -> Iterable[Hit]:
    growth = min(-found for found in _decades(examined))
    if growth > depth_profile.EXPLODING.thresholds["decades"]:
        yield _profile(examined, growth, depth_profile.EXPLODING.thresholds["decades"])


def _decades(examined: Examined) -> tuple[float, float]:
    """log10 of the gradient at the output over that at the input, of its RMS and of its norm; 0 where there is no depth
    or no gradient."""
    gradients, depth = examined.gradients, examined.depth
    if gradients is None or len(depth) < depth_profile.LEAST:
        return 0.0, 0.0
    return _fall(gradients.rms[[*depth]], examined.input_scale), _fall(gradients.norm[[*depth]], examined.input_scale)


def _fall(sizes: Floats, input_scale: float) -> float:
    if input_scale > 1:  # the gradient of the first weights has its input as a factor
        sizes[0] /= input_scale
    first, last = (np.fmax.reduce(ends) for ends in (sizes[: depth_profile.END], sizes[-depth_profile.END :]))
    return float(np.log10(last / first)) if first > 0 and last > 0 else 0.0


def _profile(examined: Examined, found: float, limit: float) -> Hit:
    first, last = (examined.parts[examined.depth[end]].name for end in (0, -1))
    return hit(first, evidence(f"decades of gradient between {first} and {last}", found, limit, "log10"))


def look_norm(examined: Examined) -> Iterable[Hit]:
    gradients = examined.gradients
    if gradients is None or gradients.bad.any():
        return
    norm = examined.gradient_norm
    high, low = norm_limits.RULE.thresholds["high"], norm_limits.RULE.thresholds["low"]
    if norm > high or 0 < norm < low:
        yield hit("", evidence("global gradient norm", norm, high if norm > high else low, "L2"))


def look_underflow(examined: Examined) -> Iterable[Hit]:
    limit = underflow.RULE.thresholds["share"]
    if examined.underflow > limit:
        what = "gradients below float16's normal numbers"
        yield hit("", evidence(what, examined.underflow, limit, "share, median of matrices"), "high")


CONNECTED = Check(
    name="loss_detached",
    type="STALLED_COMPONENT",
    severity="critical",
    look=look_connected,
    causes=(
        Cause("detach(), no_grad(), .item(), numpy or an argmax on the way to the loss"),
        Cause("a loss of something that no trained parameter has a part in"),
    ),
    actions=("follow the output to the loss, and look where requires_grad is lost",),
    innocent="nothing makes this normal: backward() would raise",
)
ABSENT = Check.like(no_gradient.RULE, look_absent)
ZERO = Check.like(zero_gradient.RULE, look_zero, ("nonfinite", "dead_units", "alike_units"))
DOWN = Check.like(
    depth_profile.VANISHING, look_down, ("dead_units", "saturated", "large_start", "small_start", "constant_signal")
)
UP = Check.like(depth_profile.EXPLODING, look_up, ("large_start", "feature_scales"))
NORM = Check.like(norm_limits.RULE, look_norm, ("large_start", "depth_growth"))
UNDERFLOW = Check.like(underflow.RULE, look_underflow, ("depth_drop",))
CHECKS = (CONNECTED, ABSENT, ZERO, DOWN, UP, NORM, UNDERFLOW)
