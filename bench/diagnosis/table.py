"""What came out, for the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from .judges.judge import SEVERITIES, TITLES
from .making import Run
from .pathologies import PATHOLOGIES, Level
from .scoring import NOTHING, ONSETS, Score, Share

_VERDICTS = ("sick", "healthy", "neither")


def show_labels(runs: Sequence[Run]) -> None:
    """How many runs are what, by architecture, by what was put in, and by habit."""
    labels = [run.label for run in runs]
    print("\nruns by effect" + " " * 14 + "".join(f"{verdict:>9s}" for verdict in _VERDICTS))
    groups: dict[str, Counter[str]] = {}
    for one in labels:
        groups.setdefault(f"architecture {one.architecture}", Counter())[one.verdict] += 1
    for one in sorted(labels, key=lambda one: one.pathology or ""):
        kind = f"fault {one.pathology}" if one.pathology else f"habit {one.habit}"
        groups.setdefault(kind, Counter())[one.verdict] += 1
    groups["all"] = Counter(one.verdict for one in labels)
    for name, counts in groups.items():
        print(f"  {name:26s}" + "".join(f"{counts[verdict]:9d}" for verdict in _VERDICTS))
    put_in = [one for one in labels if one.pathology]
    print(f"  a fault did no harm in {Share(sum(one.verdict == 'neither' for one in put_in), len(put_in))} runs")


_MEASURES: tuple[tuple[str, Callable[[Score], Share]], ...] = (
    ("right type, of identifiable", lambda score: score.recall),
    ("  of the critical ones", lambda score: score.critical),
    ("right type, of all sick", lambda score: score.overall),
    ("healthy: critical or high", lambda score: score.grave_false),
    ("healthy: all but notices", lambda score: score.false),
    ("healthy: anything at all", lambda score: score.noticed),
    ("sick: alarm before onset", lambda score: score.early),
    ("right place, first finding", lambda score: score.first),
    ("right place, first three", lambda score: score.three),
    ("right cause named first", lambda score: score.cause),
    ("right cause among three", lambda score: score.causes),
)


def show_scores(scores: Mapping[Level, Mapping[str, Score]]) -> None:
    """A table for each level, with a column for each judge: shares with their 95 % bounds, and of how many runs."""
    for level, by_judge in scores.items():
        print(f"\n{TITLES[level]:28s}" + "".join(f"{name:>28s}" for name in by_judge))
        for title, share in _MEASURES:
            print(f"  {title:26s}" + "".join(f"{share(one)!s:>28s}" for one in by_judge.values()))
        print("  alarms in a healthy run")
        for severity in SEVERITIES:
            counts = (one.per_healthy.get(severity, math.nan) for one in by_judge.values())
            print(f"    {severity:24s}" + "".join(f"{count:28.2f}" for count in counts))
        print("  delay, median / p90")
        for onset in ONSETS:
            for unit, which in (("steps", slice(0, 2)), ("rows", slice(2, 4))):
                told = (_pair(*one.delays[onset][which]) for one in by_judge.values())
                print(f"    {onset + ', ' + unit:24s}" + "".join(f"{text:>28s}" for text in told))
            told = (_pair(*one.each_step[onset][:2]) for one in by_judge.values())
            print(f"    {onset + ', row a step':24s}" + "".join(f"{text:>28s}" for text in told))
        print(f"  {'ms a run':26s}" + "".join(f"{one.milliseconds:28.0f}" for one in by_judge.values()))


def show_confusion(score: Score, judge: str) -> None:
    """Rows are what the textbook says of the fault, columns the type of the worst alarm."""
    told = [*sorted({kind for row in score.confusion.values() for kind in row} - {NOTHING}), NOTHING]
    print(f"\nwhat was put in, and the worst alarm of {judge} ({TITLES[score.level]})")
    print(" " * 20 + "".join(f"{kind[:9]:>10s}" for kind in told))
    for kind, row in sorted(score.confusion.items()):
        print(f"  {kind:18s}" + "".join(f"{row.get(other, '·'):>10}" for other in told))


def show_pathologies(scores: Mapping[Level, Score], judge: str) -> None:
    """What each stream buys, fault by fault, with the reason where a level cannot show one."""
    print(f"\nright type by fault, {judge}")
    print(f"  {'':18s}" + "".join(f"{TITLES[level]:>31s}" for level in scores))
    kinds = sorted({kind for score in scores.values() for kind in score.by_pathology})
    for kind in kinds:
        shares = "".join(f"{_brief(score.by_pathology.get(kind, Share(0, 0))):>31s}" for score in scores.values())
        print(f"  {kind:18s}{shares}  {PATHOLOGIES[kind].reason}".rstrip())


def show_habits(score: Score, judge: str) -> None:
    print(f"\nhealthy runs with any alarm but notices, {judge} ({TITLES[score.level]})")
    for habit, share in score.by_habit.items():
        print(f"  {habit:18s}{_brief(share)}")


def show_mistakes(score: Score, judge: str) -> None:
    print(f"\nmissed by {judge} ({TITLES[score.level]})")
    for name in score.missed:
        print(f"  {name}")
    print("false alarms")
    for line in score.alarmed:
        print(f"  {line}")


def _brief(share: Share) -> str:
    return f"{share.some} of {share.all}" if share.all else "–"


def _pair(median: float, most: float) -> str:
    return "–" if math.isnan(median) else f"{median:.0f} / {most:.0f}"
