"""What a check is: a declaration, and a function that looks at one examination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..diagnosis.finding import Evidence, Finding, Severity, order
from ..diagnosis.rule import MOST_HITS, Cause, Hit, Rule
from .examined import Examined

Look = Callable[[Examined], Iterable[Hit]]


@dataclass(frozen=True)
class Check:
    """``after``: checks whose finding explains what this one finds."""

    name: str
    type: str
    severity: Severity
    look: Look
    causes: tuple[Cause, ...]
    actions: tuple[str, ...]
    innocent: str
    after: tuple[str, ...] = ()

    @classmethod
    def like(cls, rule: Rule, look: Look, after: tuple[str, ...] = ()) -> Check:
        """The check that a rule of the diagnosis is before there are any steps."""
        return cls(rule.name, rule.type, rule.severity, look, rule.causes, rule.actions, rule.innocent, after)


def hit(node: str, told: tuple[Evidence, ...], severity: Severity | None = None, innocent: str | None = None) -> Hit:
    return Hit(node, 0, told, severity, innocent=innocent)


def find(examined: Examined, checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Worst first, each with the likeliest of its causes first and the check whose finding explains it."""
    found = [(check, _finding(check, one)) for check in checks for one in islice(check.look(examined), MOST_HITS)]
    types = {one.type for _, one in found}
    alarms = {check.name for check, one in found if one.severity != "notice"}
    explained = {check.name: next((name for name in check.after if name in alarms), "") for check, _ in found}
    every = []
    for check, one in found:
        likelier = sorted(check.causes, key=lambda cause: not types.intersection(cause.seen_with) - {one.type})
        root = explained[check.name]
        while explained.get(root):
            root = explained[root]
        every.append(replace(one, causes=tuple(cause.text for cause in likelier), follows=root))
    return tuple(sorted(every, key=order))


def _finding(check: Check, one: Hit) -> Finding:
    """At step 0, before the first update."""
    return Finding(
        one.type or check.type,
        one.severity or check.severity,
        one.node,
        0,
        1,
        0,
        one.evidence,
        (),
        check.actions,
        check.innocent if one.innocent is None else one.innocent,
        check.name,
    )
