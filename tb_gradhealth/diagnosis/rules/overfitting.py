"""The loss on held-out data against that on the data learnt from."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not math.isfinite(now.held_out) or not now.positive:
        return
    best = view.once("best", lambda: {"loss": math.inf})
    best["loss"] = min(best["loss"], now.held_out)
    risen = now.held_out > view["risen"] * best["loss"]
    apart = now.held_out > view["ratio"] * now.loss_11 and (risen or now.held_out > view["far"] * now.loss_11)
    seen = view.once("seen", lambda: {"evaluations": 0, "since": now.start})
    if not apart:
        seen["since"] = now.stop
    seen["evaluations"] = seen["evaluations"] + 1 if apart else 0
    if seen["evaluations"] >= view["evaluations"]:
        yield Hit("", seen["since"], evidence("held-out loss", now.held_out, now.loss_11, "against the training loss"))


RULE = Rule(
    name="overfitting",
    type="OVERFITTING",
    severity="low",
    look=look,
    needs={"gradients": ()},
    logged=("loss", "val_loss"),
    causes=(Cause("a model too large for the data, or trained too long"), Cause("held-out data of another kind")),
    actions=("stop early, at the best held-out loss", "add dropout, weight decay, augmentation or data"),
    innocent="a loss with dropout or augmentation in training is not the same figure as without",
    thresholds={"ratio": 2.0, "risen": 1.1, "far": 5.0, "evaluations": 3.0},
)
