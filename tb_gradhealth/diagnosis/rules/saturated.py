"""Activation functions driven to where they have no slope."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..modules import GELU, SIGMOID, TANH
from ..rule import Cause, Hit, Rule, View, evidence

#: |x| beyond which tanh, GELU and their kin have lost their slope.
EDGE = 3.0
_normal = np.frompyfunc(math.erfc, 1, 1)


def beyond(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The share of |x| > 3 of a normal distribution: what a layer passes on is about that."""
    wide = np.maximum(std, 1e-12) * math.sqrt(2)
    share: np.ndarray = (_normal((EDGE - mean) / wide) + _normal((EDGE + mean) / wide)).astype(np.float64) / 2
    return share


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    tanh, sigmoid = modules.like(TANH), modules.like(SIGMOID)
    places = np.flatnonzero(tanh | sigmoid | modules.like(GELU))
    if not len(places):
        return
    values = {metric: now.values("activations", metric) for metric in ("mean", "std", "limit_fraction", "mean_abs")}
    share = np.zeros(len(modules.tensors))
    both = (tanh | sigmoid)[places] & (places > 0)
    before = places[both] - 1  # what the function gets comes from the module before it
    share[places[both]] = np.nan_to_num(beyond(values["mean"][before], values["std"][before]))
    if len(before):
        size = values["mean_abs"][places[both]]
        # Of a sigmoid the distance from 1/2 is not recorded; its standard deviation and mean tell as much.
        root = np.sqrt((values["mean"][places[both]] - 0.5) ** 2 + values["std"][places[both]] ** 2) * 2
        size = np.where(sigmoid[places[both]], root, size)
        share[places[both]] = np.where(size >= view["size"], share[places[both]], 0)
    share = np.fmax(share, np.where(modules.limited & ~np.isnan(values["limit_fraction"]), values["limit_fraction"], 0))
    allowed = np.zeros(len(share), np.bool_)
    allowed[places] = True
    held = view.held("high", allowed & (share > view.by_node("share", modules.tensors.names)), 10)
    for place in np.flatnonzero(held.now).tolist():
        told = evidence("share beyond |x| = 3", share[place], view["share"], "share of elements")
        yield Hit(modules.owner[place] or modules.tensors.names[place], int(held.since[place]), told)


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
