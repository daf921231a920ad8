"""A model that begins too small: matrices far below the default for their shapes, and a hidden signal that fades."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence


def look(view: View) -> Iterable[Hit]:
    now = view.now
    if not now.is_first or now.modules is None:
        return
    inner = now.inner
    ours = [name in now.modules.matrix_of and bool(inner[now.modules.matrix_of[name]]) for name in now.modules.owner]
    rms = now.values("activations", "rms")[now.modules.layer & np.array(ours, np.bool_)]
    scale = now.input_scale if now.input_scale > 0 else 1.0
    least = float(np.fmin.reduce(rms, initial=np.nan)) if len(rms) else np.nan
    ratio = now.initial_ratio
    if ratio < view["times"] and least < view["output"] * scale:
        told = evidence("initial weight norm, median", ratio, 1.0, "times the default")
        small = inner & (now.first_weight / now.parameters.default <= ratio)  # of a median half of them are
        yield Hit(
            now.parameters.names[int(small.argmax())],
            now.start,
            (*told, *evidence("least output RMS", least, scale, "against the inputs'")),
        )


RULE = Rule(
    name="small_start",
    type="VANISHING",
    severity="critical",
    look=look,
    needs={"gradients": (), "weights": ("norm",), "activations": ("rms",)},
    uses={"inputs": ("mean", "std")},
    causes=(Cause("the initialisation: a gain or standard deviation that is too small"),),
    actions=("initialise with Xavier or Kaiming", "add LayerNorm or residual connections between the layers"),
    innocent="normalisation layers restore the scale of what comes before them",
    thresholds={"times": 0.35, "output": 0.03},
)
