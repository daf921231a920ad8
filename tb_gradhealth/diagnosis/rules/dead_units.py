"""Units that stay silent for every sample: half of a layer or more, counted in units, not in zeros."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..finding import Severity
from ..memory import places
from ..modules import RELU
from ..rule import Cause, Hit, Rule, View, evidence
from ..signals import Signals

#: Looks after which a silent unit counts as dead (``streams/units.py``).
LOOKS = 20


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    dead = now.values("activations", "dead_unit_fraction")
    names = modules.tensors.names
    # Nothing is dead before there were so many looks: what is then was silent from the beginning.
    looks = view.once("looks", lambda: _Looks(dead), id(modules))
    looks.add(dead)
    many = modules.like(RELU) & (dead >= view.by_node("share", names))
    if not np.count_nonzero(many):
        return
    for place in places(many & (dead * modules.units >= view["units"])):
        nearly_all = dead[place] >= view["nearly_all"]
        died = looks.died(place, dead[place]) >= view["died"]
        severity = "critical" if nearly_all else severity_of(now, died, view["patience"])
        told = evidence("units silent for all samples", dead[place], view["share"], "share of units, 20 looks on end")
        since = max(now.began, now.start - (LOOKS - 1) * view.spacing)
        yield Hit(modules.owner[place] or names[place], since, told, severity)


class _Looks:
    """The least share of silent units, once any can be known."""

    def __init__(self, dead: Floats) -> None:
        self._looks, self._least = 0, np.full(len(dead), np.nan)

    def add(self, dead: Floats) -> None:
        self._looks += 1
        if self._looks >= LOOKS:
            self._least = np.fmin(self._least, dead)

    def died(self, place: int, dead: float) -> float:
        """What died since, as a share of the units; 0 where that is not known."""
        since = float(dead - self._least[place])
        return since if since == since else 0.0


def severity_of(now: Signals, died: bool, patience: float) -> Severity | None:
    """Of many silent units, but not nearly all: a notice where they do no harm, which those that were silent from the
    beginning have time to show."""
    if np.isnan(now.loss_11):
        return "low"
    return "notice" if now.learns or (not died and now.age < patience) else None


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
    thresholds={"share": 0.499, "units": 4.0, "nearly_all": 0.85, "died": 0.25, "patience": 60.0},
)
