"""What a judge is: a function from a recorded run to alarms, of which it sees some streams only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tb_gradhealth.reading.find import event_directory
from tb_gradhealth.reading.opened import OpenRun

from ..pathologies import Level

#: How grave the note has each type, for rules that do not say it themselves.
SEVERITY: dict[str, str] = {
    "NUMERICAL": "critical",
    "UNDERFLOW": "critical",
    "EXPLODING": "critical",
    "VANISHING": "critical",
    "DEAD": "high",
    "PROGRESSIVE_DEATH": "high",
    "SATURATED": "high",
    "MODE_COLLAPSE": "high",
    "UNSTABLE": "medium",
    "STALLED_COMPONENT": "medium",
    "BOTTLENECK": "medium",
    "SCALE_MISMATCH": "medium",
    "PLATEAU": "low",
    "OVERFITTING": "low",
}
SEVERITIES = ("critical", "high", "medium", "low", "notice")


@dataclass(frozen=True)
class Alarm:
    """``node`` is "" for the whole model; ``detected`` the step at which it could be said."""

    type: str
    severity: str
    node: str
    detected: int
    causes: tuple[str, ...] = ()


Judge: TypeAlias = Callable[[OpenRun], list[Alarm]]
"""Alarms, worst first."""

#: Which streams are seen at each level, all for None; loss and learning rate are at any.
STREAMS: dict[Level, frozenset[str] | None] = {
    "all": None,
    "weights": frozenset({"gradients", "weights", "updates"}),
    "gradients": frozenset({"gradients"}),
}
TITLES: dict[Level, str] = {
    "all": "all streams",
    "weights": "gradients + weights + updates",
    "gradients": "gradients alone",
}


class PartlySeen(OpenRun):
    """A run as if only some of its streams had been recorded."""

    def __init__(self, directory: Path, seen: frozenset[str] | None) -> None:
        super().__init__(directory)
        self._seen = seen

    @property
    def streams(self) -> list[str]:
        return [name for name in super().streams if self._seen is None or name in self._seen]


def opened(folder: Path, level: Level) -> OpenRun:
    return PartlySeen(event_directory(folder), STREAMS[level])


def worst_first(alarms: list[Alarm]) -> list[Alarm]:
    return sorted(alarms, key=lambda alarm: (SEVERITIES.index(alarm.severity), alarm.detected))
