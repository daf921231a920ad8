"""A model that begins too large: matrices far above the default for their shapes, or outputs far above the input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..finding import Severity
from ..rule import Cause, Hit, Rule, View, evidence

_UNKNOWN = 'the inputs may be as large: optimizer.gradhealth.observe("x", x, kind="input") tells'


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not now.is_first or now.start > 0:  # what goes on has weights that were trained
        return
    ratio = now.initial_ratio
    if ratio > view["times"]:
        ratios = now.weight / now.parameters.default
        first = int(np.flatnonzero(now.inner & (ratios > view["times"]))[0])
        yield Hit(
            now.parameters.names[first],
            now.start,
            evidence("initial weight norm, median", ratio, 1.0, "times the default"),
        )
        return
    if now.frame("activations") is None or now.modules is None:
        return
    known = now.input_scale > 0
    limit = view["output"] * now.input_scale if known else view["output_alone"]
    rms = np.where(now.modules.layer, np.nan_to_num(now.values("activations", "rms")), 0)
    if len(rms) and rms.max() > limit:
        against = (now.input_scale, "against the scale of the inputs") if known else (limit, "inputs not recorded")
        told = evidence("output RMS", rms.max(), *against)
        severity: Severity | None = None if known else "medium"
        innocent = None if known else _UNKNOWN
        yield Hit(now.modules.tensors.names[int(rms.argmax())], now.start, told, severity, innocent=innocent)


RULE = Rule(
    name="large_start",
    type="EXPLODING",
    severity="critical",
    look=look,
    needs={"gradients": ()},
    uses={"weights": ("norm",), "activations": ("rms",), "inputs": ("mean", "std")},
    causes=(
        Cause("the initialisation: a gain or standard deviation that is too large"),
        Cause("depth or recurrence without normalisation"),
    ),
    actions=(
        "initialise with Xavier (gain 0.6 for linear layers, 0.8 for attention) or Kaiming",
        "put LayerNorm in front of the layer, or scale residual branches by 0.1",
    ),
    innocent="very narrow layers may have weights of this size by design, and so may a model that was trained before",
    thresholds={"times": 3.0, "output": 10.0, "output_alone": 20.0},
)
