"""Input features that are zero in every sample."""

from __future__ import annotations

from collections.abc import Iterable

from ..rule import Cause, Hit, Rule, View, evidence, hits


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["inputs"].tensors.names
    dead = now.values("inputs", "dead_features")
    held = view.held("dead", dead > view.by_node("share", names), 20)
    return hits(names, held, lambda place: evidence("features that are 0", dead[place], view["share"], "of features"))


RULE = Rule(
    name="dead_features",
    type="SCALE_MISMATCH",
    severity="notice",
    look=look,
    needs={"gradients": (), "inputs": ("dead_features",)},
    causes=(Cause("a column that is empty, or a mask that hides it"), Cause("features that were scaled to nothing")),
    actions=("leave the features out, or find out why they are empty",),
    innocent="one-hot and sparse features are 0 in most batches, and so are the borders of images",
    thresholds={"share": 0.05},
)
