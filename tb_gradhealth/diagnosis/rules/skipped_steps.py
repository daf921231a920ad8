"""A GradScaler that keeps skipping steps: the model overflows in float16 at every scale.

The steps before the first one that is made are how it looks for its scale, however high it began.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    share = len(now.skipped) / max(1, now.stop - now.start)
    began = view.once("began", lambda: {"applied": False})
    began["applied"] |= now.applied
    if not began["applied"] and not now.loss_scale < view["least_scale"]:
        share = 0.0  # it begins high and halves until the first step is made
    recent = view.recent("skipped", share, 20)
    if share > 0 and len(recent) * view.spacing >= 20 and recent.mean() > view["share"]:
        since = now.stop - len(recent) * view.spacing
        yield Hit("", since, evidence("steps skipped", recent.mean(), view["share"], "share of steps"))


RULE = Rule(
    name="skipped_steps",
    type="NUMERICAL",
    severity="critical",
    look=look,
    needs={"gradients": ()},
    causes=(
        Cause("values grow until they overflow float16 at any scale", ("EXPLODING",)),
        Cause("a layer whose outputs are beyond 65504: attention scores, an unnormalised sum", ("SCALE_MISMATCH",)),
    ),
    actions=("train in bfloat16, or keep the layer that overflows in float32", "normalise what goes into that layer"),
    innocent="some steps are skipped at the start, and now and then when the scale is raised; these are more",
    thresholds={"share": 0.4, "least_scale": 1.0},
    always=True,
)
