"""How well a judge did: what it found in sick runs, when and where, and what it said of healthy ones."""

from __future__ import annotations

import math
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .judges.judge import SEVERITIES, Alarm, Judge, opened
from .labels import Label
from .making import Run
from .pathologies import PATHOLOGIES, Level, Pathology

NOTHING = "nothing"
_RANK: dict[Level, int] = {"gradients": 0, "weights": 1, "all": 2}


@dataclass(frozen=True)
class Share:
    """``some`` of ``all``, with the interval of Wilson's score test at 95 % (E. B. Wilson, "Probable inference, the law
    of succession, and statistical inference", JASA 22, 1927)."""

    some: int
    all: int

    @property
    def value(self) -> float:
        return self.some / self.all if self.all else math.nan

    @property
    def bounds(self) -> tuple[float, float]:
        if not self.all:
            return 0.0, 1.0
        z, n, share = 1.959964, self.all, self.value
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        if not self.all:
            return "–"
        low, high = self.bounds
        return f"{100 * self.value:.1f} % ({100 * low:.0f}…{100 * high:.0f}) of {self.all}"


@dataclass(frozen=True)
class Judged:
    """A sick or healthy run and what a judge said of it; ``alarms`` are those that could be said after the onset."""

    label: Label
    alarms: tuple[Alarm, ...]
    early: tuple[Alarm, ...]
    seconds: float

    @property
    def pathology(self) -> Pathology:
        assert self.label.pathology is not None
        return PATHOLOGIES[self.label.pathology]

    @property
    def loud(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms if alarm.severity != "notice"]

    @property
    def right(self) -> list[Alarm]:
        """Alarms of a right type, in the judge's order; notices are none."""
        return [alarm for alarm in self.loud if alarm.type in self.pathology.types]

    @property
    def delay(self) -> int:
        """Steps from the onset to the first right alarm."""
        return max(0, min(alarm.detected for alarm in self.right) - self.label.onset_step)

    def names_cause(self, most: int) -> bool:
        """Whether one of the first causes of the first right alarm is what was put in."""
        cause = self.pathology.cause
        return cause is not None and any(re.search(cause, named.lower()) for named in self.right[0].causes[:most])

    def identifiable(self, level: Level) -> bool:
        seen = self.pathology.seen
        return seen is not None and _RANK[seen] <= _RANK[level]


@dataclass
class Score:
    """Of one judge at one level. Recall counts runs whose pathology the level shows, ``overall`` all sick ones."""

    level: Level
    recall: Share
    critical: Share
    overall: Share
    grave_false: Share  # healthy runs with a critical or high alarm
    false: Share  # with any but notices
    noticed: Share  # with any at all
    early: Share  # sick runs with an alarm before there was anything to find
    first: Share  # localisation, of runs found whose fault is in a node
    three: Share
    cause: Share  # of runs found where causes are named: the first one
    causes: Share  # one of the first three
    delays: dict[str, tuple[float, float, float, float]]  # onset → median, p90 in steps, the same in rows
    each_step: dict[str, tuple[float, float, float, float]]  # the same of runs with a row for each step
    confusion: dict[str, dict[str, int]]  # textbook type → type of the worst alarm
    missed: list[str] = field(default_factory=list)
    alarmed: list[str] = field(default_factory=list)
    by_pathology: dict[str, Share] = field(default_factory=dict)
    by_habit: dict[str, Share] = field(default_factory=dict)  # healthy runs with any alarm but notices
    per_healthy: dict[str, float] = field(default_factory=dict)  # severity → alarms in a healthy run, in the mean
    milliseconds: float = 0.0  # median of a run


def judge_all(runs: Sequence[Run], judge: Judge, level: Level, tell: Callable[[str], None]) -> list[Judged]:
    """What ``judge`` says of every sick and healthy run."""
    found = []
    for run in runs:
        if run.label.verdict == "neither":
            continue
        tell(run.label.name)
        seen = opened(run.folder, level)
        began = time.thread_time()
        alarms = judge(seen)
        seconds = time.thread_time() - began
        # A row that a fault comes in may be told by its first step.
        known = run.label.onset_step - run.label.every + 1 if run.label.verdict == "sick" else 0
        late = tuple(alarm for alarm in alarms if alarm.detected >= known)
        found.append(Judged(run.label, late, tuple(alarm for alarm in alarms if alarm.detected < known), seconds))
    return found


