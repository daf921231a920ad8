"""A matrix that is held near zero: it stays far below the default for its shape whatever the optimizer adds.

A weight that begins near zero by design leaves it: updates that are as large as the weight itself make it grow within a
few steps. One that gets them for 20 steps on end and is as small as before is held down, by a constraint, a decay or a
weight norm; so is one whose norm stands still, where steps of that size in random directions would move it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence

#: A norm that moves by a smaller share stands still: one step of 5 % in a random direction adds 1.25e-3 to it.
STILL = 1e-3


def look(view: View) -> Iterable[Hit]:
    now = view.now
    parameters = now.parameters
    small = parameters.matrix & (now.weight < max(view["share"], view["still_share"]) * parameters.default)
    if np.count_nonzero(small):
        before = view.once("before", lambda: {"weight": now.weight}, id(parameters.names))
        still = np.abs(now.weight - before["weight"]) < STILL * now.weight
        before["weight"] = now.weight
        ratio = np.nan_to_num(now.update / np.fmax(now.weight, 1e-30))
        below = now.weight / parameters.default
        held_down = (below < view["share"]) & (ratio > view["update"])
        small &= held_down | (below < view["still_share"]) & still & (ratio > view["still_update"])
    held = view.held("small", small, 20)
    if not held.anywhere:
        return
    place = held.first
    told = (
        *evidence("weight norm", now.weight[place], parameters.default[place], "L2, against the default for its shape"),
        *evidence("update : weight", ratio[place], 1e-3, "ratio of norms, usual is 0.001"),
    )
    node = view.once("node", lambda: parameters.names[place], id(parameters.names))
    yield Hit(node, int(held.since[place]), told, type="MODE_COLLAPSE" if parameters.head[place] else None)


RULE = Rule(
    name="held_weight",
    type="VANISHING",
    severity="critical",
    look=look,
    needs={"gradients": (), "weights": ("norm",), "updates": ("norm",)},
    causes=(
        Cause("a constraint on the weights, or weight decay, that is far too strong"),
        Cause("an initialisation that is repeated in each step"),
    ),
    actions=(
        "look what changes the weight outside of the optimizer",
        "lower the weight decay (0.01 to 0.1 with AdamW)",
    ),
    innocent="a matrix whose scale is given by a parameter of its own (weight norm) may be small itself",
    thresholds={"share": 0.05, "update": 0.3, "still_share": 0.2, "still_update": 0.05},
)
