"""Activation functions driven to where they have no slope."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..memory import Mask
from ..modules import GELU, SIGMOID, TANH, Modules
from ..rule import Cause, Hit, Rule, View, evidence

#: |x| beyond which tanh, GELU and their kin have lost their slope.
EDGE = 3.0
_normal = np.frompyfunc(math.erfc, 1, 1)


def beyond(mean: Floats, std: Floats) -> Floats:
    """The share of |x| > 3 of a normal distribution: what a layer passes on is about that."""
    wide = np.maximum(std, 1e-12) * math.sqrt(2)
    share: Floats = np.asarray(_normal((EDGE - mean) / wide) + _normal((EDGE + mean) / wide), np.float64)
    return share / 2


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    both, one_sided = modules.like(TANH) | modules.like(SIGMOID), modules.like(GELU)
    which = both | one_sided
    if not np.count_nonzero(which):
        return
    # Of GELU and SiLU it was counted, of the others where no digit of their slope is left.
    counted = np.fmax(now.values("activations", "limit_fraction"), 0)
    share = np.fmax(counted, _estimated(view, modules, both))
    held = view.held("high", which & (share > view.by_node("share", modules.tensors.names)), 10)
    for place in held.places():
        told = evidence("share beyond |x| = 3", share[place], view["share"], "share of elements")
        yield Hit(modules.owner[place] or modules.tensors.names[place], int(held.since[place]), told)


def _estimated(view: View, modules: Modules, both: Mask) -> Floats:
    """For functions with limits on ``both`` sides the share of what they get that is beyond them, as long as what they
    return agrees: a gain or a normalisation may lie between them and the module before."""
    now = view.now
    mean, std = now.values("activations", "mean"), now.values("activations", "std")
    share = np.zeros(len(both))
    places = np.flatnonzero(both[1:]) + 1
    share[places] = np.fmax(beyond(mean[places - 1], std[places - 1]), 0)
    # Of a sigmoid the distance from 1/2 is what |y| is of tanh: its mean and standard deviation tell as much.
    from_half = 2 * np.sqrt((mean - 0.5) ** 2 + std**2)
    size = np.where(modules.like(SIGMOID), from_half, now.values("activations", "mean_abs"))
    found: Floats = np.where(size >= view["size"], share, 0)
    return found


RULE = Rule(
    name="saturated",
    type="SATURATED",
    severity="high",
    look=look,
    needs={"gradients": (), "activations": ("mean", "std", "mean_abs", "limit_fraction", "minimum", "maximum")},
    causes=(
        Cause("inputs off scale", ("SCALE_MISMATCH",)),
        Cause("weights that are too large, or grew", ("EXPLODING", "UNSTABLE")),
        Cause("no normalisation in front of the function"),
    ),
    actions=(
        "normalise the inputs, put LayerNorm in front of the layer",
        "replace tanh or sigmoid by GELU, SiLU or Mish",
        "initialise with Xavier, and lower the learning rate",
    ),
    innocent="gates are meant to open and close: a sigmoid that multiplies another signal may saturate by design",
    thresholds={"share": 0.5, "size": 0.8},
)
