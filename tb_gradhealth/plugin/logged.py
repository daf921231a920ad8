"""What a training loop logs: which of it is a loss, which a learning rate, and what is shown of it, in cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np

from ..rows import Floats
from ..store.cells import Grid
from ..store.scalars import Scalar

Kind = Literal["loss", "rate", "other"]
KINDS: tuple[Kind, ...] = ("loss", "rate", "other")
#: Names that are shown of each kind, the first ones that come: a loop may invent a name a step.
MAX_NAMES = 12

#: loss, val_loss, train/loss, Loss/train, trainLoss.
_LOSS = re.compile(r"loss(?:\Z|/)", re.IGNORECASE)
#: lr, train/lr, lr/encoder, lr-Adam (Lightning's), learning_rate (Transformers'), train/learning rate, base_lr.
_RATE = re.compile(r"(?:\A|[^a-z])(?:lr|learning[_ -]?rate)(?:\Z|[^a-z])", re.IGNORECASE)


def kind(name: str) -> Kind:
    """What the scalar ``name`` is, as far as its name tells."""
    return "loss" if _LOSS.search(name) else "rate" if _RATE.search(name) else "other"


def mean(one: Scalar) -> float:
    return one.sum / one.count if one.count else math.nan


def few(scalars: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """At most :data:`MAX_NAMES` of each kind, by kind."""
    left, chosen = Counter(dict.fromkeys(KINDS, MAX_NAMES)), []
    for name in scalars:
        one = kind(name)
        if left[one] > 0:
            left[one] -= 1
            chosen.append(name)
    return {name: scalars[name] for name in sorted(chosen, key=lambda name: KINDS.index(kind(name)))}


class Curve:
    """A scalar in the cells of a grid."""

    def __init__(self, grid: Grid) -> None:
        # As floats: a count in a file may be any of 64 bits.
        self.count, self._sum = np.zeros(grid.count), np.zeros(grid.count)
        self.min, self.max = np.full(grid.count, np.nan), np.full(grid.count, np.nan)

    def add(self, first: int, last: int, one: Scalar) -> None:
        """What was logged during a row, which touches the cells ``[first, last]``."""
        cells = slice(first, last + 1)
        self.count[cells] += one.count
        with np.errstate(invalid="ignore", over="ignore"):
            self._sum[cells] += one.sum
        self.min[cells] = np.fmin(self.min[cells], one.min)
        self.max[cells] = np.fmax(self.max[cells], one.max)

    @property
    def mean(self) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            average: Floats = self._sum / self.count
        return average


class Curves:
    """The curves of all that was logged, by kind; names beyond :data:`MAX_NAMES` of a kind are left out."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._found: dict[Kind, dict[str, Curve]] = {one: {} for one in KINDS}
        self._kinds: dict[str, Kind] = {}

    def add(self, start: int, stop: int, scalars: Mapping[str, Scalar]) -> None:
        """What was logged during a row of the steps ``[start, stop)``."""
        grid = self._grid
        first = max(0, (start - grid.begin) // grid.width)
        last = min(grid.count - 1, (stop - 1 - grid.begin) // grid.width)
        for name, one in scalars.items():
            of_kind = self._found[kind(name)]
            if name not in of_kind:
                if len(of_kind) == MAX_NAMES:
                    continue
                of_kind[name] = Curve(grid)
            of_kind[name].add(first, last, one)

    def items(self) -> list[tuple[Kind, str, Curve]]:
        return [(one, name, curve) for one, curves in self._found.items() for name, curve in curves.items()]
