"""What was found so far, in one session after the other, for whoever asks the optimizer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from ..findings import Finding, stitched
from .actions import Alarm
from .stopping import Stopping

#: Sessions that are remembered; a training whose parameters change all the time has no end of them.
MAX_SESSIONS = 64


class Board:
    """Written by threads of ours, read by the training's; ``alarm`` tells of what is new on it, ``stopping`` whether to
    stop."""

    def __init__(self, alarm: Alarm, stopping: Stopping) -> None:
        self.alarm, self.stopping = alarm, stopping
        self._lock = threading.RLock()
        self._sessions: deque[_Session] = deque(maxlen=MAX_SESSIONS)

    def begin(self, step: int, every: int) -> Callable[[Sequence[Finding]], None]:
        """A session with rows of ``every`` steps begins at ``step``, and replaces what was found from there on; returns
        what shows its findings."""
        session = _Session(step, every)
        with self._lock:
            self._sessions.append(session)
        return session.show

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Worst first."""
        with self._lock:
            return stitched([(session.start, session.every, session.findings) for session in self._sessions])


class _Session:
    def __init__(self, start: int, every: int) -> None:
        self.start, self.every = start, every
        self.findings: Sequence[Finding] = ()

    def show(self, findings: Sequence[Finding]) -> None:
        self.findings = findings
