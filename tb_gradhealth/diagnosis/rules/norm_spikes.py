"""Single steps whose gradient is far larger than usual, again and again: batches with outliers, that training survives.

A learning rate that is too high makes rises that last; a spoilt batch is over with its step. Adam's second moment, and
clipping, keep such a step from moving the weights far, but what other batches teach is lost beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..row import MAX, MIN
from ..rule import Cause, Hit, Rule, View, evidence

#: Steps looked back over, and those without which nothing is usual.
BACK, LEAST = 64, 16


def look(view: View) -> Iterable[Hit]:
    now = view.now
    planes = now.row.frames["gradients"].whole.get("norm")
    norm: list[float] = planes.tolist() if planes is not None else []
    if not norm or now.skipped or not all(map(math.isfinite, norm)):
        return
    # Of rows with several steps the least one is usual, so that no outlier raises what it is held against.
    least = view.recent("least", norm[MIN], BACK)
    if len(least) * view.spacing < LEAST:
        return
    high = norm[MAX] > view["times"] * least.min()  # else it is not far above the median, either
    usual = float(np.median(least[:-1])) if high else math.nan
    # Of a model that has learnt nearly all there is, gradients are next to nothing, and any hard sample is a spike.
    times = norm[MAX] / usual if usual > 0 and norm[MAX] > view["of_start"] * now.norm_start else math.nan
    recent = view.recent("times", times, BACK)
    if not times > view["times"]:
        return
    # One that goes on in the next row is no single step.
    large = recent > view["times"]
    begun = large & ~np.concatenate([[False], large[:-1]])
    count = int(begun.sum())
    if count >= view["spikes"]:
        since = now.stop - (len(recent) - int(np.flatnonzero(begun)[0])) * view.spacing
        told = evidence("global gradient norm", norm[MAX], usual, "L2, against the median of the steps before")
        yield Hit("", max(now.began, since), (*told, *evidence("such steps lately", count, math.nan, f"of {BACK}")))


RULE = Rule(
    name="norm_spikes",
    type="UNSTABLE",
    severity="medium",
    look=look,
    needs={"gradients": ("norm",)},
    causes=(
        Cause("a learning rate that is too high", ("EXPLODING",)),
        Cause("batches with outliers or corrupt samples"),
        Cause("a loss without bounds, such as a logarithm or a ratio of what may be near zero"),
    ),
    actions=(
        "look at the batches of the steps with the largest norms",
        "clip the global norm (optimizer.gradhealth.clip_grad_norm_), and use a loss with bounds (Huber)",
        'record the inputs: optimizer.gradhealth.observe("x", x, kind="input")',
    ),
    innocent="rewards that are rare, or a rare class with a large weight, give single large steps as well",
    thresholds={"times": 50.0, "spikes": 2.0, "of_start": 0.3},
)
