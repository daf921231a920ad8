"""THE table of metrics: what a person reads, computed per step and node from merged entries.

Means run over the finite count, fractions over all elements. A metric that a step cannot have (no element,
no finite element) is NaN there, which every later stage reads as "no data", never as a number.

One table in one file, which is why this one is longer than others; what its columns are computed by and has a name of
its own is in ``figures.py``. This module imports numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .exponent_table import LOSSES, SPANS
from .figures import Values, count, finite, mean, nonfinite, norm, rms, std, update_ratio
from .statistics import Entries

#: How the store codes a metric: sizes log-coded, fractions log-coded near 0 and near 1, signed figures as
#: float32, counts exactly.
Kind = Literal["magnitude", "fraction", "signed", "count"]


@dataclass(frozen=True)
class Metric:
    """One figure per step and node. ``over`` says which elements must exist for it to be defined; wherever they do, all
    nodes that have the entries it ``needs`` have it, so that its mean runs over those steps."""

    name: str
    label: str
    unit: str
    kind: Kind
    scale: Literal["log", "linear"]
    over: Literal["finite", "all"]
    meaning: str
    compute: Callable[[Entries], Values]
    needs: tuple[str, ...] = ()  # entries that not every stream has
    group: str = "Size"  # what it is listed under, for people


def _share(entry: str, label: str, meaning: str, group: str) -> Metric:
    """An entry that counts elements, as a share of all of them."""
    unit, needs = "share of elements", (entry,)
    return Metric(entry, label, unit, "fraction", "linear", "all", meaning, lambda e: e[entry] / count(e), needs, group)


METRICS: tuple[Metric, ...] = (
    Metric("norm", "Norm", "L2", "magnitude", "log", "finite", "L2 norm of the finite elements", norm),
    Metric("rms", "RMS", "per element", "magnitude", "log", "finite", "norm / sqrt(finite elements)", rms),
    Metric(
        "near_zero_fraction",
        "Near-zero fraction",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "share with |x| < 1e-8 (or the threshold set for the stream), exact zeros included",
        lambda entries: entries["near_zero"] / count(entries),
        group="Zeros",
    ),
    Metric(
        "zero_fraction",
        "Zero fraction",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "share that is exactly 0",
        lambda entries: entries["zero"] / count(entries),
        group="Zeros",
    ),
    Metric(
        "abs_max",
        "Largest |x|",
        "per element",
        "magnitude",
        "log",
        "finite",
        "largest finite magnitude",
        lambda entries: entries["abs_max"].astype(np.float64),
    ),
    Metric(
        "mean_abs",
        "Mean |x|",
        "per element",
        "magnitude",
        "log",
        "finite",
        "mean magnitude of the finite elements",
        lambda entries: entries["sum_abs"] / finite(entries),
    ),
    Metric(
        "mean",
        "Mean",
        "per element",
        "signed",
        "linear",
        "finite",
        "mean of the finite elements",
        mean,
        group="Distribution",
    ),
    Metric(
        "std",
        "Standard deviation",
        "per element",
        "magnitude",
        "log",
        "finite",
        "of the finite elements",
        std,
        group="Distribution",
    ),
    Metric(
        "saturated_fraction",
        "Saturated fraction",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "share with |x| >= 1/8 of the dtype's largest value, infinities included: about to overflow",
        lambda entries: entries["saturated"] / count(entries),
        group="Large and non-finite",
    ),
    Metric(
        "nonfinite",
        "Non-finite elements",
        "elements",
        "count",
        "log",
        "all",
        "elements that are NaN or infinite",
        lambda entries: nonfinite(entries).astype(np.float64),
        group="Large and non-finite",
    ),
)

#: What a stream has beside those when it has the entries that they need; the tab opens on the first one of a stream.
FURTHER_METRICS: tuple[Metric, ...] = (
    Metric(
        "update_ratio",
        "Update : weight",
        "ratio of norms",
        "magnitude",
        "log",
        "finite",
        "norm of the update / norm of the weights before it; about 0.001 is usual",
        update_ratio,
        ("weight_sq",),
    ),
    Metric(
        "rank",
        "Effective rank",
        "dimensions",
        "magnitude",
        "log",
        "finite",
        "participation ratio of the singular values, (sum of s^2)^2 / sum of s^4; of several matrices the mean",
        lambda entries: entries["rank"] / entries["matrices"],
        ("rank", "matrices"),
        group="Rank and variety",
    ),
    Metric(
        "rank_least",
        "Least effective rank",
        "dimensions",
        "magnitude",
        "log",
        "finite",
        "participation ratio of the singular values, the smallest of the matrices inside",
        lambda entries: np.where(np.isfinite(entries["rank_least"]), entries["rank_least"], np.nan),
        ("rank_least",),
        group="Rank and variety",
    ),
    Metric(
        "dead_row_fraction",
        "Dead rows",
        "share of rows",
        "fraction",
        "linear",
        "all",
        "share of output neurons whose whole gradient is near zero",
        lambda entries: entries["rows_dead"] / entries["rows_total"],
        ("rows_total", "rows_dead"),
        group="Zeros",
    ),
    Metric(
        "beyond",
        "Beyond [-3, 3]",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "share with |x| > 3, infinities included",
        lambda entries: entries["beyond"] / count(entries),
        ("beyond",),
        group="Large and non-finite",
    ),
    Metric(
        "dead_features",
        "Dead features",
        "share of features",
        "fraction",
        "linear",
        "all",
        "share of features with |x| < 1e-8 in all samples of the batch",
        lambda entries: entries["dead_features"] / entries["features"],
        ("features", "dead_features"),
        group="Zeros",
    ),
    Metric(
        "limit_fraction",
        "Share at the limit",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "of activation functions: share where the gradient vanishes (ReLU: zeros; tanh and sigmoid: within the dtype's "
        "eps of a limit; GELU and SiLU: |x| > 3 before)",
        lambda entries: entries["limited"] / entries["limitable"],
        ("limited", "limitable"),
        group="Large and non-finite",
    ),
    Metric(
        "dead_unit_fraction",
        "Dead units",
        "share of units",
        "fraction",
        "linear",
        "all",
        "share of channels or features that stayed below 1e-6 at each of the last 20 looks; 0 before there are so many",
        lambda entries: entries["dead_units"] / entries["units"],
        ("units", "dead_units"),
        group="Zeros",
    ),
    Metric(
        "batch_spread",
        "Spread across the batch",
        "share of the RMS",
        "fraction",
        "linear",
        "finite",
        "RMS of what differs from the mean over the batch / RMS; 0 when the output no longer depends on the sample",
        lambda entries: np.minimum(np.sqrt(entries["between_sq"] / entries["total_sq"]), 1.0),
        ("between_sq", "total_sq"),
        group="Rank and variety",
    ),
    Metric(
        "pair_distance",
        "Distance of samples",
        "Euclidean",
        "magnitude",
        "log",
        "finite",
        "mean Euclidean distance of pairs of samples, at most 64 of a batch: 0 where all are alike",
        lambda entries: entries["pair_sum"] / entries["pairs"],
        ("pair_sum", "pairs"),
        group="Rank and variety",
    ),
    Metric(
        "attention_entropy",
        "Attention entropy",
        "share of the largest",
        "fraction",
        "linear",
        "finite",
        "mean over rows of entropy / log of the keys allowed: 1 for uniform attention, 0 for attention to one key",
        lambda entries: entries["entropy"] / entries["entropy_rows"],
        ("entropy", "entropy_rows"),
        group="Rank and variety",
    ),
    Metric(
        "head_diversity",
        "Head diversity",
        "total variation",
        "fraction",
        "linear",
        "finite",
        "mean distance to the other heads' mean maps: 0 where all heads do the same, 1 where they share no key",
        lambda entries: entries["head_distance"] / entries["head_pairs"],
        ("head_distance", "head_pairs"),
        group="Rank and variety",
    ),
    Metric(
        "masked",
        "Masked",
        "share of elements",
        "fraction",
        "linear",
        "all",
        "share that a mask hides, which no other metric counts",
        lambda entries: entries["masked"] / (entries["masked"] + count(entries)),
        ("masked",),
        group="Mask",
    ),
    Metric(
        "minimum",
        "Smallest x",
        "per element",
        "signed",
        "linear",
        "finite",
        "smallest finite element",
        lambda entries: entries["minimum"].astype(np.float64),
        ("minimum",),
        group="Distribution",
    ),
    Metric(
        "maximum",
        "Largest x",
        "per element",
        "signed",
        "linear",
        "finite",
        "largest finite element",
        lambda entries: entries["maximum"].astype(np.float64),
        ("maximum",),
        group="Distribution",
    ),
    *(_share(loss.name, loss.label, loss.meaning, "What a format loses") for loss in LOSSES),
    *(_share(span.name, span.label, f"share of elements with {span.label}", "Shares by exponent") for span in SPANS),
)


def select(names: Sequence[str] | None) -> tuple[Metric, ...]:
    """The metrics ``names`` in the table's order, all for None.

    Raises ValueError on a name that is not in the table, TypeError on a single string.
    """
    if names is None:
        return METRICS
    if isinstance(names, str):
        raise TypeError(f"metrics: expected a list of names, got the string {names!r}: write [{names!r}]")
    known = [metric.name for metric in METRICS]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        came = f"no metric is called {unknown[0]!r}" if unknown else "an empty list came"
        raise ValueError(
            f"metrics: expected names out of {', '.join(known)}, but {came}: drop it or correct its spelling"
        )
    return tuple(metric for metric in METRICS if metric.name in names)


def further_metrics(entries: Collection[str]) -> tuple[Metric, ...]:
    """The metrics that a stream has beside :data:`METRICS` for its ``entries``."""
    return tuple(metric for metric in FURTHER_METRICS if set(metric.needs) <= set(entries))


def compute(entries: Entries, metrics: Sequence[Metric] = METRICS) -> Values:
    """``metrics`` of ``entries [..., node]`` as ``[metric, ..., node]``."""
    defined = {"finite": finite(entries) > 0, "all": entries["count"] > 0}
    values = np.empty((len(metrics), *entries.shape), np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for row, metric in zip(values, metrics, strict=True):
            row[...] = np.where(defined[metric.over], metric.compute(entries), np.nan)
    return values
