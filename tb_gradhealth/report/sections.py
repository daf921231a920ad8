"""What a report says of one finding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..diagnosis.finding import TYPES, Evidence, Finding
from ..diagnosis.telling import steps, where
from .axis import Span
from .markup import name, number, text

#: Of causes and actions, so many are told; of findings that another explains.
LISTED, FOLLOWERS = 6, 40
SIGNS = {"critical": "◆", "high": "▲", "medium": "●", "low": "○", "notice": "·"}


def badge(severity: str) -> str:
    return f'<span class="badge {severity}"><span aria-hidden="true">{SIGNS[severity]} </span>{severity}</span>'


def finding(span: Span, followers: Sequence[Finding], figure: str) -> str:
    one = span.finding
    meaning = TYPES.get(one.type)
    return (
        f'<article id="finding-{span.number}" class="finding {one.severity}" aria-labelledby="title-{span.number}">'
        f'<h3 id="title-{span.number}"><span class="count">{span.number}</span>{badge(one.severity)} {text(one.type)} '
        f"in {name(one.node)}</h3>"
        f'<p class="when">{f"{text(meaning)[:1].upper()}{text(meaning)[1:]} · " if meaning else ""}'
        f"<strong>{text(steps(one))}</strong> · rule <code>{text(one.rule)}</code></p>"
        f"{evidence(one.evidence)}{figure}"
        f'<div class="columns">{_listed("Probable causes, the likeliest first", one.causes, "ol")}'
        f"{_listed('What to do', one.actions, 'ul')}</div>"
        f'<p class="innocent"><b>Why it may be normal:</b> {text(one.innocent)}</p>'
        f"{_explained(followers)}</article>"
    )


def evidence(figures: Iterable[Evidence]) -> str:
    """A table: what was seen, and what it is held against."""
    rows = "".join(
        f"<tr><th scope=row>{text(one.what)}</th><td>{number(one.value)}{f' {text(one.unit)}' if one.unit else ''}</td>"
        f"<td>{'—' if math.isnan(one.baseline) else number(one.baseline)}</td></tr>"
        for one in figures
    )
    head = "<tr><th scope=col>evidence</th><th scope=col>seen</th><th scope=col>reference</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""


def brief(found: Iterable[Finding]) -> str:
    """A line or two for each finding."""
    return "".join(
        f"<li>{badge(one.severity)} {text(one.type)} in {name(one.node)}, {text(steps(one))}"
        f"<br>{'; '.join(_figure(each) for each in one.evidence)}"
        f'<br><span class="quiet">{text(one.innocent)} (rule <code>{text(one.rule)}</code>)</span></li>'
        for one in found
    )


def _figure(one: Evidence) -> str:
    unit = f" {text(one.unit)}" if one.unit else ""
    against = "" if math.isnan(one.baseline) else f' <span class="quiet">(reference {number(one.baseline)})</span>'
    return f"{text(one.what)} <b>{number(one.value)}</b>{unit}{against}"


def _explained(followers: Sequence[Finding]) -> str:
    if not followers:
        return ""
    count = len(followers)
    more = f"<li>and {count - FOLLOWERS:,} more</li>" if count > FOLLOWERS else ""
    said = f"It explains {count:,} more finding{'s' if count > 1 else ''}"
    names = ", ".join(dict.fromkeys(f"{text(one.type)} in {text(where(one), 40)}" for one in followers[:3]))
    return (
        f'<details><summary>{said} <span class="quiet">{names}{", …" if count > 3 else ""}</span></summary>'
        f'<ul class="brief">{brief(followers[:FOLLOWERS])}{more}</ul></details>'
    )


def _listed(head: str, lines: Sequence[str], kind: str) -> str:
    items = "".join(f"<li>{text(one)}</li>" for one in lines[:LISTED])
    return f"<section><h4>{head}</h4><{kind}>{items}</{kind}></section>" if items else ""
