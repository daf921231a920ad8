"""Figures of one step and node, from merged entries: what the table of metrics is made of.

Means run over the finite elements. This module imports numpy alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .statistics import BIG_SCALE, SMALL_SCALE, Entries

Values = npt.NDArray[np.float64]


def count(entries: Entries) -> Values:
    return entries["count"].astype(np.float64)


def nonfinite(entries: Entries) -> npt.NDArray[np.int64]:
    """Elements that are NaN or infinite, in the shape of ``entries``."""
    total: npt.NDArray[np.int64] = entries["nan"] + entries["pos_inf"] + entries["neg_inf"]
    return total


def finite(entries: Entries) -> Values:
    """Elements that are neither NaN nor infinite, as float64 in the shape of ``entries``."""
    return (entries["count"] - nonfinite(entries)).astype(np.float64)


def norm(entries: Entries) -> Values:
    """L2 norm of the finite part; hypot joins Blue's three accumulators without overflow."""
    joined: Values = np.sqrt(entries["sum_sq"])
    for name, scale in (("sum_sq_big", BIG_SCALE), ("sum_sq_small", SMALL_SCALE)):
        if entries[name].any():  # hardly ever, and a hypot takes as long as all the rest
            joined = np.hypot(joined, np.sqrt(entries[name]) / scale)
    return joined


def rms(entries: Entries) -> Values:
    root: Values = norm(entries) / np.sqrt(finite(entries))
    return root


def mean(entries: Entries) -> Values:
    average: Values = entries["sum"] / finite(entries)
    return average


def std(entries: Entries) -> Values:
    """Population standard deviation, from the difference of squares in factored form, which cannot overflow."""
    spread, centre = rms(entries), np.abs(mean(entries))
    deviation: Values = np.sqrt(np.maximum(spread - centre, 0.0)) * np.sqrt(spread + centre)
    return deviation


def update_ratio(entries: Entries) -> Values:
    """‖Δw‖ / ‖w‖; of weights that are all zero 1 where they move and 0 where they do not."""
    moved, weight = norm(entries), np.sqrt(entries["weight_sq"])
    ratio: Values = np.where(weight > 0, moved / weight, moved > 0)
    return ratio
