"""Predictions that are alike for all samples, against how much they differed before."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..memory import Past
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    frame = now.row.frames["predictions"]
    names = frame.tensors.names
    relative = now.values("predictions", "batch_spread")
    spread = relative * now.values("predictions", "rms")
    pasts = view.once("pasts", lambda: [Past() for _ in names], id(names))
    start = view.once("start", lambda: {"spread": np.full(len(names), np.nan)}, id(names))
    start["spread"] = np.where(np.isnan(start["spread"]), spread, start["spread"])
    delayed = view.recent("delayed", spread, 20)[0]
    for past, value in zip(pasts, delayed, strict=True):
        past.add(float(value))
    usual = np.array([past.median() for past in pasts])
    largest = np.fmax.reduce(view.recent("spreads", spread, 10), axis=0)
    fallen = (largest < view["of_history"] * usual) & (now.age >= 40)
    small = view.held("relative", relative < view["relative"], 20)
    gone = view.held("start", (spread < view["of_start"] * start["spread"]) & (relative < 0.3), 20)
    for place in np.flatnonzero(fallen | small.now | gone.now).tolist():
        since = now.start
        for held in (small, gone):
            since = min(since, int(held.since[place])) if held.now[place] else since
        told = evidence(f"spread of {names[place]}", spread[place], usual[place], "RMS across the batch")
        yield Hit(_head(view), since, (*told, *evidence("as a share of its RMS", relative[place], view["relative"])))


def _head(view: View) -> str:
    """The layer that predictions come from."""
    parameters = view.now.parameters
    places = np.flatnonzero(parameters.head)
    return parameters.names[places[0]].rpartition(".")[0] if len(places) else ""


RULE = Rule(
    name="prediction_collapse",
    type="MODE_COLLAPSE",
    severity="high",
    look=look,
    needs={"gradients": (), "predictions": ("batch_spread", "rms")},
    causes=(
        Cause("inputs that are all alike"),
        Cause("a signal that is lost before the last layer", ("VANISHING", "DEAD", "PROGRESSIVE_DEATH", "SATURATED")),
        Cause("a learning rate so high that only the bias was learnt", ("UNSTABLE", "EXPLODING")),
        Cause("a loss that is lowest where all predictions are alike"),
    ),
    actions=(
        "look whether inputs and labels still belong together",
        "lower the learning rate; go back to a checkpoint before the fall",
        "for contrastive losses: clamp logits to 50, eps 1e-8 in norms, keep exp(logit scale) within 14 to 100",
    ),
    innocent="a last layer that began at zero has little spread at first, as have targets that hardly vary",
    thresholds={"of_history": 0.05, "of_start": 0.02, "relative": 0.002},
)
