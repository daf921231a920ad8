"""What a rule remembers of earlier rows, in bounded memory: how long something held, recent values, references.

Durations are given in steps and turned into rows: a rule means the same at every length of a row.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..rows import Floats, Ints

Mask = npt.NDArray[np.bool_]

#: Values kept of a history of any length.
KEPT = 64
#: What a duration of several steps takes at least: a single sample is no habit.
LEAST_ROWS = 2
#: Rows that are kept of any duration.
MOST_ROWS = 1024

#: Gaps between rows of which the usual one is taken.
GAPS = 8

T = TypeVar("T")


def rows(steps: float, spacing: int) -> int:
    """Rows ``spacing`` steps apart that show ``steps`` steps."""
    return min(MOST_ROWS, max(LEAST_ROWS if steps > 1 else 1, math.ceil(steps / spacing)))


class Held(NamedTuple):
    """``now [node]``: it has held for long enough, and does; ``since [node]``: the first step of that."""

    now: Mask
    since: Ints

    @property
    def anywhere(self) -> bool:
        return bool(np.count_nonzero(self.now))

    @property
    def first(self) -> int:
        """The first node, where there is one."""
        return int(self.now.argmax())

    def places(self) -> list[int]:
        return places(self.now)


def places(holds: Mask) -> list[int]:
    """Those of the nodes for which something holds, which is none as a rule."""
    return holds.nonzero()[0].tolist() if np.count_nonzero(holds) else []


class Holding:
    """Whether a condition of each node held in a share of the last rows."""

    def __init__(self, spacing: int, steps: float, nodes: int, share: float) -> None:
        self.spacing, self.nodes = spacing, nodes
        count = rows(steps, spacing)
        self._seen = np.zeros((count, nodes), np.bool_)
        self._steps = np.zeros(count, np.int64)
        self._count = np.zeros(nodes, np.int64)
        self._needed = max(1, math.ceil(share * count))
        self._taken, self._idle = 0, count  # rows, and those of them on end in which it held nowhere
        self._nowhere = Held(np.zeros(nodes, np.bool_), self._count)

    def add(self, step: int, holds: Mask) -> Held:
        if np.count_nonzero(holds):
            self._idle = 0
        elif self._idle == len(self._steps):  # nearly always: there is nothing to count, and nothing to forget
            return self._nowhere
        else:
            self._idle += 1
        place = self._taken % len(self._steps)
        self._count += holds
        self._count -= self._seen[place]
        self._seen[place], self._steps[place] = holds, step
        self._taken += 1
        now = holds & (self._count >= self._needed)
        if not np.count_nonzero(now):
            return self._nowhere
        since = np.full(len(holds), step, np.int64)
        if self._needed == len(self._steps):  # it held in all of them
            since[now] = self._steps[self._taken % len(self._steps)]
        else:
            order = (np.arange(len(self._steps)) + place + 1) % len(self._steps)  # the oldest first
            first = self._seen[np.ix_(order, np.flatnonzero(now))].argmax(axis=0)
            since[now] = self._steps[order][first]
        return Held(now, since)


class Lasting:
    """The same for one condition, with less to do."""

    def __init__(self, spacing: int, steps: float, share: float) -> None:
        self.spacing = spacing
        count = rows(steps, spacing)
        self._seen: deque[tuple[int, bool]] = deque(maxlen=count)
        self._needed, self._count = max(1, math.ceil(share * count)), 0

    def add(self, step: int, holds: bool) -> int | None:
        """The first step of its hold, None while it does not."""
        if len(self._seen) == self._seen.maxlen:
            self._count -= self._seen[0][1]
        self._seen.append((step, holds))
        self._count += holds
        if not holds or self._count < self._needed:
            return None
        return next(seen for seen, held in self._seen if held)


class Recent:
    """The last values, scalars or ``[node]``."""

    def __init__(self, spacing: int, steps: float, shape: tuple[int, ...]) -> None:
        self.spacing, self.shape = spacing, shape
        self._rows, self._taken = rows(steps, spacing), 0
        # Each value twice, so that any so many on end lie together.
        self._values = np.full((2 * self._rows, *shape), np.nan)

    def add(self, value: float | Floats) -> Floats:
        """``[row, ...]``, the oldest first; fewer than asked for as long as there are no more."""
        place = self._taken % self._rows
        self._values[place] = self._values[place + self._rows] = value
        self._taken += 1
        first = place + self._rows + 1 - min(self._taken, self._rows)
        return self._values[first : place + self._rows + 1]


class Past:
    """A history of any length in at most :data:`KEPT` evenly spaced values."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._sorted: list[float] = []
        self._every, self._taken = 1, 0

    def add(self, value: float) -> None:
        if self._taken % self._every == 0 and math.isfinite(value):
            self._values.append(value)
            insort(self._sorted, value)
            if len(self._values) > KEPT:
                self._values, self._every = self._values[::2], 2 * self._every
                self._sorted = sorted(self._values)
        self._taken += 1

    def back(self, share: float) -> float:
        """The value before the last ``share`` of all that there were; NaN where there was none."""
        return self._values[-1 - int(share * len(self._values))] if self._values else math.nan

    def median(self) -> float:
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else math.nan


