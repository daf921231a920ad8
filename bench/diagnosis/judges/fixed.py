"""The thresholds that practitioners pass on (issue types of the field documents), as they stand, at any step.

Where the field has no number, that of the nearest rule is taken: a variance is high where the deviation of the norm
over 20 rows is larger than their mean, energy drops sharply by a factor of 10, and a loss is on a plateau after 50
steps without a new minimum. Inputs are off scale outside [−3, 3].
"""

from __future__ import annotations

import fnmatch

import numpy as np

from tb_gradhealth.reading.opened import OpenRun

from .evidence import Array, Evidence, Mask, Plane
from .judge import Alarm, worst_first

VANISHED, EXPLODED, LOSS = 1e-7, 100.0, 1000.0
ZEROS = 0.10
ZEROS_OF = {"*temporal_projection*": 0.30, "*self_attn.in_proj_*": 0.20, "*mlp_extractor*": 0.15}
SATURATED, SILENT, COLLAPSED, STALLED, OVERFITTED = 0.10, 1e-6, 1e-3, 1e-8, 2.0
PHASES = (0.05, 0.10, 0.40)
DROP, WINDOW, PATIENCE = 10.0, 20, 50


def judge(run: OpenRun) -> list[Alarm]:
    seen = Evidence(run)
    return worst_first([*_gradients(seen), *_forward(seen), *_losses(seen)])


def _gradients(seen: Evidence) -> list[Alarm]:
    least, most = (seen.plane("gradients", metric, view) for metric, view in (("mean_abs", "min"), ("norm", "max")))
    zeros, broken = seen.plane("gradients", "near_zero_fraction"), seen.plane("gradients", "nonfinite", "max")
    ratio = seen.plane("updates", "update_ratio")
    allowed = np.array([_allowed(name) for name in zeros.names])[:, None]
    return [
        *seen.alarm("NUMERICAL", broken.values > 0, broken.names, broken.values),
        *seen.alarm("VANISHING", least.values < VANISHED, least.names, -least.values),
        *seen.alarm("EXPLODING", most.values > EXPLODED, most.names, most.values),
        *seen.alarm("DEAD", zeros.values > allowed, zeros.names, zeros.values),
        *seen.alarm("PROGRESSIVE_DEATH", _through_phases(zeros.values), zeros.names, zeros.values),
        *seen.alarm("UNSTABLE", _variable(most.values), most.names, most.values),
        *seen.alarm("STALLED_COMPONENT", ratio.values < STALLED, ratio.names, -ratio.values),
    ]


def _forward(seen: Evidence) -> list[Alarm]:
    size, limit = seen.plane("activations", "abs_max"), _not_relu(seen, seen.plane("activations", "limit_fraction"))
    energy, off = seen.plane("activations", "rms"), seen.plane("inputs", "beyond")
    unused = seen.plane("inputs", "dead_features")
    spread, apart = seen.plane("predictions", "std"), seen.plane("predictions", "pair_distance")
    with np.errstate(divide="ignore", invalid="ignore"):
        drop = energy.values[:-1] / energy.values[1:]
    return [
        *seen.alarm("SATURATED", limit.values > SATURATED, limit.names, limit.values),
        *seen.alarm("DEAD", size.values < SILENT, size.names),
        *seen.alarm("BOTTLENECK", drop > DROP, energy.names[1:], drop),
        *seen.alarm("SCALE_MISMATCH", off.values > 0, off.names, off.values),
        *seen.alarm("SCALE_MISMATCH", unused.values > 0, unused.names, unused.values),
        *seen.alarm("MODE_COLLAPSE", spread.values < COLLAPSED, spread.names),
        *seen.alarm("MODE_COLLAPSE", apart.values < COLLAPSED, apart.names),
    ]


def _losses(seen: Evidence) -> list[Alarm]:
    loss, validation = seen.scalar("loss"), seen.scalar("val_loss")
    best, since = np.inf, 0
    flat = np.zeros(len(loss), np.bool_)
    for row, value in enumerate(loss):
        if value < best:
            best, since = value, int(seen.last[row])
        flat[row] = seen.last[row] - since >= PATIENCE
    with np.errstate(invalid="ignore"):
        return [
            *seen.alarm("NUMERICAL", seen.broken("loss")[None]),
            *seen.alarm("EXPLODING", (loss > LOSS)[None]),
            *seen.alarm("OVERFITTING", ((validation > OVERFITTED * loss) & (loss > 0))[None]),
            *seen.alarm("PLATEAU", flat[None]),
        ]


def _allowed(name: str) -> float:
    return next((share for pattern, share in ZEROS_OF.items() if fnmatch.fnmatchcase(name, pattern)), ZEROS)


def _through_phases(zeros: Array) -> Mask:
    """``[tensor, row]``: whether the share came from below the first phase through each, one after the other."""
    reached = np.zeros(zeros.shape, np.int64)
    for row in range(zeros.shape[1]):
        now = reached[:, row - 1] if row else np.zeros(len(zeros), np.int64)
        began = np.where((now == 0) & (zeros[:, row] < PHASES[0]), 1, now)
        for phase, share in enumerate(PHASES[1:], start=1):
            began = np.where((now == phase) & (zeros[:, row] > share), phase + 1, began)
        reached[:, row] = began
    return reached == len(PHASES)


def _variable(norms: Array) -> Mask:
    found = np.zeros(norms.shape, np.bool_)
    for row in range(WINDOW, norms.shape[1] + 1):
        recent = norms[:, row - WINDOW : row]
        found[:, row - 1] = recent.std(axis=1) > recent.mean(axis=1)
    return found


def _not_relu(seen: Evidence, limits: Plane) -> Plane:
    """Without the functions that are never negative: zeros of a ReLU are no saturation."""
    lowest = seen.plane("activations", "minimum", "min")
    with np.errstate(invalid="ignore"):
        negative = (lowest.values < 0).any(axis=1) if len(lowest.values) else np.zeros(0, np.bool_)
    return Plane(limits.names, limits.shapes, np.where(negative[:, None], limits.values, np.nan))
