"""A matrix whose whole gradient is zero, beside others that learn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..row import MAX
from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    norms = now.values("gradients", "norm", MAX)
    matrices = now.live_matrices
    silent = matrices & (norms == 0)
    if np.count_nonzero(silent):
        silent &= np.count_nonzero(norms[matrices] > 0) > 0
    held = view.held("silent", silent, 10)
    if not held.anywhere:
        return
    # Backward goes from the end to the start: what stops it stands behind the last one.
    place = held.places()[-1]
    node = view.once("node", lambda: now.parameters.names[place], now.parameters.names[0])
    idle: Severity | None = "notice" if "expert" in node else None
    told = evidence("matrices with a gradient of 0 throughout", held.now.sum(), unit=f"of {matrices.sum():,} matrices")
    yield Hit(node, int(held.since[place]), told, idle)


RULE = Rule(
    name="zero_gradient",
    type="STALLED_COMPONENT",
    severity="high",
    look=look,
    needs={"gradients": ("norm",)},
    causes=(
        Cause("all units behind it are dead or saturated", ("DEAD", "PROGRESSIVE_DEATH", "SATURATED")),
        Cause("the gradient is multiplied by zero: a mask, a gate, a hook, or a factor of 0 in the graph"),
        Cause("what it feeds does not enter the loss"),
    ),
    actions=(
        "look at what the module's output is multiplied with on its way to the loss",
        'record activations="auto", which tells dead units',
    ),
    innocent="an expert that gets no token, and a branch that is scaled by 0 for a while, have none",
)
