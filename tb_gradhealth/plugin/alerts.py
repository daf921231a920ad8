"""Findings → sentences for a person, with the steps they begin at; kept as long as nothing new is recorded."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from ..cli.terminal import printable
from ..nodes import Tree
from ..rows import NEVER, Floats
from ..store.cells import BAD, Grid
from ..store.format import FACTOR
from ..store.timeline import Timeline
from .figures import figure
from .findings import Finding, findings, whole_run
from .rules import NEAR_ZERO, SEVERITIES, Look, median

MAX_ALERTS = 500
#: Of a long name the end is shown, which tells tensors of a model apart.
NAME = 80


class Alerts:
    """What was found, by timeline, which is an immutable snapshot of a run's stream; safe to call from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: weakref.WeakKeyDictionary[Timeline, dict[str, Any]] = weakref.WeakKeyDictionary()

    def of(self, timeline: Timeline) -> dict[str, Any]:
        with self._lock:
            answer = self._found.get(timeline)
            if answer is None:
                answer = self._found[timeline] = timeline.settled(lambda: alerts(timeline))
            return answer


def alerts(timeline: Timeline) -> dict[str, Any]:
    """The gravest :data:`MAX_ALERTS` of a stream."""
    grid = whole_run(timeline)
    found, complete = findings(timeline, grid, MAX_ALERTS)
    shown = _largest(timeline, grid, found)
    told = [_told(timeline, grid, one, *shown[one]) for one in found]
    told.sort(key=lambda alert: (SEVERITIES.index(alert["severity"]), alert["steps"][0]))
    return {"alerts": told, "complete": complete}


def _largest(timeline: Timeline, grid: Grid, found: list[Finding]) -> Mapping[Finding, tuple[float, float]]:
    """Of each finding the largest value of its metric, and what is usual for its node: the median over the run."""
    figures: dict[Finding, tuple[float, float]] = {}
    for metric in dict.fromkeys(_metric(timeline, one) for one in found):
        own = [one for one in found if _metric(timeline, one) == metric]
        nodes = list(dict.fromkeys(one.node for one in own))
        values = Look(timeline, np.array(nodes, np.intp), grid).plane(metric, "max")
        usual: Floats = median(values)
        for one in own:
            line = nodes.index(one.node)
            figures[one] = float(np.fmax.reduce(values[line, one.first : one.last + 1])), float(usual[line])
    return figures


def _told(timeline: Timeline, grid: Grid, one: Finding, value: float, usual: float) -> dict[str, Any]:
    begins, ends = narrowed(timeline, grid, one, usual, 0), narrowed(timeline, grid, one, usual, -1)
    begin, end = max(begins.begin, timeline.first), min(ends.end, timeline.end)
    sentence = one.rule.says.format(
        subject=subject(timeline.tree, one.node),
        what=printable(timeline.what[:NAME]),
        first=_first(timeline, one, begins) if one.rule.kind in BAD else "",
        steps=_steps(begin, end),
        percent=f"{NEAR_ZERO:.0%}",
        value=value,
        times=value / usual if usual > 0 else np.nan,
    )
    return {
        "id": f"{one.rule.kind}:{one.node}:{begin}",
        "severity": one.severity,
        "kind": one.rule.kind,
        "node": one.node,
        "steps": [begin, end],
        "metric": _metric(timeline, one),
        "value": figure(value),
        "text": sentence[0].upper() + sentence[1:] + (", where the optimizer skipped steps" if one.skipped else ""),
    }


def narrowed(timeline: Timeline, grid: Grid, one: Finding, usual: float, which: Literal[0, -1]) -> Grid:
    """The finest interval in which a finding begins (0) or ends (-1), level by level: one cell."""
    node, cell = np.array([one.node], np.intp), one.last if which else one.first
    here = Grid(grid.begin + cell * grid.width, grid.width, 1)
    while here.width > timeline.cell:
        finer = Grid(here.begin, here.width // FACTOR, FACTOR)
        hits = np.flatnonzero(one.rule.found(Look(timeline, node, finer, np.array([usual])))[0])
        if not len(hits):  # it is only there over a longer interval
            break
        here = Grid(finer.begin + int(hits[which]) * finer.width, finer.width, 1)
    return here


def _metric(timeline: Timeline, one: Finding) -> str:
    """The metric to look at, one that was recorded."""
    return one.rule.metric if one.rule.metric in timeline.metrics else next(iter(timeline.metrics))


def _first(timeline: Timeline, one: Finding, where: Grid) -> str:
    """When an element that is not finite came first; the step only where no other kind may have come before."""
    which = np.array([one.node], np.intp)
    tally = timeline.tally(which, where)
    kinds = [kind for kind in BAD if kind in tally.counts and tally.counts[kind][0, 0] > 0]
    step = int(tally.first_bad[0, 0])
    if kinds == [one.rule.kind] and step != NEVER:
        return f"at step {step}"
    return f"in {_steps(max(where.begin, timeline.first), min(where.end, timeline.end))}"


def subject(tree: Tree, node: int) -> str:
    """A node in a sentence."""
    whole = tree.names[node]  # may be megabytes, of each of hundreds of findings
    name = printable(whole[-NAME:])
    name = name if max(len(whole), len(name)) <= NAME else "…" + name[1 - NAME :]
    tensors = int(tree.stop[node] - tree.start[node])
    if tree.kinds[node] == "tensor":
        return name
    return f"all {tensors} tensors of {name}" if node else f"all {tensors} tensors"


def _steps(begin: int, end: int) -> str:
    return f"step {begin}" if end - begin == 1 else f"steps {begin} to {end - 1}"
