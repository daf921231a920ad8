"""A held-out loss that no longer improves."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not math.isfinite(now.held_out):
        return
    best = view.once("best", lambda: {"loss": math.inf, "step": now.start, "since": 0})
    improved = now.held_out < best["loss"] - view["least"] * abs(now.held_out)
    best["loss"] = min(best["loss"], now.held_out)
    best["step"] = now.start if improved else best["step"]
    best["since"] = 0 if improved else best["since"] + 1
    if best["since"] >= view["evaluations"] and not now.converged:
        told = evidence("held-out loss", now.held_out, best["loss"], "against its best")
        yield Hit("", int(best["step"]), (*told, *evidence("evaluations since", best["since"], view["evaluations"])))


RULE = Rule(
    name="plateau",
    type="PLATEAU",
    severity="low",
    look=look,
    needs={"gradients": ()},
    logged=("val_loss",),
    causes=(
        Cause("a learning rate that is too high to go lower", ("UNSTABLE",)),
        Cause("a part of the model that does not learn", ("STALLED_COMPONENT", "DEAD", "VANISHING", "BOTTLENECK")),
        Cause("all that can be learnt was learnt"),
    ),
    actions=("lower the learning rate, or restart it (cosine warm restarts)", "stop early"),
    innocent="a converged model improves no more",
    thresholds={"evaluations": 10.0, "least": 1e-3},
)
