"""What is done on a finding: log, warn, call, or stop the training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..cli.terminal import printable
from ..diagnosis.telling import sentence
from ..findings import SEVERITIES, Finding, Severity

_log = logging.getLogger("tb_gradhealth")

Name = Literal["log", "warn", "stop"]
Do = Name | Callable[[Finding], object]

LEVELS: dict[Severity, int] = {
    "critical": logging.ERROR,
    "high": logging.WARNING,
    "medium": logging.INFO,
    "low": logging.INFO,
    "notice": logging.DEBUG,
}
#: What one is done on at the least, where nothing else is said.
LEAST: dict[Name, Severity] = {"log": "notice", "warn": "low", "stop": "critical"}


class FindingWarning(UserWarning):
    """A finding about the training, by ``on_finding="warn"``."""


class TrainingStopped(RuntimeError):
    """Raised by ``optimizer.step()``, by ``on_finding="stop"``: that step is complete, on all ranks;
    :attr:`finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return printable(f"{self.finding.severity} {sentence(self.finding)}")


@dataclass(frozen=True)
class Action:
    """Done on findings that are ``least`` or graver."""

    do: Do
    least: Severity


def parse(on_finding: Any) -> tuple[Action, ...]:
    """None stands for the default. Raises TypeError or ValueError."""
    if on_finding is None:
        on_finding = "log"
    several = not isinstance(on_finding, str) and not callable(on_finding) and isinstance(on_finding, Iterable)
    return tuple(_action(one) for one in (on_finding if several else (on_finding,)))


def _action(given: Any) -> Action:
    expected = f"on_finding: expected {', '.join(map(repr, LEAST))}, a function of a finding, or a list of these"
    if callable(given):
        return Action(given, "notice")
    if not isinstance(given, str):
        raise TypeError(f'{expected}, got {type(given).__name__}: pass ["log", "stop"] to log and to stop')
    word, colon, severity = given.partition(":")
    name = next((one for one in LEAST if one == word), None)
    if name is None:
        raise ValueError(f'{expected}, got {given!r}: "stop:high" stops on findings that are high or graver')
    if not colon:
        return Action(name, LEAST[name])
    if severity not in SEVERITIES:
        raise ValueError(f"on_finding: expected {name}: and one of {', '.join(SEVERITIES)}, got {given!r}")
    return Action(name, severity)


class Alarm:
    """Does what was asked for; called on a thread of ours. ``report`` is told each problem."""

    def __init__(self, actions: Iterable[Action], report: Callable[[str], None]) -> None:
        self._actions, self._report = tuple(actions), report
        self._failed: set[int] = set()
        self._gravest: dict[tuple[int, str], int] = {}  # told by each action, of a rule and what it explains
        #: Why the training is to stop; whoever stops it takes this away.
        self.stop: Finding | None = None

    def tell(self, finding: Finding) -> None:
        for number, action in enumerate(self._actions):
            if SEVERITIES.index(finding.severity) > SEVERITIES.index(action.least):
                continue
            explained = self._is_explained(number, finding)
            try:
                self._do(action.do, finding, explained)
            except (Exception, SystemExit) as error:  # a function of the user's; told once, and called again
                if number not in self._failed:
                    self._failed.add(number)
                    self._report(f"on_finding: {type(error).__name__}: {error}")

    def _is_explained(self, number: int, finding: Finding) -> bool:
        """By what was told already, and was as grave: a medium finding may explain a critical one."""
        key, grave = (number, finding.follows or finding.rule), SEVERITIES.index(finding.severity)
        before = self._gravest.get(key, len(SEVERITIES))
        self._gravest[key] = min(before, grave)
        return bool(finding.follows) and before <= grave

    def _do(self, do: Do, finding: Finding, explained: bool) -> None:
        if callable(do):
            do(finding)
        elif do == "stop":
            self.stop = self.stop or finding
        elif do == "log":
            level = LEVELS[finding.severity]
            _log.log(min(level, logging.INFO) if explained else level, "%s", told(finding))
        elif not explained:
            try:
                warnings.warn(told(finding), FindingWarning, stacklevel=2)
            except FindingWarning:  # warnings turned into errors: this thread is not the one to end
                _log.log(LEVELS[finding.severity], "%s", told(finding))


def told(finding: Finding) -> str:
    return printable(f"{finding.severity} {sentence(finding)}")
