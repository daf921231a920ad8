"""Inputs far from mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Evidence, Severity
from ..rule import Cause, Hit, Rule, View
from ..structure import Parameters, module_of


def look(view: View) -> Iterable[Hit]:
    now = view.now
    frame = now.row.frames["inputs"]
    mean, std = now.values("inputs", "mean"), now.values("inputs", "std")
    off = (np.abs(mean) > view.by_node("mean", frame.tensors.names)) | (std > view.by_node("std", frame.tensors.names))
    held = view.held("off", off, 6, 5 / 6)
    if not held.anywhere:
        return
    # Functions with a limit on both sides cannot absorb it; where they are not known to come first, it is a hint as
    # long as the loss takes no harm.
    bounded = now.modules.bounded_first() if now.modules is not None else bool(now.parameters.recurrent.any())
    harmful = bounded or (now.positive and now.harmed)
    size = np.fmax(np.abs(mean) / view["mean"], std / view["std"])
    for place in held.places():
        name = frame.tensors.names[place]
        # So far off, what absorbs it has to learn that first; a normalisation behind the first layer need not.
        far = size[place] > view["far"] and not _normalised(now.parameters)
        severity: Severity = "medium" if harmful or far else "notice"
        told = (
            Evidence(f"mean of {name}", float(mean[place]), 0.0, "per element"),
            Evidence(f"standard deviation of {name}", float(std[place]), 1.0, "per element"),
        )
        yield Hit(first_layer(now.parameters) or name, int(held.since[place]), told, severity)


def first_layer(parameters: Parameters) -> str:
    """The module that gets the inputs."""
    return module_of(parameters.names[parameters.matrix.argmax()]) if np.count_nonzero(parameters.matrix) else ""


def _normalised(parameters: Parameters) -> bool:
    """Whether what the first layer returns is normalised, or what it gets."""
    if not np.count_nonzero(parameters.matrix):
        return False
    first = int(parameters.matrix.argmax())
    return first > 0 or bool(parameters.normalised[first])


RULE = Rule(
    name="input_scale",
    type="SCALE_MISMATCH",
    severity="medium",
    look=look,
    needs={"gradients": (), "inputs": ("mean", "std")},
    logged=("loss",),
    uses={"activations": ("minimum", "maximum", "limit_fraction")},
    causes=(Cause("features that were not standardised"), Cause("a sensor, or a preprocessing step, that changed")),
    actions=(
        "standardise each feature to mean 0 and standard deviation 1, with figures of the training set",
        "put LayerNorm in front of the first layer",
    ),
    innocent="ReLU, or normalisation behind the first layer, absorbs the scale; token ids are no features",
    thresholds={"mean": 2.5, "std": 5.0, "far": 4.0},
)
