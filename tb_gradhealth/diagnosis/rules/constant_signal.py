"""An output that is the same for every sample: what comes behind it cannot know the input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..memory import places
from ..rule import Cause, Hit, Rule, View, evidence
from ..signals import Signals
from ..structure import looks_embedded
from .constant_input import ALIKE


def look(view: View) -> Iterable[Hit]:
    now = view.now
    modules = now.modules
    if modules is None:
        return
    spread = now.values("activations", "batch_spread")
    names = modules.tensors.names
    which = view.once("which", lambda: np.array([not looks_embedded(name) for name in names], np.bool_), id(names))
    constant = modules.hidden & which & (spread < view.by_node("spread", names))
    if np.count_nonzero(constant) and _samples_are_alike(now):
        constant[:] = False  # no layer's fault
    held = view.held("constant", constant, 10)
    if not held.anywhere:
        return
    # What was constant first; of several at once the one nearest the input, whatever follows has it from there.
    earliest = held.since[held.now].min()
    place = int((held.now & (held.since <= earliest + 3 * view.spacing)).argmax())
    node = modules.owner[place] or names[place]
    last = places(modules.layer & modules.hidden)[-1:]
    told = evidence("spread across the batch", spread[place], view["spread"], "share of the RMS")
    yield Hit(node, int(held.since[place]), told, type="MODE_COLLAPSE" if place in last else None)


def _samples_are_alike(now: Signals) -> bool:
    if now.frame("inputs") is None:
        return False
    return bool(np.fmax.reduce(now.values("inputs", "batch_spread"), initial=0) <= ALIKE)


RULE = Rule(
    name="constant_signal",
    type="VANISHING",
    severity="critical",
    look=look,
    needs={"gradients": (), "activations": ("batch_spread",)},
    uses={"inputs": ("batch_spread",)},
    causes=(
        Cause("the units of the layer are dead", ("DEAD", "PROGRESSIVE_DEATH")),
        Cause("saturated activation functions", ("SATURATED",)),
        Cause("inputs with an offset far larger than their spread", ("SCALE_MISMATCH",)),
        Cause("weights that shrank or began too small, so that biases are all that is left"),
    ),
    actions=(
        "normalise the inputs to mean 0 and standard deviation 1",
        "put LayerNorm in front of the layer",
        "lower the weight decay, or the learning rate",
    ),
    innocent="a layer that sees no sample, as one of positions or of a time step, returns the same for all of them",
    thresholds={"spread": 0.003},
)
