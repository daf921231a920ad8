"""Units that stay silent for every sample: half of a layer or more, counted in units, not in zeros."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..modules import RELU
from ..rule import Cause, Hit, Rule, View, evidence
from ..signals import Signals

#: A loss below this share of its start: the model learns with the units that it has.
LEARNT = 0.7
#: Looks after which a silent unit counts as dead (``streams/units.py``).
LOOKS = 20


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    dead = now.values("activations", "dead_unit_fraction")
    names = modules.tensors.names
    many = modules.like(RELU) & (dead >= view.by_node("share", names)) & (dead * modules.units >= view["units"])
    severity_of_many = severity_of(now)
    for place in np.flatnonzero(many).tolist():
        severity = None if dead[place] >= view["nearly_all"] else severity_of_many
        told = evidence("units silent for all samples", dead[place], view["share"], "share of units, 20 looks on end")
        since = max(now.began, now.start - (LOOKS - 1) * view.spacing)
        yield Hit(modules.owner[place] or names[place], since, told, severity)


def severity_of(now: Signals) -> Severity | None:
    """Of many silent units, but not nearly all: a notice where the loss falls even so, unsure where it is not known."""
    if now.positive and now.loss_11 < LEARNT * now.loss_start:
        return "notice"
    return "low" if np.isnan(now.loss_11) else None


RULE = Rule(
    name="dead_units",
    type="DEAD",
    severity="high",
    look=look,
    needs={"gradients": (), "activations": ("dead_unit_fraction", "limit_fraction", "minimum", "zero_fraction")},
    logged=("loss",),
    causes=(
        Cause("inputs with an offset, or off scale", ("SCALE_MISMATCH",)),
        Cause("a learning rate so high that biases were pushed below zero", ("UNSTABLE", "EXPLODING")),
        Cause("biases that began below zero"),
    ),
    actions=(
        "normalise the inputs, put LayerNorm in front of the layer",
        "replace ReLU by LeakyReLU(0.01), GELU or SiLU",
        "lower the learning rate, and initialise the layer's dead rows anew",
    ),
    innocent="sparse networks have half of their units silent by design; where the loss falls even so this is a notice",
    thresholds={"share": 0.499, "units": 4.0, "nearly_all": 0.9},
)
