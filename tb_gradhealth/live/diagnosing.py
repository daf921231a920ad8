"""The diagnosis of one session, on a thread of its own: rows → engine → event file, and whoever is to be told.

What is told stands in the file already, so that a training that is killed right then leaves it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

from ..diagnosis.engine import Engine
from ..diagnosis.row import Row
from ..diagnosis.rule import Rule
from ..findings import GAP_ROWS, SEVERITIES, Finding
from ..nodes import Tree
from ..store.encoder import Retried
from ..store.format import Schema
from ..worker import Worker
from .lanes import Lane, Lanes
from .recording import Recording

#: What goes on is written again after so many seconds, or this part of the session's age: its end moves on.
REFRESH_SECONDS, REFRESH_AGE = 10.0, 0.05
#: … and shown to who asks the optimizer for it.
SHOWN_SECONDS = 1.0
#: Seconds of closing that are left for writing where writers do not end.
TO_WRITE = 0.5

_log = logging.getLogger("tb_gradhealth")

Key = tuple[str, str, str, int]  # rule, type, node, first step


class Diagnosing:
    """``tell`` gets each finding that is new, or graver than before, ``show`` all of them; both on the thread."""

    def __init__(
        self,
        rules: Sequence[Rule],
        recording: Recording,
        tell: Callable[[Finding], None],
        show: Callable[[Sequence[Finding]], None],
        report: Callable[[str], None],
    ) -> None:
        self._engine = Engine(rules)
        self._recording = recording
        self._tier = Retried(recording, "log directory", report)
        self._tell, self._show, self._report = tell, show, report
        self._worker = Worker("gradhealth-diagnosis", self._run)
        self._lanes = Lanes(self._engine.wanted, self._worker.wake)
        self._rows = 0
        self._step = 0  # the last one that was looked at
        self._severity: dict[Key, int] = {}
        self._seen: dict[Key, int] = {}  # the row in which evidence was seen last, of those that go on
        self._problems = 0  # of rules, as far as they were told
        self._coarse = False
        self._changed = False  # since the last record
        self._began = self._recorded = self._shown = time.monotonic()

    def begin(self, schema: Schema, tree: Tree) -> Lane | None:
        """A stream's own way in; None for one that nothing is read of."""
        with self._lanes.lock:  # ranks that gather begin each stream on a thread of its own
            if not self._worker.started:
                self._worker.start()
            return self._lanes.begin(schema, tree)

    def finish(self, timeout: float) -> None:
        """Look at what waits, and at what writers still bring, for at most ``timeout`` seconds; does not wait."""
        self._worker.finish(timeout)

    def join(self) -> None:
        """Wait for what :meth:`finish` began."""
        if self._worker.started and not self._worker.join():
            self._report("the last rows could not be diagnosed within the time that closing has: ask gradhealth report")

    def is_alive(self) -> bool:
        return self._worker.started and self._worker.is_alive()

    def _run(self) -> None:
        try:
            self._look_at_all()
        except Exception as error:
            self._report(f"the diagnosis ended early ({type(error).__name__}: {error})")
            self._lanes.close()
        finally:
            self._tier.close()

    def _look_at_all(self) -> None:
        pause: float | None = None
        while True:
            self._worker.wait(pause)
            closing = self._worker.closing.is_set()
            while isinstance(row := self._lanes.next(), Row):
                self._look(row)
            if closing and (self._lanes.ended or self._worker.left() < TO_WRITE):
                break
            self._tier.flush()
            pause = self._pause(row)
        if self._changed or self._recording.waiting:
            self._record(last=True)

    def _pause(self, next_row: float | None) -> float | None:
        """Seconds until there is something to do of itself."""
        times = [math.inf if next_row is None else next_row]
        if self._recording.waiting:
            times.append(max(0.1, self._tier.retry_at - time.monotonic()))
        if self._worker.closing.is_set():
            times.append(max(0.0, self._worker.left() - TO_WRITE))
        return None if min(times) == math.inf else min(times)

    def _look(self, row: Row) -> None:
        """Finds, writes, and tells, in this order."""
        found = self._engine.add(row)
        self._rows += 1
        self._step = row.stop - 1
        fresh = {_key(one): one for one in found if self._is_new(one)}
        self._changed |= bool(found)
        ended = [key for key, seen in self._seen.items() if self._rows - seen > GAP_ROWS]
        for key in ended:
            del self._seen[key]
        now = time.monotonic()
        refresh = max(REFRESH_SECONDS, REFRESH_AGE * (now - self._began))
        if fresh or ended or self._rows == 1 or (self._changed and now > self._recorded + refresh):
            self._record()
        elif found and now > self._shown + SHOWN_SECONDS:
            self._show(self._engine.findings)
            self._shown = now
        if fresh:
            # With the likeliest cause first, and what explains it: the engine knows that of all findings together.
            for one in self._engine.findings:
                if _key(one) in fresh:
                    self._tell(one)
        self._complain()

    def _is_new(self, one: Finding) -> bool:
        """Whether it is the first of its phase, or graver than before."""
        key, grave = _key(one), SEVERITIES.index(one.severity)
        self._seen[key] = self._rows
        known = self._severity.get(key)
        if known is not None and known <= grave:
            return False
        self._severity[key] = grave
        return True

    def _record(self, last: bool = False) -> None:
        findings = self._engine.findings
        self._show(findings)
        self._changed = not self._recording.put(findings, self._step, last)
        self._tier.flush(force=last)
        self._recorded = self._shown = time.monotonic()

    def _complain(self) -> None:
        problems = self._engine.problems
        for problem in problems[self._problems :]:
            self._report(f"{problem}; it is left out of the diagnosis")
        self._problems = len(problems)
        if self._lanes.coarse and not self._coarse:
            self._coarse = True
            _log.info("rows come faster than they can be diagnosed: from here on some are merged before")


def _key(one: Finding) -> Key:
    return one.rule, one.type, one.node, one.start
