"""A matrix that uses little more than one dimension."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    frame = now.row.frames["spectrum"]
    if len(frame.tensors) != len(now.parameters.names):
        return
    rank = now.values("spectrum", "rank")
    shapes = frame.tensors.shapes
    sides = view.once("sides", lambda: np.array([min(s[:2]) if len(s) > 1 else 0 for s in shapes]), id(shapes))
    low = now.matrices & (sides >= view["side"]) & (rank > 0) & (rank < view.by_node("rank", now.parameters.names))
    # The rank is the weight's own, and no matter of the batch: one look is enough.
    held = view.held("low", low, 1)
    if not held.anywhere:
        return
    place = held.first
    told = evidence("effective rank", rank[place], sides[place], "of so many dimensions")
    node = view.once("node", lambda: now.parameters.names[place], now.parameters.names[0])
    yield Hit(node, int(held.since[place]), told)


RULE = Rule(
    name="bottleneck",
    type="BOTTLENECK",
    severity="medium",
    look=look,
    needs={"gradients": (), "spectrum": ("rank",)},
    uses={"weights": ("norm",)},
    causes=(
        Cause("a common offset of the inputs that all rows of the matrix follow", ("SCALE_MISMATCH",)),
        Cause("a learning rate so high that one direction took over", ("UNSTABLE", "EXPLODING")),
        Cause("a loss that one direction is enough for", ("MODE_COLLAPSE",)),
        Cause("an initialisation with rows that are alike"),
    ),
    actions=(
        "initialise the layer anew, orthogonally",
        "normalise its input (LayerNorm), lower the learning rate",
    ),
    innocent="a layer that is narrow by design, or a task that needs one direction, looks the same",
    thresholds={"rank": 1.2, "side": 6.0},
)
