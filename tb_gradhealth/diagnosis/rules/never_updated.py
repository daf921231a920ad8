"""A parameter that has a gradient, and that the optimizer does not move while it moves others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..memory import middle
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    frame = now.row.frames["updates"]
    count = len(now.parameters.names)
    if not now.lr > 0 or now.start in now.skipped or len(frame.tensors) != count:
        return
    still = now.update == 0
    if np.count_nonzero(still):
        still &= now.live & now.parameters.weight
        still &= now.values("gradients", "norm") * now.lr > view["reach"] * now.weight
        still &= np.count_nonzero(now.update > 0) > 0
    held = view.held("still", still, 20)
    if not held.anywhere:
        return
    place = held.first
    rates = [one.max for name, one in now.row.logged.items() if name.startswith("lr/")]
    frozen: Severity | None = "notice" if 0.0 in rates else None
    told = evidence("update", 0.0, middle(now.update), "L2, against the median")
    node = view.once("node", lambda: now.parameters.names[place], now.parameters.names[0])
    yield Hit(node, int(held.since[place]), told, frozen)


RULE = Rule(
    name="never_updated",
    type="STALLED_COMPONENT",
    severity="medium",
    look=look,
    needs={"gradients": ("norm",), "updates": ("norm", "update_ratio")},
    logged=("lr",),
    causes=(
        Cause("bfloat16 or float16 weights, that round small updates away"),
        Cause("a parameter group whose learning rate is 0"),
        Cause("a copy of the parameter, instead of itself, was given to the optimizer"),
    ),
    actions=(
        "keep float32 copies of the weights in the optimizer, or round stochastically",
        "look at the optimizer's groups",
    ),
    innocent="a group with a learning rate of 0 is how some freeze layers",
    thresholds={"reach": 1e-6},
)
