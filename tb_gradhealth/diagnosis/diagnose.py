"""``diagnose``: a recorded run → what is the matter with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..reading.opened import OpenRun, open_run
from . import settings as configured
from .engine import Engine
from .finding import Finding, Missing, Severity
from .replay import replay
from .rule import Rule
from .rules import RULES


@dataclass(frozen=True)
class Diagnosis:
    """``findings``: worst first. ``missing``: rules that had nothing to look at, and what to record for them.
    ``problems``: sentences on rules that failed and on files that cannot be read."""

    findings: tuple[Finding, ...]
    missing: tuple[Missing, ...]
    steps: tuple[int, int]  # looked at, half-open
    streams: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity of the gravest finding."""
        return self.findings[0].severity if self.findings else None


def diagnose(
    run: str | os.PathLike[str] | OpenRun,
    settings: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    rules: Sequence[Rule] = RULES,
    progress: Callable[[float, float], None] = lambda done, total: None,
    most: int | None = None,
) -> Diagnosis:
    """Everything that ``rules`` find in a run that is finished, or as far as it has come.

    ``settings`` are those of a TOML file, as a mapping or as its path; ``progress`` is told how far it is. A run of
    more than ``most`` rows (:data:`.replay.MOST_ROWS`) is looked at in coarser ones. Raises FileNotFoundError where
    there is no run, and SettingsError for settings that name what there is not.
    """
    opened = run if isinstance(run, OpenRun) else open_run(run)
    if settings is not None and not isinstance(settings, Mapping):
        settings = configured.read(settings)
    engine = Engine(configured.apply(settings, rules))
    begin, last = opened.steps if opened.streams else (0, 0)
    first = end = begin
    for number, row in enumerate(replay(opened, engine.wanted, most=most)):
        first, end = row.start if number == 0 else first, row.stop
        engine.add(row)
        progress(end - begin, last - begin)
    return concluded(engine, opened, (first, end))


def concluded(engine: Engine, run: OpenRun, steps: tuple[int, int]) -> Diagnosis:
    """What ``engine`` makes of the rows of ``steps`` that it was fed."""
    return Diagnosis(engine.findings, engine.missing, steps, tuple(run.streams), (*engine.problems, *run.problems))
