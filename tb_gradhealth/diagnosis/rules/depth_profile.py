"""The gradient along the depth of the model: the RMS of its first weights against that of its last ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rule import Cause, Hit, Rule, View, evidence

#: Weights at either end, and how many there must be in all for a depth.
END, LEAST = 2, 4


def decades(view: View) -> float:
    """log10 of the RMS at the output over that at the input; NaN where there is no depth, or no gradient."""
    now = view.now
    depth = now.parameters.depth
    if len(depth) < LEAST:
        return np.nan
    rms = now.rms[[*depth[:END], *depth[-END:]]]
    if now.input_scale > 1:  # the gradient of the first weights has its input as a factor
        rms[0] /= now.input_scale
    first, last = np.fmax.reduce(rms[:END]), np.fmax.reduce(rms[END:])
    return float(np.log10(last / first)) if first > 0 and last > 0 else np.nan


def look_down(view: View) -> Iterable[Hit]:
    drop = decades(view)
    since = view.lasted("drop", drop > view["decades"], 20, 0.9)
    if since is not None:
        yield _hit(view, since, drop)


def look_up(view: View) -> Iterable[Hit]:
    growth = -decades(view)
    since = view.lasted("growth", growth > view["decades"], 12, 10 / 12)
    if since is not None:
        yield _hit(view, since, -growth)


def _hit(view: View, since: int, drop: float) -> Hit:
    names, depth = view.now.parameters.names, view.now.parameters.depth
    what = f"decades of gradient RMS between {names[depth[0]]} and {names[depth[-1]]}"
    return Hit(names[depth[0]], since, evidence(what, abs(drop), view["decades"], "log10"))


VANISHING = Rule(
    name="depth_drop",
    type="VANISHING",
    severity="critical",
    look=look_down,
    needs={"gradients": ("rms",)},
    causes=(
        Cause("saturated activation functions", ("SATURATED",)),
        Cause("inputs off scale that saturate the first layer", ("SCALE_MISMATCH",)),
        Cause("initial weights too small for so many layers"),
        Cause("depth without residual connections or normalisation"),
    ),
    actions=(
        "add residual connections or LayerNorm between the layers",
        "initialise for the activation function (Kaiming for ReLU, Xavier for tanh)",
        "replace tanh and sigmoid by GELU or SiLU",
    ),
    innocent="layers that are trained at rates of their own may differ by design",
    thresholds={"decades": 3.0},
)
EXPLODING = Rule(
    name="depth_growth",
    type="EXPLODING",
    severity="critical",
    look=look_up,
    needs={"gradients": ("rms",)},
    causes=(
        Cause("initial weights too large for so many layers"),
        Cause("depth or recurrence without normalisation"),
    ),
    actions=(
        "initialise with a smaller gain (Xavier 0.6 for linear layers, 0.8 for attention)",
        "add LayerNorm, or scale residual branches by 0.1",
        "clip the global norm",
    ),
    innocent="an input layer of few features, all of them active, has larger gradients than the others",
    thresholds={"decades": 1.2},
)
