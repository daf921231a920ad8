"""A weight whose gradient and update are far below those of the others."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..memory import middle
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    parameters = now.parameters
    if now.loss_scale > 1:  # in float16 small gradients are lost for a reason of their own
        return
    moving = now.live_matrices & (now.rms > 0)
    if np.count_nonzero(moving) < 3:
        return
    # The median is no more than the largest, and much more work.
    share, usual = view.by_node("gradient", parameters.names), math.nan
    low = now.rms < share * np.fmax.reduce(now.rms)
    if np.count_nonzero(low):
        update, usual = now.values("updates", "rms"), middle(now.rms[moving])
        low &= now.live & parameters.weight & ~parameters.embedding & ~now.zero_init & (now.rms > 0)
        low &= (now.rms < share * usual) & (update < view["update"] * middle(update[moving]))
    held = view.held("low", low, 20)
    if not held.anywhere:
        return
    place = int(np.where(held.now, now.rms, np.inf).argmin())
    told = evidence("gradient RMS", now.rms[place], usual, "against the median of the matrices")
    node = view.once("node", lambda: parameters.names[place], parameters.names[0])
    yield Hit(node, int(held.since[place]), told)


RULE = Rule(
    name="starved",
    type="STALLED_COMPONENT",
    severity="medium",
    look=look,
    needs={"gradients": ("rms",), "updates": ("rms", "norm", "update_ratio")},
    causes=(
        Cause("a saturated or dead function behind it", ("SATURATED", "DEAD", "PROGRESSIVE_DEATH")),
        Cause("a branch that a small factor or gate closes"),
        Cause("uniform attention or pooling, that passes on a mean"),
    ),
    actions=(
        "look at the functions behind it (activations='auto')",
        "initialise it anew: attention with bias 0 and noise of 0.01 in the weights",
    ),
    innocent="a gate may be closed on purpose; branches that begin at zero and embeddings are left out",
    thresholds={"gradient": 1e-4, "update": 0.05},
)
