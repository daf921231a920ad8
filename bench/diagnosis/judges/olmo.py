"""The rule by which ``SkipStepOptimizer`` of OLMo-core (github.com/allenai/OLMo-core) leaves out a step: loss or norm
of the gradients above mean + 6 σ of the last 128 steps, from 64 on; what is not finite is not within either.

It says that a step is an outlier and no more: one that is not finite counts as NUMERICAL here, any other as EXPLODING.
"""

from __future__ import annotations

import numpy as np

from tb_gradhealth.reading.opened import OpenRun

from .evidence import Array, Evidence, Mask
from .judge import Alarm, worst_first

WINDOW, SIGMAS = 128, 6.0


def judge(run: OpenRun) -> list[Alarm]:
    seen = Evidence(run)
    every = int(seen.steps[0, 1] - seen.steps[0, 0])
    loss, norm = seen.scalar("loss"), seen.whole("norm")
    broken = seen.broken("loss") | (seen.whole("nonfinite") > 0)
    active = np.arange(len(loss)) + 1 >= max(2, WINDOW // every // 2)
    above = _above(loss, WINDOW // every) | _above(norm, WINDOW // every)
    return worst_first(
        [*seen.alarm("NUMERICAL", (broken & active)[None]), *seen.alarm("EXPLODING", (above & active & ~broken)[None])]
    )


def _above(values: Array, window: int) -> Mask:
    """``[row]``: more than SIGMAS standard deviations above the mean of the rows before."""
    found = np.zeros(len(values), np.bool_)
    for row in range(2, len(values)):
        before = values[max(0, row - window) : row]
        found[row] = values[row] - before.mean() > SIGMAS * before.std(ddof=1)
    return found
