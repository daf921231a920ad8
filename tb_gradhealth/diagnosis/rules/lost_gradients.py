"""Zeros where gradients should be, in all matrices at once: they were too small for the format, or nothing is alive."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..memory import middle
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    zeros, median = now.values("gradients", "zero_fraction"), math.nan
    many = now.live_matrices & (zeros > view["each"])
    if np.count_nonzero(many) == np.count_nonzero(now.live_matrices) > 1 and not now.converged:
        median = middle(zeros[many])
    since = view.lasted("lost", median > view["median"], 10)
    if since is not None:
        told = evidence("zeros in the gradients", median, view["median"], "share, median of matrices")
        fewest = evidence("in the matrix with fewest", zeros[many].min(), view["each"], "share")
        yield Hit("", since, (*told, *fewest))


RULE = Rule(
    name="lost_gradients",
    type="DEAD",
    severity="high",
    look=look,
    needs={"gradients": ("zero_fraction",)},
    causes=(
        Cause("underflow: gradients too small for float16, without a loss scale or with one that is too small"),
        Cause("nearly all units are dead", ("EXPLODING", "PROGRESSIVE_DEATH")),
        Cause("a loss that is masked nearly everywhere"),
    ),
    actions=(
        "use torch.amp.GradScaler, or train in bfloat16",
        'record streams=["exponents"] and activations="auto", which tell the two apart',
    ),
    innocent="a model that has converged has gradients near zero; sparse ReLU networks have zeros in some layers alone",
    thresholds={"each": 0.15, "median": 0.75},
)
