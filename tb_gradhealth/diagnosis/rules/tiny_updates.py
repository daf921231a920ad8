"""Steps too small to go anywhere: the update beside the weight, of all matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..memory import Past, middle
from ..rule import Cause, Hit, Rule, View, evidence

#: A rate that moved by at least this factor lately follows a schedule; one that fell by so much does not.
SCHEDULED, FELL = 1.02, 100.0


def look(view: View) -> Iterable[Hit]:
    now = view.now
    ratios, ratio = now.values("updates", "update_ratio"), math.nan
    # Where fewer than half of them are low, the median is not.
    if len(ratios) == len(now.moving):
        low = now.moving & (ratios < view["ratio"])
        if 2 * np.count_nonzero(low) >= np.count_nonzero(now.moving):
            ratio = middle(ratios[now.moving])
    before = view.recent("rates", now.lr, 20).item(0)
    # Of a long schedule 20 steps are next to nothing: it moves in a tenth of the training.
    past = view.once("past", Past)
    past.add(now.lr)
    moved = any(_moved(now.lr, rate) > SCHEDULED for rate in (before, past.back(0.1)))
    scheduled = now.lr == 0 or (moved and not before > FELL * now.lr)
    small = 0 < ratio < view["ratio"] and not scheduled and not now.converged and now.start not in now.skipped
    since = view.lasted("low", small, 10, 0.9)
    if since is not None:
        yield Hit("", since, evidence("update : weight, median", ratio, 1e-3, "ratio of norms, usual is 0.001"))


def _moved(rate: float, before: float) -> float:
    """The factor between two rates; that of one that nobody logged is 1."""
    if math.isnan(rate) or math.isnan(before):
        return 1.0
    return max(rate / before, before / rate) if rate > 0 and before > 0 else math.inf


RULE = Rule(
    name="tiny_updates",
    type="STALLED_COMPONENT",
    severity="medium",
    look=look,
    needs={"gradients": (), "updates": ("norm", "update_ratio")},
    logged=("lr", "loss"),
    causes=(
        Cause("a learning rate that is far too low"),
        Cause("gradients that are lost on their way", ("VANISHING", "UNDERFLOW")),
        Cause("clipping at a norm that is far too small"),
    ),
    actions=("raise the learning rate until update : weight is about 0.001", "look at the schedule and the clipping"),
    innocent="warm-up and the end of a schedule, where the rate moves, and a loss near zero are left out",
    thresholds={"ratio": 1e-5},
)
