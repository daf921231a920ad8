"""A matrix against its own norm before training, or what a layer of its shape begins with if that is more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence, hits


def look(view: View) -> Iterable[Hit]:
    now = view.now
    parameters = now.parameters
    grown = now.weight / now.weight_scale
    held = view.held("grown", now.inner & (grown > view.by_node("times", parameters.names)), 1)
    if not held.anywhere:
        return []
    worst = held.now & (grown == np.max(grown, where=held.now, initial=0))
    return hits(
        parameters.names,
        (worst, held.since),
        lambda place: evidence("weight norm", now.weight[place], now.weight_scale[place], "L2, against its start"),
    )


RULE = Rule(
    name="weight_growth",
    type="EXPLODING",
    severity="critical",
    look=look,
    needs={"gradients": (), "weights": ("norm",)},
    causes=(
        Cause("a learning rate that is too high", ("UNSTABLE",)),
        Cause("weights that were set or scaled from outside: an initialisation, a checkpoint, a hook"),
        Cause("no weight decay beside a loss that is lowest at infinity"),
    ),
    actions=(
        "lower the learning rate",
        "add weight decay (AdamW, 0.01 to 0.1)",
        "normalise the layer's input or weight",
    ),
    innocent="a layer that began small grows to its scale; the last one and those that began at 0 are left out",
    thresholds={"times": 6.0},
)
