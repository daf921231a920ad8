"""Gradients below the normal numbers of float16 as the backward pass had them, loss scale included."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradhealth_kernels.exponent_table import FORMATS, SPANS

from ..memory import middle
from ..rule import Cause, Hit, Rule, View, evidence

#: log2 of the smallest normal number of float16.
_NORMAL = math.log2(next(form.normal for form in FORMATS if form.name == "float16"))


def look(view: View) -> Iterable[Hit]:
    now = view.now
    frame = now.row.frames["exponents"]
    scale = now.loss_scale
    dtypes = frame.tensors.dtypes
    half = view.once("half", lambda: np.array([dtype == "float16" for dtype in dtypes], np.bool_), id(dtypes))
    which = now.moving if len(now.live) == len(half) else half
    if not scale > 0:  # without a GradScaler float16 is what the parameters are
        scale, which = 1.0, which & half
    if not np.count_nonzero(which):
        return
    # The file's gradients are unscaled: 2**14 times as small as the backward pass had them for a scale of 2**14.
    edge = _NORMAL - math.log2(scale)
    below = np.zeros(len(half))
    every = np.zeros(len(half))
    for span in SPANS:
        share = np.nan_to_num(now.values("exponents", span.name))
        every += share
        if span.high <= edge:
            below += share
    median = middle((below / every)[which])  # of those that are not zero
    since = view.lasted("lost", median > view["share"], 10)
    if since is not None:
        told = evidence("gradients below float16's normal numbers", median, view["share"], "share, median of matrices")
        yield Hit("", since, (*told, *evidence("loss scale", scale)))


RULE = Rule(
    name="underflow",
    type="UNDERFLOW",
    severity="critical",
    look=look,
    needs={"gradients": (), "exponents": tuple(span.name for span in SPANS)},
    logged=("loss_scale",),
    causes=(
        Cause("no loss scale, or one that is too small"),
        Cause("a loss that is divided by much, or a mean over very many elements"),
        Cause("gradients that vanish with depth", ("VANISHING",)),
    ),
    actions=("use torch.amp.GradScaler, or raise its first scale", "train in bfloat16"),
    innocent="a model that has converged has gradients near zero",
    thresholds={"share": 0.5},
)
