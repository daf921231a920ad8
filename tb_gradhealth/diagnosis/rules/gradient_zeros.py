"""The published thresholds on the zeros of a gradient, as hints: they say little of themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..rule import Cause, Hit, Rule, View, evidence
from ..structure import Parameters, zero_share


def look(view: View) -> Iterable[Hit]:
    now = view.now
    parameters = now.parameters
    names = parameters.names
    allowed = view.once("allowed", lambda: _allowed(parameters, view.by_node("share", names)), id(names))
    zeros = now.values("gradients", "near_zero_fraction")
    held = view.held("zeros", zeros > allowed, 20)
    if not held.anywhere:
        return
    place = int(np.where(held.now, zeros - allowed, -1).argmax())
    node = view.once("node", lambda: place, id(names))
    told = evidence("|x| < 1e-8", zeros[node], allowed[node], "share of elements")
    others = evidence("tensors like it", held.now.sum(), unit=f"of {len(names)}")
    yield Hit(names[node], int(held.since[node]), (*told, *others), innocent=parameters.innocent[node] or None)


def _allowed(parameters: Parameters, share: Floats) -> Floats:
    """Beside what is zero by design; of an embedding everything."""
    by_design = np.array([zero_share(name) for name in parameters.names])
    return np.where(parameters.embedding, np.inf, np.minimum(by_design + share, 1.0))


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
