"""Attention heads that look at one key only, or at all of them alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["attention"].tensors.names
    entropy = now.values("attention", "attention_entropy")
    one = view.held("one", entropy < view.by_node("low", names), 100)
    all_alike = view.held("all", entropy > view.by_node("high", names), 100)
    for held, what in ((one, "to one key"), (all_alike, "uniform")):
        for place in np.flatnonzero(held.now).tolist():
            told = evidence(f"attention entropy, {what}", entropy[place], view["low"], "share of the largest")
            yield Hit(names[place], int(held.since[place]), told)


RULE = Rule(
    name="attention_entropy",
    type="STALLED_COMPONENT",
    severity="notice",
    look=look,
    needs={"gradients": (), "attention": ("attention_entropy",)},
    causes=(
        Cause("scores that are too large, as with a learning rate that is too high", ("UNSTABLE", "EXPLODING")),
        Cause("query and key weights that did not move from a small start"),
    ),
    actions=("normalise queries and keys", "initialise the attention anew: bias 0, noise of 0.01 in the weights"),
    innocent="heads that look at the token before, or that take the mean, are found in sound models",
    thresholds={"low": 0.02, "high": 0.999},
)
