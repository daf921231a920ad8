"""A history in one line of characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .map import NOT_FINITE

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], cells: int) -> str:
    """The means of ``values``, one after the other, in at most ``cells`` characters of a linear scale; nothing for
    NaN, and a mark where one is infinite."""
    known = np.asarray(values, np.float64)
    if not len(known):
        return ""
    groups = np.array_split(known, min(cells, len(known)))
    means = np.array([np.mean(group[~np.isnan(group)]) if not np.isnan(group).all() else np.nan for group in groups])
    finite = means[np.isfinite(means)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    return "".join(_character(float(mean), low, high) for mean in means)


def _character(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return " "
    if np.isinf(mean):
        return NOT_FINITE
    share = (mean - low) / (high - low) if high > low else 0.0
    return BARS[min(len(BARS) - 1, int(len(BARS) * share))]
