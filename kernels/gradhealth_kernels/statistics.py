"""THE table of entries: what one read of a tensor yields, and how two reads combine.

Entries form a commutative monoid: each combines by ``+``, ``min`` or ``max`` and has a neutral element, so chunks
merge into a tensor, shards into a whole tensor and tensors into modules exactly, in any grouping. Every
other room (kernels, rings, rows) iterates over :data:`ENTRIES`; nothing keeps a list of its own.

This module imports numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .exponent_table import LOSSES, SPANS

Combine = Literal["+", "min", "max"]

#: |x| below this is "near zero" (zeros included): the field's "gradient zeros". Absolute, not relative.
NEAR_ZERO = 1e-8

#: |x| at or above this share of the dtype's largest finite value is "saturated": about to overflow.
SATURATED_SHARE = 2.0**-3

# float64 squares overflow above 1e154 and vanish below 1e-162. Blue's three accumulators keep each range in
# one of its own, scaled by a power of two, so that all three still merge by "+". Constants as in LAPACK's
# dnrm2 (E. Anderson, "Algorithm 978: Safe scaling in the level 1 BLAS", ACM TOMS 44(1), 2017).
BIG_FROM = 2.0**486
BIG_SCALE = 2.0**-538
SMALL_BELOW = 2.0**-511
SMALL_SCALE = 2.0**537


@dataclass(frozen=True)
class Entry:
    """One statistic of one tensor. ``neutral`` is what an empty or absent tensor contributes."""

    name: str
    dtype: Literal["int64", "float64"]
    combine: Combine
    unit: str
    meaning: str
    neutral: float = 0


ENTRIES: tuple[Entry, ...] = (
    Entry("count", "int64", "+", "elements", "all elements"),
    Entry("zero", "int64", "+", "elements", "x == 0"),
    Entry("near_zero", "int64", "+", "elements", "|x| < the near-zero threshold, zeros included"),
    Entry("saturated", "int64", "+", "elements", "|x| >= dtype max / 8, both infinities included, NaN not"),
    Entry("nan", "int64", "+", "elements", "x is NaN"),
    Entry("pos_inf", "int64", "+", "elements", "x is +Inf"),
    Entry("neg_inf", "int64", "+", "elements", "x is -Inf"),
    Entry("sum", "float64", "+", "1", "sum of the finite x"),
    Entry("sum_abs", "float64", "+", "1", "sum of the finite |x|"),
    Entry("sum_sq", "float64", "+", "1", "sum of x^2 over finite x in [SMALL_BELOW, BIG_FROM]"),
    Entry("sum_sq_big", "float64", "+", "1", "sum of (x * BIG_SCALE)^2 over finite |x| > BIG_FROM"),
    Entry("sum_sq_small", "float64", "+", "1", "sum of (x * SMALL_SCALE)^2 over |x| < SMALL_BELOW"),
    Entry("abs_max", "float64", "max", "1", "largest finite |x|, 0 when there is none"),
)

#: The entries that a stream has beside those if its tensors' sign matters, as that of activations does.
SIGNED_ENTRIES: tuple[Entry, ...] = (
    Entry("minimum", "float64", "min", "1", "smallest finite x, +Inf when there is none", float("inf")),
    Entry("maximum", "float64", "max", "1", "largest finite x, -Inf when there is none", -float("inf")),
)

#: What a stream may have beside those, of tensors that are seldom looked at. It is worked out by other means than the
#: one read, and merges as all entries do; a stream says which of them it has.
FURTHER_ENTRIES: tuple[Entry, ...] = (
    Entry("weight_sq", "float64", "+", "1", "of an update: sum of the squares of the finite weights before it"),
    Entry("rank", "float64", "+", "1", "participation ratios of matrices, added up"),
    Entry("rank_least", "float64", "min", "1", "the least of them, +Inf when there is none", float("inf")),
    Entry("matrices", "float64", "+", "matrices", "matrices that have one"),
    Entry("rows_total", "float64", "+", "rows", "rows of gradients of matrices"),
    Entry("rows_dead", "float64", "+", "rows", "those among them in which every |x| is below the near-zero threshold"),
    Entry("limited", "float64", "+", "elements", "of activation functions: elements where their gradient vanishes"),
    Entry("limitable", "float64", "+", "elements", "of activation functions where it can: all elements"),
    Entry("units", "float64", "+", "units", "channels or features"),
    Entry("dead_units", "float64", "+", "units", "those that stayed below 1e-6 whenever they were looked at lately"),
    Entry("beyond", "float64", "+", "elements", "|x| > 3, infinities included"),
    Entry("features", "float64", "+", "features", "elements of one sample"),
    Entry("dead_features", "float64", "+", "features", "features with |x| < 1e-8 in all samples of the batch"),
    Entry("between_sq", "float64", "+", "1", "sum of (x - mean over the batch)^2, or of evenly spaced ones"),
    Entry("total_sq", "float64", "+", "1", "sum of x^2 of the same elements, at least 2^-1022"),
    Entry("pair_sum", "float64", "+", "1", "Euclidean distances of pairs of samples, added up"),
    Entry("pairs", "float64", "+", "pairs", "pairs whose distance was looked at"),
    Entry("entropy", "float64", "+", "1", "of rows of attention: entropy / log of the keys allowed, added up"),
    Entry("entropy_rows", "float64", "+", "rows", "rows that have one: those with several keys"),
    Entry("head_distance", "float64", "+", "1", "total variation of a head's mean map to each other's, added up"),
    Entry("head_pairs", "float64", "+", "heads", "heads that it was compared with"),
    Entry("masked", "float64", "+", "elements", "elements that a mask hides, in no other entry"),
    *(Entry(loss.name, "float64", "+", "elements", loss.meaning) for loss in LOSSES),
    *(Entry(span.name, "float64", "+", "elements", span.label) for span in SPANS),
)


def dtype_of(entries: Iterable[Entry]) -> np.dtype[np.void]:
    """One step's entries of one tensor, as a record of eight-byte fields in the order of ``entries``."""
    return np.dtype([(entry.name, entry.dtype) for entry in entries])


