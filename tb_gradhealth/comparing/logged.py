"""What two loops logged, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..rows import Floats, Ints
from .difference import LoggedDifference, Setting
from .parting import Figure, Trend
from .rows import Rows

#: Names that are compared, the first ones that come: a loop may invent a name a step.
NAMES = 200
PLANES = ("mean", "min", "max", "total")
#: What the name of a note is told apart from a scalar's by.
NOTE = " (note)"

Read = Callable[[str, Rows], Floats]


class Scalars:
    """Every scalar, and what happened in steps that were not made, over the steps ``[first, end)``."""

    def __init__(self, first: int, end: int, tolerance: float) -> None:
        self._first, self._end, self._tolerance = first, end, tolerance
        self._trend = Trend(first, end)
        self._figures: dict[str, Figure] = {}
        self._seen: tuple[set[str], set[str]] = set(), set()

    def again(self) -> Scalars:
        """The same, before any row."""
        return Scalars(self._first, self._end, self._tolerance)

    def add(self, a: Rows, b: Rows) -> None:
        parts = self._trend.parts(a.start)
        for rows, seen in zip((a, b), self._seen, strict=True):
            seen.update(name for row in rows.scalars for name in row)
        for name in dict.fromkeys(name for rows in (a, b) for row in rows.scalars for name in row):
            self._figure(name, PLANES, a, b, parts, _scalar)
        for kind in dict.fromkeys(note.kind for rows in (a, b) for row in rows.notes for note in row):
            self._figure(kind + NOTE, PLANES[-1:], a, b, parts, _noted)

    def _figure(self, name: str, planes: Sequence[str], a: Rows, b: Rows, parts: Ints, read: Read) -> None:
        if name not in self._figures:
            if len(self._figures) >= NAMES:
                return
            self._figures[name] = Figure(name, "magnitude", planes, 1, self._tolerance)
        mine, theirs = (read(name, rows)[:, :, None] for rows in (a, b))
        self._figures[name].add(a.start, a.stop, a.alone & b.alone, mine, theirs, parts)

    def refine(self, finer: Scalars, between: tuple[int, int]) -> None:
        """Take over where what was logged parts in finer rows of the steps ``between``."""
        for name, figure in finer._figures.items():
            if name in self._figures:
                self._figures[name].refine(figure, between)

    def earliest(self) -> tuple[int, int] | None:
        """The first row in which anything parts."""
        return min((one for figure in self._figures.values() for one in figure.intervals()), default=None)

    def settings(self) -> Iterator[Setting]:
        """Scalars that only one of them logged."""
        for name in self._figures:
            if (name in self._seen[0]) != (name in self._seen[1]):
                yield Setting("logged", "", name, *("logged" if name in seen else None for seen in self._seen))

    def found(self) -> list[LoggedDifference]:
        one_sided = {setting.name for setting in self.settings()}
        apart = [
            LoggedDifference(
                name,
                figure.parting(0),
                float(figure.largest[0]),
                self._trend.shown(None if figure.trend is None else figure.trend[:, 0]),
            )
            for name, figure in self._figures.items()
            if figure.start[0] >= 0 and name not in one_sided
        ]
        return sorted(apart, key=lambda one: one.first.start)


def _scalar(name: str, rows: Rows) -> Floats:
    """``[plane, row]``; NaN where nothing was logged."""
    found = np.full((len(PLANES), len(rows.scalars)), np.nan)
    found[-1] = 0.0
    for place, row in enumerate(rows.scalars):
        if (one := row.get(name)) is not None:
            found[:, place] = one.sum / one.count if one.count else np.nan, one.min, one.max, one.count
    return found


def _noted(name: str, rows: Rows) -> Floats:
    """``[1, row]``: in how many steps it happened."""
    kind = name.removesuffix(NOTE)
    return np.array([[float(sum(note.kind == kind for note in row)) for row in rows.notes]])
