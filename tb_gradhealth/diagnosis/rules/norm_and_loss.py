"""A gradient norm far above its start while the loss is above its start, too: slow growth that is no jump."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..memory import median
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not math.isfinite(now.norm) or now.skipped or not now.positive:
        return
    norm = median(view.recent("norms", now.norm, 5))
    high = norm > view["times"] * now.norm_start and now.loss_5 > view["loss"] * now.loss_reference and now.age > 20
    since = view.lasted("high", high, 1)
    if since is not None:
        found = evidence("global gradient norm", norm, now.norm_start, "L2, against its first steps")
        yield Hit("", since, (*found, *evidence("loss", now.loss_5, now.loss_reference)))


RULE = Rule(
    name="norm_and_loss",
    type="EXPLODING",
    severity="critical",
    look=look,
    needs={"gradients": ("norm",)},
    logged=("loss",),
    causes=(
        Cause("a learning rate that is too high", ("UNSTABLE",)),
        Cause("weights that grow from step to step"),
    ),
    actions=("lower the learning rate", "clip the global norm", "put normalisation between the layers"),
    innocent="a growing loss weight multiplies loss and gradients alike",
    thresholds={"times": 40.0, "loss": 1.1},
)
