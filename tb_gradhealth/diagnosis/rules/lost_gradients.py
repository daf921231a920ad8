"""Zeros where gradients should be, in all matrices at once: they were too small for the format, or nothing is alive."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..memory import middle
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    zeros, median, least = now.values("gradients", "zero_fraction"), math.nan, math.nan
    many = now.live_matrices & (zeros > view["each"])
    if np.count_nonzero(many) == np.count_nonzero(now.live_matrices) > 1 and not now.converged:
        median, least = middle(zeros[many]), float(zeros[many].min())
    nearly_all = view.lasted("nearly all", median > view["median"], 10)
    throughout = view.lasted("throughout", least > view["throughout"] and _in_every_bias(view, zeros), 10, 0.8)
    since = throughout if nearly_all is None else nearly_all
    if since is not None:
        told = evidence("zeros in the gradients", median, view["median"], "share, median of matrices")
        fewest = evidence("in the matrix with fewest", least, view["each"], "share")
        yield Hit("", since, (*told, *fewest))


def _in_every_bias(view: View, zeros: Floats) -> bool:
    """Silent units empty rows and columns of matrices, and biases, but never the bias of the last layer."""
    biases = zeros[view.now.parameters.bias & view.now.live]
    return 0 < len(biases) == np.count_nonzero(biases)


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
    thresholds={"each": 0.15, "median": 0.75, "throughout": 0.4},
)
