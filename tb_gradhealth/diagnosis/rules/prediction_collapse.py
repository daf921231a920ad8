"""Predictions that are alike for all samples: against how much they differed before, or as all that was learnt.

As a model learns, the part of its predictions that differs from sample to sample grows beside the part that they share.
Where it shrinks, or stays small while the loss falls to nothing, one answer for all was learnt; that it is wrong shows
in the loss on held-out data, which then lies above the one that training began with. Targets with a large mean have
predictions that share much as well, and no such loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..memory import Past, places, rows
from ..rule import Cause, Hit, Rule, View, evidence
from ..structure import module_of

#: A spread, as a share of the predictions, that may be what is left of a larger one.
ALIKE = 0.3


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["predictions"].tensors.names
    relative = now.values("predictions", "batch_spread")
    spread = relative * now.values("predictions", "rms")
    start = view.once("start", lambda: {"spread": np.full(len(names), np.nan)}, id(names))
    start["spread"] = np.where(np.isnan(start["spread"]), spread, start["spread"])
    usual, largest = _history(view, np.array((spread, relative)))
    learnt_by_heart = _learnt_by_heart(view)
    small = gone = constant = relative < max(view["relative"], ALIKE, view["constant"])
    if np.count_nonzero(small):
        small = relative < view["relative"]
        gone = (relative < ALIKE) & (spread < view["of_start"] * start["spread"])
        constant = (relative < view["constant"]) & learnt_by_heart
    lasting = view.held("relative", small, 20), view.held("gone", gone, 20), view.held("constant", constant, 20)
    collapsed = lasting[0].now | lasting[1].now | lasting[2].now
    if now.age >= 40:
        collapsed = collapsed | (largest[0] < view["of_history"] * usual[0])
        collapsed |= largest[1] < view["share_of_history"] * usual[1]
    for place in places(collapsed):
        since = now.start
        for held in lasting:
            since = min(since, int(held.since[place])) if held.now[place] else since
        told = evidence(f"spread of {names[place]}", spread[place], usual[0, place], "RMS across the batch")
        yield Hit(_head(view), since, (*told, *evidence("as a share of its RMS", relative[place], view["relative"])))


def _history(view: View, values: Floats) -> tuple[Floats, Floats]:
    """Of ``values [what, node]`` what was usual 20 steps ago and before, and the largest of the last 10 steps."""
    pasts = view.once("pasts", lambda: [Past() for _ in range(values.size)], values.shape)
    recent = view.recent("values", values, 20)
    for past, value in zip(pasts, recent[0].ravel().tolist(), strict=True):
        past.add(value)
    usual = np.array([past.median() for past in pasts]).reshape(values.shape)
    return usual, np.fmax.reduce(recent[-rows(10, view.spacing) :])


def _learnt_by_heart(view: View) -> bool:
    """Whether the loss is next to nothing while that on held-out data is above all of the start, or its own best."""
    now = view.now
    last = view.once("held out", lambda: {"loss": math.nan, "best": math.inf})
    if math.isfinite(now.held_out):
        last["loss"], last["best"] = now.held_out, min(last["best"], now.held_out)
    return now.converged and last["loss"] > view["beyond"] * min(now.loss_reference, last["best"])


def _head(view: View) -> str:
    """The layer that predictions come from."""
    parameters = view.now.parameters
    places = np.flatnonzero(parameters.head)
    return module_of(parameters.names[places[0]]) if len(places) else ""


RULE = Rule(
    name="prediction_collapse",
    type="MODE_COLLAPSE",
    severity="high",
    look=look,
    needs={"gradients": (), "predictions": ("batch_spread", "rms")},
    logged=("loss",),
    causes=(
        Cause("a signal that is lost before the last layer", ("VANISHING", "DEAD", "PROGRESSIVE_DEATH", "SATURATED")),
        Cause("a learning rate so high that only the bias was learnt", ("UNSTABLE", "EXPLODING")),
        Cause("targets that are all alike, or a loss that is lowest where all predictions are"),
        Cause("inputs that are all alike"),
    ),
    actions=(
        "look whether inputs and labels still belong together, and how often each label occurs",
        "lower the learning rate; go back to a checkpoint before the fall",
        "for contrastive losses: clamp logits to 50, eps 1e-8 in norms, keep exp(logit scale) within 14 to 100",
    ),
    innocent="a last layer that began at zero has little spread at first, as have targets that hardly vary",
    thresholds={
        "of_history": 0.05,
        "share_of_history": 0.25,
        "of_start": 0.02,
        "relative": 0.002,
        "constant": 0.25,
        "beyond": 1.5,
    },
)
