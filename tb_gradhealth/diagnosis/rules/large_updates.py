"""The largest update beside its weight: steps that overwrite what was learnt."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..memory import median, rows, smaller
from ..rule import Cause, Hit, Rule, View, evidence

#: A rate that changed by no more than this factor in 20 steps.
STEADY = 1.3


def look(view: View) -> Iterable[Hit]:
    """Large steps alone do no harm as a rule; beside a loss that does not fall, or comes back, they do."""
    now = view.now
    if math.isnan(now.step_size) or now.start in now.skipped:
        return
    sizes = view.recent("sizes", now.step_size, 10)
    long, short = median(sizes), median(sizes[-rows(3, view.spacing) :])
    best = view.once("best", lambda: {"loss": np.nan})
    before = best["loss"]
    if now.age > 12:
        best["loss"] = smaller(before, now.loss_11)
    settled = now.age > 30 and now.positive
    stuck = long > view["stuck"] and now.loss_11 > 0.855 * now.loss_reference
    returned = long > view["returned"] and now.loss_11 > 4 * before and now.loss_11 > 0.3 * now.loss_start
    gained, lost = now.loss_reference - before, now.loss_11 - before
    undone = long > view["undone"] and lost > 0.6 * gained > 0.1 * now.loss_reference
    risen = now.loss_11 > 1.25 * now.loss_reference and now.large_steps
    # A loss that hovers above what it once had, while all of the model moves: steps leap over where they lead to.
    # One whose rate moves is given the time that its schedule takes.
    before_rate = view.recent("rates", now.lr, 20).item(0)
    steady = not max(before_rate, now.lr) > STEADY * min(before_rate, now.lr)
    above = settled and steady and not now.converged and now.loss_11 > view["hovers"] * now.loss_best_11
    usual = median(view.recent("usual", now.usual_step if above else np.nan, 10)) if above else np.nan
    hovers = view.lasted("hovers", above and usual > view["usual"], 20) is not None
    harmful = settled and (stuck or returned or undone or risen or hovers)
    large = long > view["long"] or (short > view["short"] and now.age > 2)
    since = view.lasted("large", large or harmful, 1)
    if since is None:
        return
    which = np.where(now.moving, np.fmax(now.ratio, 0), 0)
    place = int(which.argmax())
    severity: Severity = "medium" if harmful else "notice"
    told = evidence("update : weight, largest", long, 1e-3, "ratio of norms, usual is 0.001")
    if harmful:
        told = (*told, *evidence("loss", now.loss_11, now.loss_reference, "against the largest of its first steps"))
    node = view.once("node", lambda: now.parameters.names[place], now.parameters.names[0])
    yield Hit(node, since, told, severity)


RULE = Rule(
    name="large_updates",
    type="UNSTABLE",
    severity="medium",
    look=look,
    needs={"gradients": (), "updates": ("norm", "update_ratio")},
    uses={"weights": ("norm",)},
    logged=("loss",),
    causes=(
        Cause("a learning rate that is too high"),
        Cause("warm-up that is too short for Adam, whose first steps are all of full size"),
        Cause("batches that differ much, or are too small"),
    ),
    actions=(
        "halve the learning rate until update : weight is about 0.001 to 0.01",
        "warm up over 500 steps or more",
        "use larger batches, or accumulate gradients",
    ),
    innocent="plain SGD at the peak of a one-cycle schedule has such steps and learns: without harm it is a notice",
    thresholds={
        "long": 0.14,
        "short": 0.25,
        "stuck": 0.08,
        "returned": 0.06,
        "undone": 0.05,
        "hovers": 1.3,
        "usual": 0.011,
    },
)
