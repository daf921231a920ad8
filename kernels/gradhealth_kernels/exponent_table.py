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

import itertools
import math
import re
from collections.abc import Sequence
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
    overflows or saturates from the middle between ``largest`` and its successor, had it one, on. ``short`` is what its
    entries and metrics end with, ``label`` its name for people.
    """

    name: str
    short: str
    label: str
    normal: float
    subnormal: float
    largest: float

    @property
    def zero(self) -> int:
        """A cast leaves nothing below this power of two."""
        return round(math.log2(self.subnormal / 2))


#: Named as in torch. FP8 is that of P. Micikevicius et al., "FP8 Formats for Deep Learning", arXiv:2209.05433, table 1.
FORMATS: tuple[Format, ...] = (
    Format("float16", "fp16", "FP16", 2.0**-14, 2.0**-24, 65504.0),
    Format("bfloat16", "bf16", "BF16", 2.0**-126, 2.0**-133, 2.0**128 - 2.0**120),
    Format("float8_e4m3fn", "e4m3", "FP8 E4M3", 2.0**-6, 2.0**-9, 448.0),
    Format("float8_e5m2", "e5m2", "FP8 E5M2", 2.0**-14, 2.0**-16, 57344.0),
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


@dataclass(frozen=True)
class Loss:
    """What a cast to a format does to elements in ``chosen [bin]``; ``name`` is that of an entry and a metric."""

    name: str
    label: str
    meaning: str
    chosen: npt.NDArray[np.bool_]


def _losses() -> tuple[Loss, ...]:
    found = []
    for form in FORMATS:
        short, title, zero, normal = form.short, form.label, form.zero, round(math.log2(form.normal))
        above = math.ceil(math.log2(form.largest))
        # Of bfloat16 that is all of float32's subnormal numbers, which most devices take for zeros anyway.
        flushed = EDGES[:-1] < form.subnormal / 2
        lost = f"0 < |x| < 2^{zero if zero > -126 else -126}: share that a cast to {form.name} rounds to zero"
        found += [
            Loss(f"underflow_{short}", f"Underflow in {title}", lost, flushed),
            Loss(
                f"subnormal_{short}",
                f"Subnormal in {title}",
                f"0 < |x| < 2^{normal}: share below the smallest normal {form.name}: less precise, or zero",
                EDGES[1:] <= form.normal,
            ),
            Loss(
                f"overflow_{short}",
                f"Overflow in {title}",
                f"finite |x| >= 2^{above}: share above the largest {form.name} ({form.largest:g}), not counting what "
                "lies between that and the next power of two",
                EDGES[:-1] >= form.largest,
            ),
        ]
    return tuple(found)


#: Shares that rows keep, each of all elements.
LOSSES = _losses()


@dataclass(frozen=True)
class Span:
    """Magnitudes ``2**low <= |x| < 2**high``, whose share rows keep; ``name`` is that of an entry and a metric."""

    name: str
    low: float
    high: float

    @property
    def label(self) -> str:
        if self.low == -math.inf:
            return f"0 < |x| < 2^{self.high:g}"
        return f"|x| >= 2^{self.low:g}" if self.high == math.inf else f"2^{self.low:g} <= |x| < 2^{self.high:g}"

    @property
    def chosen(self) -> npt.NDArray[np.bool_]:
        """The bins ``[bin]`` inside."""
        low = 0.0 if self.low == -math.inf else 2.0**self.low
        inside: npt.NDArray[np.bool_] = (EDGES[:-1] >= low) & (EDGES[1:] <= 2.0**self.high)
        return inside


#: Exponents between the spans. Of a small transformer's gradients, spans 8, 4, 2 and 1 wide take 7, 12, 22 and 40 bytes
#: a node and row in the archive, the shares above 11, and all that is known of the gradients themselves 34.
SPAN_EDGES: tuple[float, ...] = (-math.inf, *range(-64, 33, 2), math.inf)
_SPAN = re.compile(r"exponent_(-inf|-?\d{1,4})_(inf|-?\d{1,4})")


def span_of(name: str) -> Span | None:
    """The span that a metric of a file is of, by its name."""
    match = _SPAN.fullmatch(name)
    return None if match is None else Span(name, float(match[1]), float(match[2]))


def spans_of(names: Sequence[str]) -> list[Span]:
    """Those among the metrics of a file, ascending."""
    return sorted((span for span in map(span_of, names) if span is not None), key=lambda span: span.low)


SPANS = tuple(Span(f"exponent_{low:g}_{high:g}", low, high) for low, high in itertools.pairwise(SPAN_EDGES))
