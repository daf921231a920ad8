"""The exponent histogram: how many elements of a tensor have which floor(log2 |x|), and what another format would lose.

A bin is one value of float32's eight exponent bits, so the bin of an element is cut out of its bit pattern. The first
bin holds all that is smaller than float32's normal numbers, the last one all that is larger, which only float64 has.
Zeros, NaN and infinities are in no bin: the entries count them. Histograms of parts add up to that of the whole.

Thresholds that are powers of two from 2^-126 to 2^128 fall between bins, so shares on either side are exact: those
that a format holds without its full precision, and those that float16 and FP8 round to zero. The largest value of a
format lies within a bin, as does what bfloat16 rounds to zero: their shares are bounded by that bin's.

This module imports numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 256
#: Bin ``b`` holds ``EDGES[b] <= |x| < EDGES[b + 1]``, without 0.
EDGES: npt.NDArray[np.float64] = np.array([0.0, *(2.0**exponent for exponent in range(-126, 129)), np.inf])

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """Magnitudes that a number format holds: the smallest normal, the smallest subnormal and the largest finite one.

    Below ``normal`` precision is lost. A cast to the nearest number leaves nothing below ``subnormal / 2``, and
    overflows or saturates from the middle between ``largest`` and its successor, had it one, on.
    """

    name: str
    normal: float
    subnormal: float
    largest: float


#: Named as in torch. FP8 is that of P. Micikevicius et al., "FP8 Formats for Deep Learning", arXiv:2209.05433, table 1.
FORMATS: tuple[Format, ...] = (
    Format("float16", 2.0**-14, 2.0**-24, 65504.0),
    Format("bfloat16", 2.0**-126, 2.0**-133, 2.0**128 - 2.0**120),
    Format("float8_e4m3fn", 2.0**-6, 2.0**-9, 448.0),
    Format("float8_e5m2", 2.0**-14, 2.0**-16, 57344.0),
)


def share_below(counts: Counts, magnitude: float) -> tuple[Shares, Shares]:
    """The share of |x| < ``magnitude`` as (at least, at most), which are equal for a magnitude between two bins.

    ``counts`` is ``[..., bin]``, each bound ``[...]``: a share of the elements in all bins, NaN where there are none.
    """
    return _share(counts, EDGES[1:] <= magnitude), _share(counts, EDGES[:-1] < magnitude)


def share_from(counts: Counts, magnitude: float) -> tuple[Shares, Shares]:
    """The share of |x| >= ``magnitude``, in the manner of :func:`share_below`."""
    return _share(counts, EDGES[:-1] >= magnitude), _share(counts, EDGES[1:] > magnitude)


def _share(counts: Counts, chosen: npt.NDArray[np.bool_]) -> Shares:
    with np.errstate(invalid="ignore"):
        share: Shares = counts[..., chosen].sum(axis=-1) / counts.sum(axis=-1)
    return share
