"""Rows → findings, one row after the other and in bounded memory: the same in training, in the plugin and offline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from .finding import SEVERITIES, Finding, Missing, order
from .memory import Memory, Spacing
from .missing import kinds, missing
from .row import Row, Tensors
from .rule import MOST_HITS, Cause, Hit, Rule, View
from .signals import READ, Signals

#: Evidence that comes again within so many rows is still the same finding; later it is a new phase of it.
GAP_ROWS = 20
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
        self._memory, self._spacing = Memory(), Spacing()
        self._view = View(self._now, self._memory, self.rule.thresholds, self.rule.patterns)

    def look(self, row: Row, number: int) -> Iterator[Finding]:
        """Findings that are new, or whose evidence goes on."""
        self._memory.spacing = self._spacing.add(row.start, row.stop)
        for hit in islice(self.rule.look(self._view), MOST_HITS):
            if (found := self._take(hit, row, number)) is not None:
                yield found

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


class Engine:
    """Looks at rows in step order with ``rules``. A rule that raises is told of in :attr:`problems` and left out."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.signals = Signals()
        self._rules = [_Running(rule, self.signals) for rule in rules]
        self._rows = 0
        self._streams: dict[str, Tensors] = {}
        self._metrics: dict[str, frozenset[str]] = {}
        self._logged: set[str] = set()

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
        self.signals.update_row(row)
        self._logged |= kinds(row.logged)
        self._rows += 1
        found = []
        sound = self.signals.applied and not self.signals.lost
        for running in self._rules:
            rule = running.rule
            if running.failed or not (sound or rule.always) or not rule.needs.keys() <= row.frames.keys():
                continue
            try:
                found += list(running.look(row, self._rows))
            except Exception as error:  # a rule, perhaps somebody's own, must not cost what the others see
                running.failed = f"rule {rule.name}: {type(error).__name__}: {error}"
        return found

    def _adopt(self, row: Row) -> None:
        """Where a stream has other tensors than before, what was remembered of each is void."""
        changed = False
        for name, frame in row.frames.items():
            known = self._streams.get(name)
            changed |= known is not None and known is not frame.tensors
            self._streams[name], self._metrics[name] = frame.tensors, frozenset(frame.values)
        if changed:
            self.signals.forget()
            for running in self._rules:
                running.forget()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All so far, worst first, with the likeliest of their causes first."""
        every = sorted((one for running in self._rules for one in running.findings()), key=order)
        causes = {running.rule.name: running.rule.causes for running in self._rules}
        return tuple(replace(one, causes=_ranked(causes[one.rule], one, every)) for one in every)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Rules for which nothing has come yet, and what to record for them."""
        return missing([running.rule for running in self._rules], self._metrics, self._logged)


def _ranked(causes: Sequence[Cause], one: Finding, every: Sequence[Finding]) -> tuple[str, ...]:
    """Those first that were seen no later than the finding itself ended, in the order of their rule."""
    seen: Mapping[str, int] = {}
    seen = {other.type: min(other.start, seen.get(other.type, other.start)) for other in every}
    likelier = [cause for cause in causes if any(seen.get(kind, one.stop) < one.stop for kind in cause.seen_with)]
    return tuple(cause.text for cause in (*likelier, *(cause for cause in causes if cause not in likelier)))
