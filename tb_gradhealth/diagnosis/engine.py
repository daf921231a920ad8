"""Rows → findings, one row after the other and in bounded memory: the same in training, in the plugin and offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..findings import GAP_ROWS
from .finding import SEVERITIES, Finding, Missing, order
from .following import explained
from .memory import Memory, Spacing
from .missing import kinds, missing
from .row import Row, Tensors
from .rule import MOST_HITS, Cause, Hit, Rule, View
from .signals import READ, Signals

#: Findings of one rule; more of them say nothing more.
MOST_FINDINGS = 50


@dataclass
class _Open:
    """A finding, and the row in which it was seen last."""

    finding: Finding
    row: int


class _Running:
    """One rule, and all that it remembers."""

    def __init__(self, rule: Rule, now: Signals) -> None:
        self.rule = rule
        self.failed = ""
        self._now = now
        self.found: dict[tuple[str, str], _Open] = {}  # the last one of each node and type
        self.closed: list[Finding] = []
        self.forget()

    def forget(self) -> None:
        self._memory = Memory()
        self._view = View(self._now, self._memory, self.rule.thresholds, self.rule.patterns)

    def look(self, row: Row, number: int, spacing: int) -> list[Finding]:
        """Findings that are new, or whose evidence goes on."""
        self._memory.spacing = spacing
        found = []
        try:
            for hit in islice(self.rule.look(self._view), MOST_HITS):
                if (one := self._take(hit, row, number)) is not None:
                    found.append(one)
        except Exception as error:  # a rule, perhaps somebody's own, must not cost what the others see
            self.failed = f"rule {self.rule.name}: {type(error).__name__}: {error}"
            return []
        return found

    def _take(self, hit: Hit, row: Row, number: int) -> Finding | None:
        key = hit.node, hit.type or self.rule.type
        known = self.found.get(key)
        if known is not None and number - known.row <= GAP_ROWS:
            known.row = number
            known.finding = replace(known.finding, stop=row.stop)
            severity = hit.severity or self.rule.severity
            if SEVERITIES.index(severity) < SEVERITIES.index(known.finding.severity):
                known.finding = replace(known.finding, severity=severity, detected=row.stop - 1, evidence=hit.evidence)
            return known.finding
        if len(self.found) + len(self.closed) >= MOST_FINDINGS:
            return None
        if known is not None:
            self.closed.append(known.finding)
        rule = self.rule
        finding = Finding(
            key[1],
            hit.severity or rule.severity,
            hit.node,
            int(hit.since),
            row.stop,
            row.stop - 1,
            hit.evidence,
            tuple(cause.text for cause in rule.causes),
            rule.actions,
            rule.innocent if hit.innocent is None else hit.innocent,
            rule.name,
        )
        self.found[key] = _Open(finding, number)
        return finding

    def findings(self) -> list[Finding]:
        return [*self.closed, *(one.finding for one in self.found.values())]


class _Group:
    """Rules that look at the same rows: those in which all streams ``needed`` have something new."""

    def __init__(self, needed: frozenset[str], always: bool) -> None:
        self.needed, self.always = needed, always
        self.rules: list[_Running] = []
        self.spacing = Spacing()


class Engine:
    """Looks at rows in step order with ``rules``. A rule that raises is told of in :attr:`problems` and left out."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.signals = Signals()
        self._rules = [_Running(rule, self.signals) for rule in rules]
        self._groups: dict[tuple[frozenset[str], bool], _Group] = {}
        for running in self._rules:
            key = frozenset(running.rule.needs), running.rule.always
            self._groups.setdefault(key, _Group(*key)).rules.append(running)
        self._rows = 0
        self._streams: dict[str, Tensors] = {}
        self._metrics: dict[str, frozenset[str]] = {}
        self._logged: set[str] = set()
        self._names: tuple[str, ...] = ()  # of what was logged in the row before

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The metrics to feed, by stream."""
        found = {stream: dict.fromkeys(metrics) for stream, metrics in READ.items()}
        for running in self._rules:
            for stream, metrics in (*running.rule.needs.items(), *running.rule.uses.items()):
                found.setdefault(stream, {}).update(dict.fromkeys(metrics))
        return {stream: tuple(metrics) for stream, metrics in found.items()}

    @property
    def problems(self) -> list[str]:
        return [running.failed for running in self._rules if running.failed]

    def add(self, row: Row) -> list[Finding]:
        """The row behind those before it; findings that it is evidence for, new ones and those that go on."""
        self._adopt(row)
        self._rows += 1
        if (names := tuple(row.logged)) != self._names:
            self._names = names
            self._logged |= kinds(names)
        found: list[Finding] = []
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN is what nothing is known of
            self.signals.update_row(row)
            sound = self.signals.applied and not self.signals.lost
            for group in self._groups.values():
                if (sound or group.always) and group.needed <= row.frames.keys():
                    spacing = group.spacing.add(row.start, row.stop)
                    for running in group.rules:
                        if not running.failed:
                            found += running.look(row, self._rows, spacing)
        return found

    def _adopt(self, row: Row) -> None:
        """Where a stream has other tensors than before, what was remembered of each is void."""
        changed = False
        for name, frame in row.frames.items():
            known = self._streams.get(name)
            if known is not frame.tensors:
                changed |= known is not None
                self._streams[name], self._metrics[name] = frame.tensors, frozenset(frame.values)
        if changed:
            self.signals.forget()
            for running in self._rules:
                running.forget()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All so far, worst first, with the likeliest of their causes first."""
        every = sorted((one for running in self._rules for one in running.findings()), key=order)
        rules = {running.rule.name: running.rule for running in self._rules}
        telling = [one for one in every if rules[one.rule].severity != "notice"]  # the others are hints by nature
        blind = {one.rule for one in self.missing}
        looked_for = {rule.type for rule in rules.values() if rule.name not in blind}
        ranked = [replace(one, causes=_ranked(rules[one.rule].causes, one, telling, looked_for)) for one in every]
        return explained(ranked, self.signals.parameters.names, self.signals.spacing)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Rules for which nothing has come yet, and what to record for them."""
        return missing([running.rule for running in self._rules], self._metrics, self._logged)


def _ranked(
    causes: Sequence[Cause], one: Finding, every: Sequence[Finding], looked_for: AbstractSet[str]
) -> tuple[str, ...]:
    """Those first beside which other findings stand that began before this one ended; those last beside which some
    would have to, that were looked for and not found."""
    seen: dict[str, int] = {}
    for other in every:
        if other is not one:
            seen[other.type] = min(other.start, seen.get(other.type, other.start))

    def place(cause: Cause) -> int:
        if any(seen.get(kind, one.stop) < one.stop for kind in cause.seen_with):
            return 0
        return 2 if cause.seen_with and looked_for >= set(cause.seen_with) else 1

    return tuple(cause.text for cause in sorted(causes, key=place))