ENTRY_DTYPE = dtype_of(ENTRIES)
SIGNED_DTYPE = dtype_of((*ENTRIES, *SIGNED_ENTRIES))

_KNOWN = {entry.name: entry for entry in (*ENTRIES, *SIGNED_ENTRIES, *FURTHER_ENTRIES)}

COUNTS: tuple[str, ...] = tuple(entry.name for entry in ENTRIES if entry.dtype == "int64")

INDEX: dict[str, int] = {entry.name: position for position, entry in enumerate(ENTRIES)}

#: How two arrays of one entry combine.
COMBINE: dict[Combine, np.ufunc] = {"+": np.add, "min": np.minimum, "max": np.maximum}

Entries = npt.NDArray[np.void]
"""An array of records such as :data:`ENTRY_DTYPE`, ``[tensor]`` or ``[step, tensor]``."""


def table(signed: bool, further: Iterable[str] = ()) -> tuple[Entry, ...]:
    """The entries of a stream, in the order of its records; ``further`` names those of :data:`FURTHER_ENTRIES`.

    Raises KeyError for a name that is not in the table.
    """
    return (*ENTRIES, *(SIGNED_ENTRIES if signed else ()), *(_KNOWN[name] for name in further))


def table_of(entries: Entries) -> tuple[Entry, ...]:
    return tuple(_KNOWN[name] for name in entries.dtype.names or ())


def neutral(shape: tuple[int, ...], signed: bool = False) -> Entries:
    """Entries of "nothing measured", in the given shape."""
    return nothing(shape, SIGNED_DTYPE if signed else ENTRY_DTYPE)


def nothing(shape: tuple[int, ...], dtype: np.dtype[np.void]) -> Entries:
    """Entries of "nothing measured" in records of any kind."""
    entries = np.empty(shape, dtype)
    for entry in table_of(entries):
        entries[entry.name] = entry.neutral
    return entries


def merge(entries: Entries, starts: npt.NDArray[np.intp], stops: npt.NDArray[np.intp]) -> Entries:
    """SPACE merge: combine the tensors ``[start, stop)`` of the last axis into one node for each pair.

    ``entries`` is ``[..., tensor]``, the result ``[..., node]``; an empty range gives the neutral element.
    """
    merged = nothing((*entries.shape[:-1], len(starts)), entries.dtype)
    # Most nodes are one tensor, for which reduceat would take ten times as long as a copy.
    single, several = np.flatnonzero(stops == starts + 1), np.flatnonzero(stops > starts + 1)
    padding = nothing((*entries.shape[:-1], 1), entries.dtype)
    bounds = np.stack([starts[several], stops[several]], axis=1).ravel()
    for entry in table_of(entries):
        column = np.concatenate([entries[entry.name], padding[entry.name]], axis=-1)
        merged[entry.name][..., single] = column[..., starts[single]]
        if len(several):
            # Each bound pair yields two segments; the second (from a stop to the next start) is not wanted.
            merged[entry.name][..., several] = COMBINE[entry.combine].reduceat(column, bounds, axis=-1)[..., ::2]
    return merged
