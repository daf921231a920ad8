"""The global gradient norm against the largest one of the steps before."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..memory import median
from ..rule import Cause, Hit, Rule, View, evidence

#: Steps looked back over, those that a rise may take, and those without which nothing is usual.
BACK, RISE, LEAST = 66, 6, 16


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not math.isfinite(now.norm) or now.skipped:
        return
    norms = view.recent("norms", now.norm, BACK + RISE)
    window = max(2, math.ceil(3 / view.spacing))
    before = norms[: -max(window, RISE // view.spacing)]
    if len(before) * view.spacing < LEAST - RISE or len(before) < 2:
        return
    held, usual = median(norms[-window:]), math.nan
    if held > view["of_start"] * now.norm_start and held > view["times"] * before[-1]:
        usual = float(before.max())
    since = view.lasted("high", held > view["times"] * usual, 1)
    if since is not None:
        yield Hit("", since, evidence("global gradient norm", held, usual, "L2, against the largest before"))


RULE = Rule(
    name="norm_jump",
    type="EXPLODING",
    severity="critical",
    look=look,
    needs={"gradients": ("norm",)},
    causes=(
        Cause("the inputs changed their scale", ("SCALE_MISMATCH",)),
        Cause("a learning rate that is too high", ("UNSTABLE",)),
        Cause("a batch with outliers, or a loss without bounds"),
    ),
    actions=(
        "clip the global norm (optimizer.gradhealth.clip_grad_norm_) to 1.0 for small networks, 5 for transformers",
        "halve the learning rate, and warm it up over 500 steps or more",
        "look at the batch of the first step",
    ),
    innocent="a converged model may meet one hard batch; growth from almost nothing is left out",
    thresholds={"times": 12.0, "of_start": 0.3},
)