class Spacing:
    """Steps from row to row, as usual lately: a single short row, as at the end of a session, changes nothing."""

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=GAPS)
        self._last: int | None = None
        self._usual = 1

    def add(self, start: int, stop: int) -> int:
        """Behind one more row, ``[start, stop)``."""
        if self._last is None:
            self._usual = max(1, stop - start)
        else:
            gap = max(1, start - self._last)
            self._gaps.append(gap)
            if gap != self._usual:
                self._usual = sorted(self._gaps)[(len(self._gaps) - 1) // 2]
        self._last = start
        return self._usual


class Memory:
    """Everything that one rule remembers, by names that it chooses. ``spacing``: steps from row to row."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, object]] = {}
        self._holding: dict[str, Holding] = {}
        self._lasting: dict[str, Lasting] = {}
        self._recent: dict[str, Recent] = {}
        self.spacing = 1

    def keep(self, name: str, make: Callable[[], T], fits: object = None) -> T:
        """The object called ``name``, made when it is first asked for, and anew for another ``fits``."""
        known = self._kept.get(name)
        if known is None or known[0] != fits:
            known = self._kept[name] = fits, make()
        return cast(T, known[1])

    def held(self, name: str, holds: Mask, step: int, steps: float, share: float = 1.0) -> Held:
        known = self._holding.get(name)
        if known is None or known.spacing != self.spacing or known.nodes != len(holds):
            known = self._holding[name] = Holding(self.spacing, steps, len(holds), share)
        return known.add(step, holds)

    def lasted(self, name: str, holds: bool, step: int, steps: float, share: float = 1.0) -> int | None:
        known = self._lasting.get(name)
        if known is None or known.spacing != self.spacing:
            known = self._lasting[name] = Lasting(self.spacing, steps, share)
        return known.add(step, holds)

    def recent(self, name: str, value: float | Floats, steps: int) -> Floats:
        """``[row, ...]``, the values of the last ``steps`` steps, this one's included."""
        shape = value.shape if isinstance(value, np.ndarray) else ()
        known = self._recent.get(name)
        if known is None or known.spacing != self.spacing or known.shape != shape:
            known = self._recent[name] = Recent(self.spacing, steps, shape)
        return known.add(value)


def median(values: Floats) -> float:
    """The lower median of those that are not NaN: of two values the smaller, so that one large one does not count."""
    known: list[float] = sorted(value for value in values.tolist() if value == value)
    return known[(len(known) - 1) // 2] if known else math.nan


def middle(values: Floats) -> float:
    """The median of those that are not NaN, as ``np.nanmedian`` has it in ten times the time."""
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan
    upper, is_odd = len(known) // 2, len(known) % 2
    if is_odd:
        return float(np.partition(known, upper)[upper])
    around = np.partition(known, (upper - 1, upper))
    return float((around[upper - 1] + around[upper]) / 2)


def smaller(one: float, other: float) -> float:
    """Of two figures; the known one where the other is NaN."""
    return other if one != one or other < one else one


def larger(one: float, other: float) -> float:
    return other if one != one or other > one else one
