"""``gradhealth report`` and ``gradhealth check``: what is the matter with a run, for people and for CI."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from ..diagnosis import RULES, SEVERITIES, Diagnosis, Finding, diagnose
from ..diagnosis.settings import custom_rules, read, unfit
from ..diagnosis.telling import content, figure, grouped, steps, verdict, where
from ..reading.opened import OpenRun, open_run
from . import as_html
from .map import heatmap
from .status import DONE, FAILED, FOUND
from .terminal import Colour, Progress, coloured, complain, printable

COLOURS: dict[str, Colour] = {"critical": "red", "high": "red", "medium": "yellow", "low": "yellow", "notice": "dim"}
#: Of a name so many characters are shown; of causes and actions so many of each.
LONGEST_NAME, LISTED = 80, 3


def report(options: argparse.Namespace) -> int:
    if options.html:
        as_html.check_writable(options.html)  # before the work
    settings = read(options.config) if options.config else {}
    run, diagnosis = _diagnosed(options.run, settings)
    if options.html:
        as_html.write(options.run, run, diagnosis, (*RULES, *custom_rules()), options.html)
    elif options.json:
        print(json.dumps({"run": str(run.directory), **content(diagnosis)}, indent=2, allow_nan=False))
    else:
        _show(options.run, run, diagnosis)
    _complain(diagnosis)
    _complain_of_patterns(settings, run)
    return DONE


def check(options: argparse.Namespace) -> int:
    """One line for each finding that is grave enough, and the exit status."""
    grave = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
    settings = read(options.config) if options.config else {}
    status, runs = DONE, list[OpenRun]()
    for name in options.runs:
        run, diagnosis = _diagnosed(name, settings)
        runs.append(run)
        found = [one for one in diagnosis.findings if one.severity in grave]
        count = diagnosis.steps[1] - diagnosis.steps[0]
        looked = "1 step" if count == 1 else f"{count:,} steps"
        for one in found:
            print(f"{printable(name)}: {_headline(one)}")
        if found:
            status = FOUND
        elif diagnosis.problems or not count:
            # What was not looked at has not passed.
            said = "not looked at as a whole" if count else "no row yet"
            print(f"{printable(name)}: {coloured(said, 'yellow', sys.stdout)}, {looked}")
            status = status or FAILED
        else:
            print(f"{printable(name)}: {coloured('passed', 'green', sys.stdout)}, {looked}")
        _complain(diagnosis)
    _complain_of_patterns(settings, *runs)
    return status


def _diagnosed(name: str, settings: Mapping[str, Any]) -> tuple[OpenRun, Diagnosis]:
    run = open_run(name)
    with Progress(f"diagnose {name}") as progress:
        diagnosis = diagnose(run, settings, (*RULES, *custom_rules()), progress)
    return run, diagnosis


def _complain(diagnosis: Diagnosis) -> None:
    for problem in diagnosis.problems:
        complain(problem)


def _complain_of_patterns(settings: Mapping[str, Any], *runs: OpenRun) -> None:
    """Those that fit nothing in any of the runs: of several models each may need patterns of its own."""
    for problem in unfit(
        settings, {name for run in runs for stream in run.streams for name in run.timeline(stream).tensors}
    ):
        complain(problem)


def _show(name: str, run: OpenRun, diagnosis: Diagnosis) -> None:
    alarms = [one for one in diagnosis.findings if one.severity != "notice"]
    said = printable(verdict(diagnosis))
    print(f"{printable(name)}: {coloured(said, COLOURS[alarms[0].severity] if alarms else 'green', sys.stdout)}")
    groups = grouped(diagnosis.findings)
    for root, others in groups:
        if root.severity != "notice":
            print()
            _show_finding(root)
            for one in others:
                print(f"  {'follows':9}{_headline(one)}")
    for line in heatmap(run, diagnosis, sys.stdout):
        print(line)
    notices = [one for root, others in groups if root.severity == "notice" for one in (root, *others)]
    if notices:
        print("\nhints, which are no alarm:")
    for one in notices:
        print(coloured(f"  {_headline(one)}", "dim", sys.stdout))
        print(coloured(f"    {printable(one.innocent)}", "dim", sys.stdout))
    _show_missing(diagnosis)


def _headline(one: Finding) -> str:
    head = f"{coloured(one.severity, COLOURS[one.severity], sys.stdout)} {one.type} in {_name(one)}, {steps(one)}"
    return f"{head}: {printable('; '.join(map(figure, one.evidence)))}"


def _name(one: Finding) -> str:
    """Of a long name the end, which tells tensors of a model apart."""
    shown = printable(where(one))
    return shown if len(shown) <= LONGEST_NAME else "…" + shown[1 - LONGEST_NAME :]


def _show_finding(one: Finding) -> None:
    severity = coloured(f"{one.severity:8}", COLOURS[one.severity], sys.stdout)
    print(f"{severity} {coloured(f'{one.type} in {_name(one)}', 'bold', sys.stdout)}")
    lines = [("when", steps(one)), *(("evidence", figure(each)) for each in one.evidence)]
    lines += [("causes", cause) for cause in one.causes[:LISTED]]
    lines += [("do", action) for action in one.actions[:LISTED]]
    lines += [("unless", one.innocent), ("rule", one.rule)]
    before = ""
    for head, text in lines:
        print(f"  {'' if head == before else head:9}{printable(text)}")
        before = head


def _show_missing(diagnosis: Diagnosis) -> None:
    by_advice: dict[str, list[str]] = {}
    for one in diagnosis.missing:
        by_advice.setdefault(one.advice, []).append(one.rule)
    if by_advice:
        print("\nnot looked at, since nothing was recorded that tells:")
    for advice, rules in by_advice.items():
        print(f"  {', '.join(map(printable, rules))}: {printable(advice)}")