def score(judged: Sequence[Judged], level: Level) -> Score:
    sick = [one for one in judged if one.label.verdict == "sick"]
    healthy = [one for one in judged if one.label.verdict == "healthy"]
    shown = [one for one in sick if one.identifiable(level)]
    found = [one for one in shown if one.right]
    placed = [one for one in found if one.label.nodes]
    named = [one for one in found if one.right[0].causes and one.pathology.cause]
    kinds = sorted({one.label.pathology or "" for one in sick})
    return Score(
        level,
        recall=_share(shown, lambda one: bool(one.right)),
        critical=_share([one for one in shown if one.pathology.critical], lambda one: bool(one.right)),
        overall=_share(sick, lambda one: bool(one.right)),
        grave_false=_share(healthy, lambda one: any(alarm.severity in ("critical", "high") for alarm in one.alarms)),
        false=_share(healthy, lambda one: bool(one.loud)),
        noticed=_share(healthy, lambda one: bool(one.alarms)),
        early=_share(sick, lambda one: any(alarm.severity != "notice" for alarm in one.early)),
        first=_share(placed, lambda one: _at(one.right[0].node, one.label.nodes)),
        three=_share(placed, lambda one: any(_at(alarm.node, one.label.nodes) for alarm in one.right[:3])),
        cause=_share(named, lambda one: one.names_cause(1)),
        causes=_share(named, lambda one: one.names_cause(3)),
        delays=_by_onset(found),
        each_step=_by_onset([one for one in found if one.label.every == 1]),
        confusion=_confusion(sick),
        missed=[one.label.name for one in shown if not one.right],
        alarmed=[f"{one.label.name}: {_told(one.loud)}" for one in healthy if one.loud],
        by_pathology={
            kind: _share([one for one in sick if one.label.pathology == kind], lambda one: bool(one.right))
            for kind in kinds
        },
        by_habit={
            habit: _share([one for one in healthy if one.label.habit == habit], lambda one: bool(one.loud))
            for habit in sorted({one.label.habit for one in healthy})
        },
        per_healthy={
            severity: statistics.fmean(sum(alarm.severity == severity for alarm in one.alarms) for one in healthy)
            for severity in SEVERITIES
            if healthy
        },
        milliseconds=1e3 * statistics.median([one.seconds for one in judged]) if judged else math.nan,
    )


ONSETS = ("start", "sudden", "progressive")


def _share(some: Sequence[Judged], holds: Callable[[Judged], bool]) -> Share:
    return Share(sum(holds(one) for one in some), len(some))


def _at(node: str, nodes: Sequence[str]) -> bool:
    """Whether a node is one of ``nodes``, inside one or around one. The whole model is around everything and so says
    nothing."""
    return bool(node) and any(node == one or node.startswith(f"{one}.") or one.startswith(f"{node}.") for one in nodes)


def _by_onset(found: Sequence[Judged]) -> dict[str, tuple[float, float, float, float]]:
    return {onset: _delays([one for one in found if one.label.onset == onset]) for onset in ONSETS}


def _delays(found: Sequence[Judged]) -> tuple[float, float, float, float]:
    steps = sorted(one.delay for one in found)
    rows = sorted(one.delay / one.label.every for one in found)
    return _at_share(steps, 0.5), _at_share(steps, 0.9), _at_share(rows, 0.5), _at_share(rows, 0.9)


def _at_share(ordered: Sequence[float], share: float) -> float:
    """The least value that so large a share does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _confusion(sick: Sequence[Judged]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in sick:
        worst = one.loud[0].type if one.loud else NOTHING
        found.setdefault(one.pathology.types[0], Counter())[worst] += 1
    return {kind: dict(row) for kind, row in found.items()}  # asdict() makes no Counter of a Counter


def _told(alarms: Sequence[Alarm]) -> str:
    return ", ".join(f"{alarm.severity} {alarm.type} {alarm.node or 'model'} at {alarm.detected}" for alarm in alarms)
