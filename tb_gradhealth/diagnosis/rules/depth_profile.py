"""The gradient along the depth of the model: the RMS of its first weights against that of its last ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np

from ...rows import Floats
from ..memory import larger
from ..rule import Cause, Hit, Rule, View, evidence
from ..signals import Signals

#: Weights at either end, and how many there must be in all for a depth.
END, LEAST = 2, 4


def decades(sizes: Floats, depth: Sequence[int], input_scale: float) -> float:
    """log10 of the size at the output over that at the input; NaN where there is no depth, or no gradient.

    ``sizes [tensor]`` are the RMS or the norm of gradients, ``depth`` the weights from the input on.
    """
    if len(depth) < LEAST:
        return math.nan
    ends: list[float] = [sizes.item(place) for place in (*depth[:END], *depth[-END:])]
    if input_scale > 1:  # the gradient of the first weights has its input as a factor
        ends[0] /= input_scale
    first, last = reduce(larger, ends[:END]), reduce(larger, ends[END:])
    return float(np.log10(last / first)) if first > 0 and last > 0 else math.nan


def _decades(now: Signals) -> tuple[float, float]:
    """Those of RMS and norm, the larger and the smaller one.

    Elements of a kernel that is used in many places have larger gradients than those of a large matrix, whose norm has
    more of them: what both tell is no matter of the sizes of tensors.
    """
    found = [
        decades(sizes, now.parameters.depth, now.input_scale) for sizes in (now.rms, now.values("gradients", "norm"))
    ]
    return max(found), min(found)


def look_down(view: View) -> Iterable[Hit]:
    drop, least = view.now.of_row(_decades)
    since = view.lasted("drop", drop > view["decades"] and least > view["of_norm"], 20, 0.9)
    if since is not None:
        yield _hit(view, since, drop)


def look_up(view: View) -> Iterable[Hit]:
    least, most = (-found for found in view.now.of_row(_decades))
    since = view.lasted("growth", least > view["decades"], 12, 10 / 12)
    if since is not None:
        yield _hit(view, since, most)


def _hit(view: View, since: int, drop: float) -> Hit:
    names, depth = view.now.parameters.names, view.now.parameters.depth
    what = f"decades of gradient RMS between {names[depth[0]]} and {names[depth[-1]]}"
    return Hit(names[depth[0]], since, evidence(what, abs(drop), view["decades"], "log10"))


VANISHING = Rule(
    name="depth_drop",
    type="VANISHING",
    severity="critical",
    look=look_down,
    needs={"gradients": ("rms", "norm")},
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
    thresholds={"decades": 3.0, "of_norm": 2.0},
)
EXPLODING = Rule(
    name="depth_growth",
    type="EXPLODING",
    severity="critical",
    look=look_up,
    needs={"gradients": ("rms", "norm")},
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
