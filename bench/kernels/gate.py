"""The gate: what every quantity must be, from the float64 oracle, and whether a contender's results are that.

Nothing is timed before each contender has passed it on each case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from gradhealth_kernels import figures, reference
from gradhealth_kernels.elements import BITS
from gradhealth_kernels.statistics import ENTRIES, ENTRY_DTYPE, Entries, Entry, merge

if TYPE_CHECKING:
    from .contender import Contender

#: Elements that the oracle widens to float64 at a time: 32 MiB for each of its temporaries.
PIECE = 2**22
#: Differences that are printed of one contender.
SHOWN = 5

Values = npt.NDArray[np.float64]
Results = Mapping[str, Values]
"""Quantity → its values ``[tensor]``, or ``[1]`` for the whole model. Counts are exact in float64 up to 2^53."""


class RedGate(RuntimeError):
    """A contender's results are wrong, so nobody's times mean anything."""


@dataclass(frozen=True)
class Truth:
    """What is right for one case: entries ``[tensor]``, and the sum of a tensor's 32-bit words ``[tensor]``."""

    shapes: Sequence[tuple[int, ...]]
    entries: Entries
    words: Values

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Truth:
        entries = np.array([_entries(tensor) for tensor in tensors], ENTRY_DTYPE)
        words = np.array([_words(tensor) for tensor in tensors], np.float64)
        return cls([tuple(tensor.shape) for tensor in tensors], entries, words)

    def whole(self) -> Entries:
        """Entries ``[1]`` of all tensors together."""
        return merge(self.entries, np.array([0]), np.array([len(self.entries)]))


def _entries(tensor: torch.Tensor) -> np.void:
    pieces = np.array([reference.measure(piece) for piece in torch.split(tensor.view(-1), PIECE)], ENTRY_DTYPE)
    merged: np.void = merge(pieces, np.array([0]), np.array([len(pieces)]))[0]
    return merged


def _words(tensor: torch.Tensor) -> float:
    """The sum modulo 2^32 of the 32-bit words that the tensor lies in, bytes outside it counting as 0."""
    bits = tensor.view(-1).view(BITS[tensor.itemsize])
    if tensor.itemsize == 4:
        return float(sum(int(piece.sum(dtype=torch.int64)) for piece in torch.split(bits, PIECE)) % 2**32)
    # The lower half of each word first: in a little-endian machine that at the lower address.
    low = tensor.data_ptr() // 2 % 2
    halves = [sum(_unsigned(piece) for piece in torch.split(bits[first::2], PIECE)) for first in (low, 1 - low)]
    return float((halves[0] + 2**16 * halves[1]) % 2**32)


def _unsigned(bits: torch.Tensor) -> int:
    return int((bits.long() & 0xFFFF).sum())


def _poison(entries: Entries, signed: bool) -> Values:
    """What NaN and infinities make of a sum of all elements, or of all magnitudes: NaN, an infinity, or 0."""
    positive, negative = (np.where(entries[name] > 0, np.inf, 0.0) for name in ("pos_inf", "neg_inf"))
    with np.errstate(invalid="ignore"):
        infinite = positive - negative if signed else positive + negative
    poison: Values = np.where(entries["nan"] > 0, np.nan, infinite)
    return poison


def _entry(entry: Entry) -> Callable[[Entries], tuple[Values, Values]]:
    exact = entry.dtype == "int64" or entry.combine != "+"

    def expected(entries: Entries) -> tuple[Values, Values]:
        values = entries[entry.name].astype(np.float64)
        terms = np.zeros_like(values) if exact else entries["sum_abs"] if entry.name == "sum" else values
        return values, terms

    return expected


def _total(entries: Entries) -> tuple[Values, Values]:
    return entries["sum"] + _poison(entries, signed=True), entries["sum_abs"]


def _of_magnitudes(finite: Callable[[Entries], Values]) -> Callable[[Entries], tuple[Values, Values]]:
    def expected(entries: Entries) -> tuple[Values, Values]:
        values = finite(entries)
        return values + _poison(entries, signed=False), values

    return expected


def _exact(finite: Callable[[Entries], Values]) -> Callable[[Entries], tuple[Values, Values]]:
    return lambda entries: (finite(entries), np.zeros(len(entries)))


#: Quantity → (its value, the size of the terms that were added, 0 where it must be exact) from the true entries.
#: Those named after entries are over the finite elements, the others over all of them, as IEEE arithmetic has it.
QUANTITIES: dict[str, Callable[[Entries], tuple[Values, Values]]] = {
    **{entry.name: _entry(entry) for entry in ENTRIES},
    "total": _total,
    "total_abs": _of_magnitudes(lambda entries: entries["sum_abs"]),
    "total_sq": _of_magnitudes(lambda entries: figures.norm(entries) ** 2),
    "norm": _of_magnitudes(figures.norm),
    "largest": _exact(lambda entries: entries["abs_max"] + _poison(entries, signed=False)),
    "inf": _exact(lambda entries: (entries["pos_inf"] + entries["neg_inf"]).astype(np.float64)),
}


def expected(quantity: str, truth: Truth, whole: bool) -> tuple[Values, Values]:
    if quantity == "words":
        return truth.words, np.zeros_like(truth.words)
    return QUANTITIES[quantity](truth.whole() if whole else truth.entries)


def check(contender: Contender, results: Results, truth: Truth) -> float:
    """The largest error, relative to the terms that were added; 0 if all that must be exact is all there is.

    Raises RedGate, which says what differs.
    """
    if set(results) != set(contender.quantities):
        raise RedGate(f"expected {', '.join(contender.quantities)}, got {', '.join(results)}")
    errors, problems = [0.0], []
    for quantity, got in results.items():
        right, terms = expected(quantity, truth, contender.whole)
        if got.shape != right.shape:
            raise RedGate(f"{quantity}: expected {len(right)} values, got an array of shape {got.shape}")
        same = (got == right) | (np.isnan(got) & np.isnan(right))
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(same, 0.0, np.abs(got - right) / terms)
        # NaN: an infinity or a NaN on one side alone.
        for index in np.flatnonzero(~(error <= contender.tolerance)).tolist():
            where = "the whole model" if contender.whole else f"tensor {index} of shape {truth.shapes[index]}"
            problems.append(f"{quantity} of {where}: expected {float(right[index])!r}, got {float(got[index])!r}")
        errors.append(float(np.max(error, initial=0.0)))
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise RedGate("; ".join([*problems[:SHOWN], *more]))
    return max(errors)
