"""The built-in rules of SageMaker Debugger with the parameters that its documentation gives as defaults
(docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html).

They read whole tensors and we rows, so three are told from what rows have: DeadRelu from units that were silent at 20
looks on end, SaturatedActivation from the share of elements at the limit of tanh and sigmoid, UnchangedTensor from an
update of a norm below 1e-5 of the weight's. PoorWeightInitialization goes without the percentiles of the gradients.
"""

from __future__ import annotations

import numpy as np

from tb_gradhealth.reading.opened import OpenRun

from .evidence import Evidence, Mask
from .judge import Alarm, worst_first

VANISHING = 1e-7  # VanishingGradient.threshold
DEAD_LAYER = 0.5  # DeadRelu.threshold_layer
SATURATED_LAYER = 0.5  # SaturatedActivation.threshold_layer
LARGE_UPDATE, SMALL_UPDATE = 10.0, 1e-8  # WeightUpdateRatio
POOR, POOR_STEPS = 10.0, 10  # PoorWeightInitialization.threshold, steps
UNCHANGED, UNCHANGED_STEPS = 1e-5, 3  # UnchangedTensor.rtol, num_steps
DECREASE, DECREASE_STEPS = 1e-3, 10  # LossNotDecreasing.diff_percent, num_steps
OVERFIT = 0.1  # Overfit.ratio_threshold, patience 1


def judge(run: OpenRun) -> list[Alarm]:
    seen = Evidence(run)
    return worst_first([*_gradients(seen), *_forward(seen), *_weights(seen), *_losses(seen)])


def _gradients(seen: Evidence) -> list[Alarm]:
    least, zeros = seen.plane("gradients", "mean_abs", "min"), seen.plane("gradients", "zero_fraction", "max")
    broken = seen.plane("gradients", "nonfinite", "max")
    return [
        *seen.alarm("VANISHING", least.values < VANISHING, least.names, -least.values),
        *seen.alarm("NUMERICAL", broken.values > 0, broken.names, broken.values),  # ExplodingTensor
        *seen.alarm("DEAD", zeros.values >= 1.0, zeros.names),  # AllZero
    ]


def _forward(seen: Evidence) -> list[Alarm]:
    dead, limit = seen.plane("activations", "dead_unit_fraction"), seen.plane("activations", "limit_fraction")
    lowest, highest = (seen.plane("activations", name) for name in ("minimum", "maximum"))
    with np.errstate(invalid="ignore"):
        bounded = (np.abs(lowest.values) <= 1.0) & (highest.values <= 1.0) & (lowest.values < -0.2)
    return [
        *seen.alarm("DEAD", dead.values > DEAD_LAYER, dead.names, dead.values),
        *seen.alarm("SATURATED", (limit.values > SATURATED_LAYER) & bounded, limit.names, limit.values),
    ]


def _weights(seen: Evidence) -> list[Alarm]:
    ratio, spread = seen.plane("updates", "update_ratio"), seen.plane("weights", "std")
    unchanged: Mask = np.ones(ratio.values.shape, np.bool_)
    for back in range(UNCHANGED_STEPS):
        unchanged[:, back:] &= ratio.values[:, : ratio.values.shape[1] - back] < UNCHANGED
        unchanged[:, :back] = False
    matrices = np.array([len(shape) > 1 for shape in spread.shapes], np.bool_)
    names = tuple(name for name, matrix in zip(spread.names, matrices, strict=True) if matrix)
    variances = spread.values[matrices] ** 2
    found = [
        *seen.alarm("UNSTABLE", ratio.values > LARGE_UPDATE, ratio.names, ratio.values),
        *seen.alarm("STALLED_COMPONENT", ratio.values < SMALL_UPDATE, ratio.names),
        *seen.alarm("STALLED_COMPONENT", unchanged, ratio.names),
    ]
    if len(variances):
        with np.errstate(divide="ignore", invalid="ignore"):
            poor = variances.max(axis=0) > POOR * variances.min(axis=0)
            away = np.log(variances / np.median(variances, axis=0))
        poor &= seen.last < POOR_STEPS
        for kind, size in (("EXPLODING", away), ("VANISHING", -away)):
            outlying = size == np.abs(away).max(axis=0)
            found += seen.alarm(kind, outlying & poor, names, size)
    return found


def _losses(seen: Evidence) -> list[Alarm]:
    loss, validation = seen.scalar("loss"), seen.scalar("val_loss")
    before = np.full(len(loss), np.nan)
    rows = max(1, -(-DECREASE_STEPS // int(seen.steps[0, 1] - seen.steps[0, 0])))
    before[rows:] = loss[:-rows]
    checked = np.arange(len(loss)) % rows == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        return [
            *seen.alarm("PLATEAU", (checked & (loss > before - DECREASE * np.abs(before)))[None]),
            *seen.alarm("OVERFITTING", ((validation - loss) / loss > OVERFIT)[None]),
        ]
