"""The published bands of the global gradient norm, as hints: what is usual depends on batch, width and loss."""

from __future__ import annotations

from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    high = view.lasted("high", now.norm > view["high"], 20)
    if high is not None:
        yield Hit("", high, evidence("global gradient norm", now.norm, view["high"], "L2"))
    low = view.lasted("low", now.norm < view["low"] and not now.converged, 20)
    if low is not None:
        yield Hit("", low, evidence("global gradient norm", now.norm, view["low"], "L2"), type="VANISHING")


RULE = Rule(
    name="norm_limits",
    type="EXPLODING",
    severity="notice",
    look=look,
    needs={"gradients": ("norm",)},
    causes=(Cause("a loss that is summed instead of averaged, or of a scale of its own"), Cause("no clipping")),
    actions=("if training is unstable, clip the global norm above 10, and halve the learning rate above 50",),
    innocent="the norm scales with the loss and the number of parameters; a steady one is no disease at any size",
    thresholds={"high": 100.0, "low": 1e-7},
)
