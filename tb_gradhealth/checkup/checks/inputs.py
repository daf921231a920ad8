"""What the model is fed: scale, features that tell nothing, samples that are alike, tokens out of range."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradhealth_kernels.statistics import NEAR_ZERO

from ...diagnosis.finding import Evidence, Severity
from ...diagnosis.rule import Cause, Hit, evidence
from ...diagnosis.rules import constant_input, dead_features, input_scale, norm_limits
from ...streams.inputs import USUAL
from ..batches import Given
from ..check import Check, hit
from ..examined import Examined

#: Features whose standard deviations lie so many times apart are of wildly different scales.
APART = 100.0
#: Share of elements beyond ±3 that is worth a word; of a normal distribution it is 0.3 %.
OUTLIERS = 0.05
#: A loss so many times that of chance is harm done.
HARM = 3.0


def look_finite(examined: Examined) -> Iterable[Hit]:
    for one in (*examined.inputs, *examined.targets):
        if one.bad:
            yield hit(
                one.name, evidence("not finite", one.bad, unit=f"of {one.tensor.numel():,} elements of the batch")
            )


def look_scale(examined: Examined) -> Iterable[Hit]:
    limits = input_scale.RULE.thresholds
    for one in _numbers(examined):
        if abs(one.mean) > limits["mean"] or one.std > limits["std"]:
            told: tuple[Evidence, ...] = (
                Evidence(f"mean of {one.name}", one.mean, 0.0, "per element"),
                Evidence(f"standard deviation of {one.name}", one.std, 1.0, "per element"),
            )
            yield hit(
                examined.first_layer() or one.name,
                told if abs(one.mean) > limits["mean"] else told[::-1],  # what is off first
                "medium" if _bounded(examined) or _harmed(examined) else "notice",
            )
        elif one.beyond > OUTLIERS:
            told = evidence(f"beyond ±{USUAL:.0f} in {one.name}", one.beyond, OUTLIERS, "share of elements")
            yield hit(examined.first_layer() or one.name, told, "notice")


def _bounded(examined: Examined) -> bool:
    """Whether the first function that the input meets saturates on both sides; a norm in front of it absorbs scales."""
    for one in examined.calls:
        if one.kind in ("norm", "activation", "recurrent"):
            return one.kind == "recurrent" or one.function in ("tanh", "sigmoid")
    return False


def _harmed(examined: Examined) -> bool:
    """Whether what comes of it is off scale as well: gradients, or the loss beside that of chance."""
    known = examined.crossed
    wrong = known is not None and examined.loss > HARM * math.log(known[0].shape[1])
    return wrong or examined.gradient_norm > norm_limits.RULE.thresholds["high"]


def look_features(examined: Examined) -> Iterable[Hit]:
    limit = dead_features.RULE.thresholds["share"]
    for one in _numbers(examined):
        if one.dead > limit:
            yield hit(one.name, evidence("features that are 0", one.dead, limit, "of features"))
        if one.features is None:
            continue
        constant = (one.features.size >= NEAR_ZERO) & ~one.features.varies
        if constant.mean() > limit:
            told = evidence("features that do not vary", constant.mean(), limit, "of features")
            first = int(constant.argmax())
            yield hit(one.name, (*told, *evidence(f"such as feature {first}, always", one.features.mean[first])))


def look_apart(examined: Examined) -> Iterable[Hit]:
    for one in _numbers(examined):
        std = np.where(one.features.varies, one.features.std, np.nan) if one.features is not None else np.zeros(0)
        if np.isfinite(std).sum() < 2:
            continue
        widest, narrowest = int(np.nanargmax(std)), int(np.nanargmin(std))
        apart = float(std[widest] / std[narrowest])
        if apart > APART:
            first = next((call.kind for call in examined.calls if call.kind not in ("other", "embedding")), "")
            severity: Severity | None = "notice" if first == "norm" else None
            what = f"spread of feature {widest} beside that of feature {narrowest}"
            yield hit(one.name, evidence(what, apart, APART, "times"), severity)


def look_alike(examined: Examined) -> Iterable[Hit]:
    for one in _numbers(examined):
        if one.spread <= constant_input.ALIKE:
            yield hit(one.name, evidence("spread across the batch", one.spread, constant_input.ALIKE, "of the RMS"))
    for one in examined.inputs:
        tokens = one.tensor
        if one.floats or tokens.dim() < 2 or len(tokens) < 2 or one.minimum == one.maximum:  # as masks of ones have
            continue
        if bool((tokens == tokens[:1]).all()):  # positions may be the same for all
            yield hit(one.name, evidence("samples that are all the same", len(tokens), unit="samples"), "low")


def look_tokens(examined: Examined) -> Iterable[Hit]:
    wrong = examined.outside
    if wrong is not None:
        yield hit(wrong.name, evidence("token", wrong.token, wrong.rows, "rows of the embedding, from 0 on"))


def _numbers(examined: Examined) -> Iterable[Given]:
    return (one for one in examined.inputs if one.floats and not one.bad)


FINITE = Check(
    name="nonfinite_inputs",
    type="NUMERICAL",
    severity="critical",
    look=look_finite,
    causes=(
        Cause("missing values that became NaN"),
        Cause("a standard deviation of 0 that was divided by, or a logarithm of 0"),
    ),
    actions=("fill or drop them before training, and count how many batches have some",),
    innocent="a mask of -inf that is added to scores",
)
SCALE = Check.like(input_scale.RULE, look_scale)
FEATURES = Check.like(dead_features.RULE, look_features, after=("constant_input",))
APART_SCALES = Check(
    name="feature_scales",
    type="SCALE_MISMATCH",
    severity="medium",
    look=look_apart,
    causes=(Cause("features in units of their own, that were not standardised one by one"),),
    actions=(
        "standardise each feature to mean 0 and standard deviation 1, with figures of the training set",
        "take logarithms of what spans decades",
    ),
    innocent="one-hot and sparse features vary little in one batch",
)
ALIKE = Check.like(constant_input.RULE, look_alike)
TOKENS = Check(
    name="token_ids",
    type="SCALE_MISMATCH",
    severity="critical",
    look=look_tokens,
    causes=(
        Cause("a tokenizer with another vocabulary than the model's"),
        Cause("special tokens that were added without resizing the embedding"),
        Cause("a padding or ignored label such as -100 among the inputs"),
    ),
    actions=("give the embedding as many rows as the tokenizer has tokens",),
    innocent="nothing makes this normal: on the host it raises, on a GPU it ends the process",
)
CHECKS = (FINITE, TOKENS, SCALE, FEATURES, APART_SCALES, ALIKE)
