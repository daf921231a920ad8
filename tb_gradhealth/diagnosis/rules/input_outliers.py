"""Single batches whose inputs are far larger than those of the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..memory import middle, places
from ..rule import Cause, Hit, Rule, View, evidence
from .input_scale import first_layer

#: Steps looked back over, and looks without which nothing is usual.
BACK, LEAST = 64, 4


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["inputs"].tensors.names
    size = np.abs(now.values("inputs", "mean")) + now.values("inputs", "std")
    recent = view.recent("sizes", size, BACK)
    if len(recent) < LEAST or not np.count_nonzero(recent[-2] > view["times"] * np.fmin.reduce(recent)):
        return  # what is not far above the least is not above the median
    large = recent > view["times"] * np.array([middle(sizes) for sizes in recent.T])
    over = large[:-1] & ~large[1:]  # what lasts is no outlier: input_scale looks at that
    for place in places(over[-1]):
        usual = middle(recent[:, place])
        told = evidence(f"size of {names[place]}", recent[-2, place], usual, "|mean| + std, against its median")
        count = evidence("such batches lately", over[:, place].sum(), np.nan, f"of {len(recent)} looked at")
        severity: Severity | None = "notice" if over[:, place].sum() < view["batches"] else None
        since = max(now.began, now.start - view.spacing)
        yield Hit(first_layer(now.parameters) or names[place], since, (*told, *count), severity)


RULE = Rule(
    name="input_outliers",
    type="SCALE_MISMATCH",
    severity="medium",
    look=look,
    needs={"gradients": (), "inputs": ("mean", "std")},
    causes=(
        Cause("outliers or corrupt samples in some batches"),
        Cause("a sensor, or a preprocessing step, that fails now and then"),
    ),
    actions=(
        "look at the batch of this step",
        "clip the features, or leave out samples that are beyond what can be",
    ),
    innocent="features that are rare and large, such as counts and prices, are better fed as logarithms",
    thresholds={"times": 10.0, "batches": 2.0},
)
