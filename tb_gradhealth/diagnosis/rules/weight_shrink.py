"""A matrix that lost most of its norm: strong weight decay, or a loss that wants it small."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    left = now.weight / now.first_weight
    held = view.held("shrunk", now.matrices & (left < view.by_node("share", now.parameters.names)), 10, 0.8)
    if not held.anywhere:
        return
    place = int(np.where(held.now, left, np.inf).argmin())
    told = evidence("weight norm", now.weight[place], now.first_weight[place], "L2, against its start")
    collapsed = "MODE_COLLAPSE" if now.parameters.head[place] else None
    # The whole network shrinks together: one finding, for the one that shrank most when it was noticed first.
    node = view.once("node", lambda: now.parameters.names[place], now.parameters.names[0])
    harmless: Severity | None = "notice" if now.parameters.normalised[place] else None
    yield Hit(node, int(held.since[place]), told, harmless, collapsed)


RULE = Rule(
    name="weight_shrink",
    type="VANISHING",
    severity="critical",
    look=look,
    needs={"gradients": (), "weights": ("norm",)},
    causes=(Cause("weight decay that is too strong"), Cause("a penalty that rewards small outputs")),
    actions=("lower the weight decay (0.01 to 0.1 with AdamW)", "leave biases and normalisation out of weight decay"),
    innocent="normalisation behind a layer makes its scale irrelevant: weight decay may shrink it without harm",
    thresholds={"share": 0.15},
)
