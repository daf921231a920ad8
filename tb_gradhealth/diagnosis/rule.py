"""What a rule is: a declaration, and a function that looks at one row after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

import numpy as np

from ..rows import Floats, Ints
from .finding import SEVERITIES, Evidence, Severity
from .memory import Held, Mask, Memory
from .signals import Signals

T = TypeVar("T")

#: Of the nodes that a rule finds in one row, the first so many are told.
MOST_HITS = 8


@dataclass(frozen=True)
class Cause:
    """``seen_with``: types of findings beside which this cause is the likelier one."""

    text: str
    seen_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hit:
    """A rule's evidence holds in this row for ``node``, and has since step ``since``. What is None is the rule's."""

    node: str
    since: int
    evidence: tuple[Evidence, ...]
    severity: Severity | None = None
    type: str | None = None
    innocent: str | None = None


class View:
    """What a rule sees: the row that came last with all that is known of the run, as ``now``; its own memory; and its
    thresholds, as ``view["name"]``."""

    def __init__(
        self,
        now: Signals,
        memory: Memory,
        thresholds: Mapping[str, float],
        patterns: Mapping[str, Mapping[str, float]],
    ) -> None:
        self.now = now
        self._memory, self._thresholds, self._patterns = memory, thresholds, patterns
        self._by_node: dict[tuple[str, int], tuple[object, Floats]] = {}

    def __getitem__(self, threshold: str) -> float:
        return self._thresholds[threshold]

    def by_node(self, threshold: str, names: tuple[str, ...]) -> Floats:
        """A threshold for each of ``names``: that of the last pattern in the settings that fits it, else the rule's."""
        known = self._by_node.get((threshold, id(names)))
        if known is None or known[0] is not names:
            found = np.full(len(names), self[threshold])
            for pattern, values in self._patterns.items():
                if threshold in values:
                    found[[place for place, name in enumerate(names) if fnmatchcase(name, pattern)]] = values[threshold]
            known = self._by_node[threshold, id(names)] = names, found
        return known[1]

    def held(self, name: str, holds: Mask, steps: float, share: float = 1.0) -> Held:
        """For each node whether ``holds`` is true, and was in a ``share`` of the last ``steps`` steps."""
        return self._memory.held(name, holds, self.now.start, steps, share)

    def lasted(self, name: str, holds: bool, steps: int, share: float = 1.0) -> int | None:
        """The same for one condition: the first step of its hold, None while it does not."""
        return self._memory.lasted(name, bool(holds), self.now.start, steps, share)

    def recent(self, name: str, value: float | Floats, steps: int) -> Floats:
        """The values of the last ``steps`` steps, ``[row]`` or ``[row, node]``, the oldest first."""
        return self._memory.recent(name, value, steps)

    def once(self, name: str, make: Callable[[], T], fits: object = None) -> T:
        """What ``make`` makes, kept from row to row; made anew for another ``fits``."""
        return self._memory.keep(name, make, fits)

    @property
    def spacing(self) -> int:
        """Steps from the row before that this rule looked at."""
        return self._memory.spacing


Look = Callable[[View], "Iterable[Hit]"]


@dataclass(frozen=True)
class Rule:
    """``needs``: streams with the metrics that are read of them; a row without one of these streams is passed over.
    ``uses`` is looked at where it is there. ``logged``: scalars, "loss" for any name that a loss goes by. A rule that
    looks ``always`` also sees rows in which nothing is finite, where no other tells anything."""

    name: str
    type: str
    severity: Severity
    look: Look
    needs: Mapping[str, tuple[str, ...]]
    causes: tuple[Cause, ...]
    actions: tuple[str, ...]
    innocent: str
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logged: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    patterns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    always: bool = False

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"rule {self.name}: severity: expected one of {', '.join(SEVERITIES)}, got {self.severity!r}"
            )

    def with_settings(
        self, thresholds: Mapping[str, float], patterns: Mapping[str, Mapping[str, float]], severity: Severity | None
    ) -> Rule:
        return replace(
            self,
            thresholds={**self.thresholds, **thresholds},
            patterns={**self.patterns, **patterns},
            severity=severity or self.severity,
        )


def evidence(what: str, value: float, baseline: float = np.nan, unit: str = "") -> tuple[Evidence, ...]:
    return (Evidence(what, float(value), float(baseline), unit),)


def hits(
    names: tuple[str, ...],
    held: Held | tuple[Mask, Ints],
    tell: Callable[[int], tuple[Evidence, ...]],
    severity: Callable[[int], Severity | None] = lambda place: None,
) -> list[Hit]:
    """One hit for each node that it held for, at most :data:`MOST_HITS`."""
    now, since = held
    if not np.count_nonzero(now):
        return []
    return [
        Hit(names[place], int(since[place]), tell(place), severity(place))
        for place in np.flatnonzero(now)[:MOST_HITS].tolist()
    ]
