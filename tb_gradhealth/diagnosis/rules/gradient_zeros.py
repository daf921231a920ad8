"""The published thresholds on the zeros of a gradient, as hints: they say little of themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence
from ..structure import zero_share


def look(view: View) -> Iterable[Hit]:
    now = view.now
    parameters = now.parameters
    names = parameters.names
    by_design = view.once("by design", lambda: np.array([zero_share(name) for name in names]), id(names))
    allowed = np.minimum(by_design + view.by_node("share", names), 1.0)
    zeros = now.values("gradients", "near_zero_fraction")
    held = view.held("zeros", (zeros > allowed) & ~parameters.embedding, 20)
    if not held.now.any():
        return
    place = int(np.where(held.now, zeros - allowed, -1).argmax())
    node = view.once("node", lambda: place, id(names))
    told = evidence("|x| < 1e-8", zeros[node], allowed[node], "share of elements")
    others = evidence("tensors like it", held.now.sum(), unit=f"of {len(names)}")
    yield Hit(names[node], int(held.since[node]), (*told, *others), innocent=parameters.innocent[node] or None)


RULE = Rule(
    name="gradient_zeros",
    type="DEAD",
    severity="notice",
    look=look,
    needs={"gradients": ("near_zero_fraction",)},
    causes=(
        Cause("units that are silent", ("DEAD", "PROGRESSIVE_DEATH")),
        Cause("inputs off scale", ("SCALE_MISMATCH",)),
        Cause("a loss near zero, or gradients that are small throughout"),
    ),
    actions=('record activations="auto", which tells silent units from small gradients',),
    innocent="zeros of a gradient come and go with the batch: half of a ReLU network's are zero in health",
    thresholds={"share": 0.10},
    patterns={
        "*temporal_projection*": {"share": 0.30},
        "*attn.in_proj_*": {"share": 0.20},
        "*attention.in_proj_*": {"share": 0.20},
        "*mlp_extractor.*": {"share": 0.15},
    },
)
