"""The loss against the largest of its first steps."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..finding import Severity
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not math.isfinite(now.loss) or not now.positive:
        return
    grown = now.loss_5 > view["times"] * now.loss_reference and now.large_steps and now.age > view["after"]
    far = now.loss_5 > view["far"] * now.loss_reference and now.loss_5 > 2 * now.loss_start
    since = view.lasted("high", grown or far, 2)
    if since is not None:
        told = evidence("loss", now.loss_5, now.loss_reference, "against the largest of its first steps")
        severity: Severity | None = None if far or now.step_size_20 > 0 else "high"
        yield Hit("", since, told, severity)


RULE = Rule(
    name="loss_growth",
    type="EXPLODING",
    severity="critical",
    look=look,
    needs={"gradients": ()},
    uses={"updates": ("norm", "update_ratio")},
    logged=("loss",),
    causes=(
        Cause("a learning rate that is too high", ("UNSTABLE",)),
        Cause("the inputs changed their scale", ("SCALE_MISMATCH",)),
        Cause("weights that grow without bounds"),
    ),
    actions=(
        "go back to a checkpoint before the first step, with a lower learning rate",
        "clip the global norm, and warm the learning rate up",
    ),
    innocent="a loss whose terms are switched on or weighted up during training grows without harm",
    thresholds={"times": 2.5, "far": 30.0, "after": 12.0},
)
