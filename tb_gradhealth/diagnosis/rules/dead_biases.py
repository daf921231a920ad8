"""Biases whose gradient is zero in most elements: dead units seen from the gradients alone.

The gradient of a unit's bias is the sum of what comes back to it from all samples: zero, exactly, where none of them
makes it speak. Single steps have many such units in a small batch; a share that holds for 20 steps has not.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..memory import Mask
from ..modules import RELU
from ..rule import Cause, Hit, Rule, View, evidence, hits
from ..structure import Parameters, module_of, zero_share
from .dead_units import severity_of


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.parameters.names
    if now.frame("dead_rows") is not None or (now.modules is not None and now.modules.any_like(RELU)):
        return []  # these show the same, and more surely
    which = view.once("which", lambda: _of_layers(now.parameters), id(names))
    zeros = now.values("gradients", "zero_fraction")
    many = which & now.live & (zeros >= view.by_node("share", names)) & (zeros < 1) & (not now.converged)
    held = view.held("zeros", many, 20)
    of_many = severity_of(now, False, view["patience"])
    return hits(
        names,
        held,
        lambda place: evidence("zeros in the bias' gradient", zeros[place], view["share"], "share of units"),
        lambda place: None if zeros[place] >= view["nearly_all"] else of_many,
    )


def _of_layers(parameters: Parameters) -> Mask:
    """Biases of layers that have a matrix, but for those of keys."""
    layers = {module_of(name) for name, one in zip(parameters.names, parameters.matrix, strict=True) if one}
    return np.array(
        [
            one and module_of(name) in layers and not zero_share(name)
            for name, one in zip(parameters.names, parameters.bias, strict=True)
        ],
        np.bool_,
    )


RULE = Rule(
    name="dead_biases",
    type="DEAD",
    severity="high",
    look=look,
    needs={"gradients": ("zero_fraction",)},
    logged=("loss",),
    causes=(
        Cause("biases that were pushed below what any input makes up for"),
        Cause("inputs with an offset, or off scale", ("SCALE_MISMATCH",)),
        Cause("a learning rate so high that biases were pushed below zero", ("UNSTABLE", "EXPLODING")),
    ),
    actions=(
        'record activations="auto" to see which units are silent',
        "normalise the inputs, put LayerNorm in front of the layer",
        "replace ReLU by LeakyReLU(0.01), GELU or SiLU",
    ),
    innocent="an expert that few samples reach, and a layer that most of the loss is masked for, look the same",
    thresholds={"share": 0.7, "nearly_all": 0.85, "patience": 60.0},
)
