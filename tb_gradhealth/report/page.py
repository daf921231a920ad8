"""The whole page: the verdict first, then what the run is, the findings, and what was not looked at."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources

import tb_gradhealth

from ..diagnosis import RULES, Diagnosis, Finding
from ..diagnosis.rule import Rule
from ..diagnosis.telling import grouped, verdict
from ..reading.opened import OpenRun
from .axis import Span
from .curve import LossCurve
from .facts import facts
from .figures import Figures
from .heatmap import heatmap
from .markup import text
from .sections import SIGNS, badge, brief, finding

#: Findings that are told in full, those of them with a figure, hints, and lines of what could not be read.
TOLD, FIGURES, HINTS, PROBLEMS = 100, 24, 60, 40
#: Stands in every report, and tells one from other files.
MARK = '<meta name="generator" content="gradhealth report">'


def page(
    run: OpenRun,
    diagnosis: Diagnosis,
    label: str,
    rules: Sequence[Rule] = RULES,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> str:
    """The report of ``run``, called ``label``, as one file of HTML that needs no other; the same for the same rows.

    Its size is bounded, whatever the run's. ``rules`` are those of the diagnosis: what they look at is drawn.
    """
    groups = grouped(one for one in diagnosis.findings if one.severity != "notice")
    hints = [one for one in diagnosis.findings if one.severity == "notice"]
    spans = [Span(number, one) for number, (one, _) in enumerate(groups[:TOLD], 1)]
    figures = Figures(run) if run.streams else None
    loss = _loss(figures)
    drawn = [finding_figure(figures, span, loss, rules) if figures else "" for span in _each(spans[:FIGURES], progress)]
    told = [
        finding(span, followers, drawn[span.number - 1] if span.number <= FIGURES else "")
        for span, (_, followers) in zip(spans, groups, strict=False)
    ]
    worst = groups[0][0].severity if groups else "good"
    parts = [
        f'<header><p class="kind">Gradient health report</p><h1>{text(label, 200)}</h1></header>',
        f'<p class="verdict {worst}" role="status">{_sentence(verdict(diagnosis))}</p>',
        _counts(groups, hints),
        _facts(run, figures) if figures else "",
        _course(figures, loss, spans) if figures else "",
        f"<section><h2>Findings</h2>{''.join(told)}{_more(len(groups) - TOLD)}</section>" if told else "",
        _hints(hints),
        _missing(diagnosis),
        _problems(diagnosis.problems),
        f"<footer><p>Made by <code>gradhealth report</code>, tb_gradhealth {text(tb_gradhealth.__version__)}, from the "
        "recorded rows alone. Norms and other magnitudes are stored with an error of at most 0.18 %.</p></footer>",
    ]
    return _document(f"{label}: gradient health report", "".join(parts))


def _each(spans: Sequence[Span], progress: Callable[[float, float], None]) -> Iterator[Span]:
    for done, span in enumerate(spans):
        progress(done, len(spans))
        yield span


def finding_figure(figures: Figures, span: Span, loss: LossCurve | None, rules: Sequence[Rule]) -> str:
    """What the finding's rule looks at, in its node and in those beside it, above the loss."""
    plane = figures.beside(span.finding, {rule.name: rule for rule in rules})
    row = plane.marked if plane.marked is not None else slice(None) if not span.finding.node else None
    marks = [(row, span)] if row is not None else []
    return f"<figure>{heatmap(plane, marks, loss.strip(span) if loss else None)}</figure>"


def _loss(figures: Figures | None) -> LossCurve | None:
    found = figures.loss() if figures else None
    return LossCurve(*found, figures.edges, figures.axis) if figures and found else None


def _course(figures: Figures, loss: LossCurve | None, spans: Sequence[Span]) -> str:
    """The whole run: loss and findings, and the norm of all layers."""
    plane = figures.overview()
    marks = [(row, span) for span in spans if (row := figures.row(span.finding.node)) is not None]
    chart = f"{loss.symbol()}<figure>{loss.chart(spans[:FIGURES])}</figure>" if loss else ""
    return (
        f"<section><h2>Course of the run</h2>{chart}<h3>Layers over the steps</h3>"
        f"<figure>{heatmap(plane, marks)}</figure></section>"
    )


def _sentence(said: str) -> str:
    return text(said[:1].upper() + said[1:]) + "."


def _counts(groups: Sequence[tuple[Finding, Sequence[Finding]]], hints: Sequence[Finding]) -> str:
    severities = [one.severity for one, _ in groups]
    every = [f"{badge(one)} {severities.count(one)}" for one in SIGNS if one in severities]
    explained = sum(len(followers) for _, followers in groups)
    every += [f"{explained} explained by others"] if explained else []
    every += [f"{len(hints)} hint{'s' if len(hints) > 1 else ''}, no alarm"] if hints else []
    return f'<p class="counts">{"".join(f"<span>{one}</span>" for one in every)}</p>' if every else ""


def _facts(run: OpenRun, figures: Figures) -> str:
    lines = "".join(
        f"<div{' class=wide' if what == 'streams' else ''}><dt>{text(what)}</dt><dd>{text(said)}</dd></div>"
        for what, said in facts(run, figures)
    )
    return f'<section><h2 class="unseen">The run</h2><dl>{lines}</dl></section>'


def _more(count: int) -> str:
    return f"<p>And {count:,} more: <code>gradhealth report --json</code> has all of them.</p>" if count > 0 else ""


def _hints(hints: Sequence[Finding]) -> str:
    if not hints:
        return ""
    return (
        f"<section><h2>Hints, which are no alarm</h2><details><summary>{len(hints):,} of them</summary>"
        f'<ul class="brief">{brief(hints[:HINTS])}</ul>{_more(len(hints) - HINTS)}</details></section>'
    )


def _missing(diagnosis: Diagnosis) -> str:
    by_advice: dict[str, list[str]] = {}
    for one in diagnosis.missing:
        by_advice.setdefault(one.advice, []).append(f"{one.type} ({one.rule})")
    if not by_advice:
        return ""
    rows = "".join(
        f"<tr><td><code>{text(advice)}</code></td><td>{text(', '.join(rules), 2000)}</td></tr>"
        for advice, rules in by_advice.items()
    )
    return (
        "<section><h2>Not looked at</h2><p>Nothing was recorded that tells. Switched on where the writer is made, or "
        "in the loop:</p><table class=switches><thead><tr><th scope=col>to switch on</th>"
        f"<th scope=col>then looked for</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _problems(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    lines = "".join(f"<li>{text(one)}</li>" for one in problems[:PROBLEMS])
    more = f"<li>and {len(problems) - PROBLEMS:,} more</li>" if len(problems) > PROBLEMS else ""
    return f'<section class="problems"><h2>Problems</h2><ul>{lines}{more}</ul></section>'


def _document(title: str, body: str) -> str:
    """The policy lets nothing be loaded or run, were anything to slip through; the style is known by its hash."""
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{known}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{text(title, 300)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )
