"""Where figures part, and how far, as rows come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..rows import Floats, Ints
from .difference import Parting

Mask: TypeAlias = npt.NDArray[np.bool_]

PLANES = ("mean", "min", "max")
#: Parts of the compared steps that a trend has.
TREND = 24


def relative(a: Floats, b: Floats, kind: str, size: Floats | None) -> Floats:
    """How far ``a`` and ``b`` ``[plane, row, node]`` are apart, in the same shape: 0 where they are equal or both are
    no number, infinite where one is. Of a fraction the difference itself; of a signed figure, which may be near 0 by
    chance, beside the ``size [row, node]`` of what it is the mean of, where that is known; else beside the larger of
    both."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        apart = np.abs(a - b)
        if kind != "fraction":
            largest = np.fmax(np.abs(a), np.abs(b))
            apart = apart / (largest if size is None or kind != "signed" else np.fmax(largest, size))
    apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    return np.where(np.isnan(apart), np.inf, apart)


class Figure:
    """One metric of many nodes, in both runs."""

    def __init__(self, name: str, kind: str, planes: Sequence[str], nodes: int, tolerance: float) -> None:
        self.name, self._kind, self._planes, self._tolerance = name, kind, planes, tolerance
        self.start = np.full(nodes, -1, np.int64)  # of the first row that differs
        self._stop = np.zeros(nodes, np.int64)
        self._plane = np.zeros(nodes, np.intp)
        self._values, self._relative = np.zeros((2, nodes)), np.zeros(nodes)
        self.largest = np.zeros(nodes)
        self.trend: Floats | None = None  # [part, node]; None as long as nothing differs

    def add(
        self, start: Ints, stop: Ints, alone: Mask, a: Floats, b: Floats, parts: Ints, size: Floats | None = None
    ) -> None:
        """``a`` and ``b``: ``[plane, row, node]``; ``parts [row]``: the part of the trend that each row is in; ``size``
        as in :func:`relative`. The mean of a row that is not ``alone``, but made of several, is not compared."""
        if np.array_equal(a.view(np.int64), b.view(np.int64)) or np.array_equal(a, b, equal_nan=True):
            return
        if self._planes[0] == "mean" and not alone.all():
            a = a.copy()
            a[0][~alone] = b[0][~alone]
        apart = relative(a, b, self._kind, size)
        worst = apart.max(axis=0)
        held = worst > self._tolerance
        self.largest = np.maximum(self.largest, worst.max(axis=0))
        if self.trend is None:
            self.trend = np.zeros((TREND, len(self.start)))
        np.maximum.at(self.trend, parts, worst)
        new = np.flatnonzero(held.any(axis=0) & (self.start < 0))
        rows = held.argmax(axis=0)[new]
        self.start[new], self._stop[new] = start[rows], stop[rows]
        self._plane[new] = apart[:, rows, new].argmax(axis=0)
        self._values[:, new] = a[self._plane[new], rows, new], b[self._plane[new], rows, new]
        self._relative[new] = worst[rows, new]

    def intervals(self) -> set[tuple[int, int]]:
        """The rows in which a node parts first."""
        there = self.start >= 0
        return set(zip(self.start[there].tolist(), self._stop[there].tolist(), strict=True))

    def refine(self, finer: Figure, between: tuple[int, int]) -> None:
        """Take over where ``finer`` rows of the steps ``between`` part, for nodes that part there first."""
        here = np.flatnonzero((finer.start >= 0) & (self.start == between[0]))
        for mine, theirs in (
            (self.start, finer.start),
            (self._stop, finer._stop),
            (self._plane, finer._plane),
            (self._relative, finer._relative),
        ):
            mine[here] = theirs[here]
        self._values[:, here] = finer._values[:, here]

    def parting(self, node: int) -> Parting:
        a, b = self._values[:, node].tolist()
        plane = self._planes[int(self._plane[node])]
        return Parting(
            self.name, int(self.start[node]), int(self._stop[node]), plane, a, b, float(self._relative[node])
        )


class Trend:
    """In which of equal parts of the steps ``[first, end)`` a row is."""

    def __init__(self, first: int, end: int) -> None:
        self._first, self._steps = first, max(1, end - first)
        self.seen = np.zeros(TREND, np.bool_)

    def parts(self, start: Ints) -> Ints:
        found: Ints = np.clip(TREND * (start - self._first) // self._steps, 0, TREND - 1)
        self.seen[found] = True
        return found

    def shown(self, values: Floats | None) -> tuple[float, ...]:
        """``values [part]``; where no row began the value of the one before, and NaN before the first."""
        every = np.zeros(TREND) if values is None else values
        latest = np.maximum.accumulate(np.where(self.seen, np.arange(TREND), -1))
        return tuple(np.where(latest >= 0, every[latest], np.nan).tolist())
