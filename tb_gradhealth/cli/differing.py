"""``gradhealth diff``: what differs between two runs, for people and for programs."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from ..comparing import Difference, Parting, diff
from ..comparing.difference import Setting
from ..diagnosis import RULES, Finding
from ..diagnosis.settings import custom_rules
from ..diagnosis.telling import steps, where
from ..notes import written
from ..reading.opened import open_run
from .status import DONE, FAILED, FOUND
from .terminal import Progress, coloured, complain, printable

#: Lines of each table; names that a line lists; characters of a name.
TENSORS, LOGGED, SETTINGS, NAMED, LONGEST_NAME = 20, 20, 20, 4, 44
BARS, LEAST = "▁▂▃▄▅▆▇█", 1e-4
HEAD = ("step", "what", "figure", "A", "B", "apart", "at most", "course")


def differ(options: argparse.Namespace) -> int:
    a, b = open_run(options.a), open_run(options.b)
    with Progress(f"diff {options.a} {options.b}") as progress:
        found = diff(a, b, options.tolerance, (*RULES, *custom_rules()), progress)
    if options.json:
        print(json.dumps(content(options.a, options.b, found), indent=2, allow_nan=False))
    else:
        _show(options.a, options.b, found)
    for problem in found.problems:
        complain(problem)
    if found.same and (found.steps is None or found.problems):
        return FAILED  # what was not compared is not the same
    return DONE if found.same else FOUND


def content(a: str, b: str, found: Difference) -> dict[str, Any]:
    """What JSON can hold of it: NaN is null, infinities are spelled out."""
    return {
        "a": a,
        "b": b,
        "same": found.same,
        "parted": found.parted,
        "tolerance": found.tolerance,
        "steps": found.steps and list(found.steps),
        "rows": found.rows,
        "settings": [vars(one) for one in found.settings],
        "logged": [_parted(one.first, one.largest, one.trend, name=one.name) for one in found.logged],
        "compared": found.compared,
        "tensors": [
            _parted(one.first, one.largest, one.trend, stream=one.stream, name=one.name, metrics=list(one.metrics))
            for one in found.tensors
        ],
        "only_a": [_finding(one) for one in found.only_a],
        "only_b": [_finding(one) for one in found.only_b],
        "problems": list(found.problems),
    }


def _parted(first: Parting, largest: float, trend: Sequence[float], **about: Any) -> dict[str, Any]:
    values = {name: _number(getattr(first, name)) for name in ("a", "b", "relative")}
    return {
        **about,
        "first": {**vars(first), **values},
        "largest": _number(largest),
        "trend": [_number(value) for value in trend],
    }


def _number(value: float) -> float | str | None:
    return None if math.isnan(value) else written(value)


def _finding(one: Finding) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("type", "severity", "node", "start", "stop", "detected", "rule")}


def _show(a: str, b: str, found: Difference) -> None:
    print(f"A {printable(a)}\nB {printable(b)}\n{_verdict(found)}")
    coarse = {stream: rows for stream, rows in found.rows.items() if rows > 1}
    if coarse:
        print(f"compared in rows of {', '.join(sorted({f'{rows:,}' for rows in coarse.values()}))} steps")
    if found.settings:
        print("\nrecorded differently (A | B):")
        for line in _settings(found.settings):
            print(f"  {printable(line)}")
    if found.logged:
        print(f"\nlogged, {len(found.logged)} part:")
        lines = [("", one.name, one.first, one.largest, one.trend) for one in found.logged]
        _table(lines, LOGGED)
    if found.tensors:
        print(f"\ntensors, {len(found.tensors)} of {found.compared} part:")
        streams = len({one.stream for one in found.tensors}) > 1
        tensors = [
            (f"{one.stream} " if streams else "", one.name, one.first, one.largest, one.trend) for one in found.tensors
        ]
        _table(tensors, TENSORS)
    for name, findings in (("A", found.only_a), ("B", found.only_b)):
        if findings:
            print(f"\nfindings of {name} alone:")
        for one in findings:
            print(f"  {one.severity} {printable(one.type)} in {_short(where(one))}, {steps(one)}")


def _verdict(found: Difference) -> str:
    within = f" within {100 * found.tolerance:g} %" if found.tolerance else ""
    if found.steps is None:
        said = "nothing to compare: they have no row of the same steps"
        return coloured(said, "yellow", sys.stdout)
    first, end = found.steps
    seen = f"{end - first:,} step{'s' if end - first > 1 else ''}, {found.compared:,} tensors"
    if found.parted is None:
        what = f"the same{within} in {seen}"
        if not found.settings:
            what += ", as far as they can be compared" if found.problems else ""
            return coloured(what, "yellow" if found.problems else "green", sys.stdout)
        return coloured(f"{what}, but recorded differently", "yellow", sys.stdout)
    until = "different from the first row on" if found.parted <= first else f"equal{within} until step {found.parted:,}"
    leading = [f"{one.name}" for one in found.logged if one.first.start == found.parted]
    leading += [
        f"{_short(one.name)} ({one.stream}, {one.first.metric})"
        for one in found.tensors[:1]
        if one.first.start == found.parted
    ]
    return coloured(f"{until}; first in {printable(' and '.join(leading[:1] + leading[1:][-1:]))}", "red", sys.stdout)


def _settings(settings: Sequence[Setting]) -> list[str]:
    """A line for each, and for all names that only one of them has; the same in several streams is said once."""
    one_sided: dict[tuple[str, str, str], list[str]] = {}
    both: dict[tuple[str, str, str, str], list[str]] = {}
    for one in settings:
        if one.a is None or one.b is None:
            one_sided.setdefault((one.what, "B" if one.a is None else "A", one.stream), []).append(one.name)
        else:
            both.setdefault((one.what, one.name, one.a, one.b), []).append(one.stream)
    lines = [
        f"{' '.join(filter(None, (what, _short(name))))}: {a} | {b}{_of(streams)}"
        for (what, name, a, b), streams in both.items()
    ]
    if len(lines) > SETTINGS:
        lines = [*lines[:SETTINGS], f"and {len(lines) - SETTINGS:,} more: --json has all of them"]
    shared: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (what, side, stream), names in one_sided.items():
        shared.setdefault((what, side, tuple(names)), []).append(stream)
    for (what, side, every), streams in shared.items():
        if what == "stream":
            lines.append(f"only {side} has the streams {', '.join(streams)}")
            continue
        more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
        lines.append(f"only {side} has {what} {', '.join(map(_short, every[:NAMED]))}{more}{_of(streams)}")
    return lines


def _of(streams: Sequence[str]) -> str:
    return f" ({', '.join(streams)})" if any(streams) else ""


def _table(lines: Sequence[tuple[str, str, Parting, float, Sequence[float]]], most: int) -> None:
    cells = [HEAD]
    for stream, name, first, largest, trend in lines[:most]:
        figure = first.metric if first.metric != name else ""
        figure = f"{figure} {first.plane}".strip() if first.plane in ("min", "max") or not figure else figure
        cells.append(
            (
                f"{first.start:,}",
                printable(stream) + _short(name),
                printable(figure),
                _figure(first.a),
                _figure(first.b),
                _percent(first.relative),
                _percent(largest),
                _course(trend),
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    for number, line in enumerate(cells):
        right = (0, 3, 4, 5, 6)
        text = "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        print("  " + (coloured(text, "bold", sys.stdout) if number == 0 else text))
    if len(lines) > most:
        print(f"  and {len(lines) - most:,} more: --json has all of them")


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6g}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if math.isfinite(value) else "∞"


def _course(trend: Sequence[float]) -> str:
    """A bar for each part of the steps, logarithmic."""
    return "".join(_bar(value) for value in trend)


def _bar(value: float) -> str:
    if not value > 0:
        return " " if math.isnan(value) else "·"
    share = 1 - math.log10(min(1.0, max(LEAST, value))) / math.log10(LEAST)
    return BARS[min(len(BARS) - 1, int(share * len(BARS)))]


def _short(name: str) -> str:
    """Of a long name the end, which tells tensors of a model apart."""
    shown = printable(name)
    return shown if len(shown) <= LONGEST_NAME else "…" + shown[1 - LONGEST_NAME :]
