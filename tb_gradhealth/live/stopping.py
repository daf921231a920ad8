"""One end for all ranks of a training: behind the same step on each of them, or on none.

A rank that left by itself would leave the others waiting in their next collective. So the rank that has the findings
asks in the merge of rows, which all take part in anyway. Behind it each learns the highest step that one of them has
completed; a few more are the step at which all could stop, and each that is not past it promises to wait behind it
until it is decided. The last to promise decides for it; one that cannot, or has waited too long, against it. The first
word in the store stands, so that all get the same answer. Until there is a promise the training thread waits for
nothing, and then for seconds at most.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from ..findings import Finding
from ..ranks import Membership, appear
from ..store.findings import Found, decode, encode
from ..store.format import FormatError
from .actions import Alarm, told

#: Steps beyond the furthest rank, twice as many at each try: a thread of ours may be slow, and steps fast.
AHEAD, MAX_TRIES = 2, 12
#: How long ranks wait for each other's promise, and for each other to know what was decided, as the store may go with
#: the first that ends.
PROMISE_SECONDS, KNOWN_SECONDS = 3.0, 2.0
#: How long training waits behind a step that was promised, once: longer only where the store does not answer.
HOLD_SECONDS = 8.0

_log = logging.getLogger("tb_gradhealth")


class _Promise:
    def __init__(self, step: int) -> None:
        self.step = step
        self.is_decided = threading.Event()
        self.finding: Finding | None = None  # why all stop; None where they do not
        self._patience = HOLD_SECONDS

    def decide(self, finding: Finding | None) -> None:
        self.finding = finding
        self.is_decided.set()

    def wait(self) -> Finding | None:
        self.is_decided.wait(self._patience)
        self._patience = 0.0
        return self.finding


class Stopping:
    """When ``alarm`` wants the training to stop. ``alone`` tells whether no other rank trains with this one."""

    def __init__(self, alarm: Alarm, alone: Callable[[], bool]) -> None:
        self._alarm, self._alone = alarm, alone
        self._lock = threading.Lock()
        self._passed = -1
        self._promises: list[_Promise] = []
        self._channel: Channel | None = None  # of the newest session, while its ranks record together
        self._asking: Channel | None = None

    def due(self, step: int) -> Finding | None:
        """Why to stop behind ``step``, which is complete; once for each finding. Called on the training thread."""
        with self._lock:
            self._passed = step
            promises = [one for one in self._promises if one.step <= step] if self._promises else ()
        for promise in promises:
            finding = promise.wait()
            if promise.is_decided.is_set():
                self._forget(promise)
            if finding is not None:
                return finding
        if self._alarm.stop is None:
            return None
        if self._alone():
            return self._take()
        if self._channel is None:
            self._give_up("the ranks do not record together")
        return None

    def channel(self) -> Channel:
        """That of a new session."""
        self._channel = Channel(self)
        return self._channel

    def _promise(self, step: int) -> _Promise | None:
        """None where training may be past it already."""
        with self._lock:
            if self._passed >= step:
                return None
            promise = _Promise(step)
            self._promises.append(promise)
            return promise

    def _forget(self, promise: _Promise) -> None:
        with self._lock:
            self._promises = [one for one in self._promises if one is not promise]

    def _take(self) -> Finding | None:
        finding, self._alarm.stop = self._alarm.stop, None
        return finding

    def _give_up(self, why: str) -> None:
        finding = self._take()
        if finding is not None:
            _log.error(
                "on_finding: the training is not stopped, since %s, and a rank that left alone would leave the others "
                "waiting: broadcast what optimizer.gradhealth.findings has on this rank, and end the loop on all (%s)",
                why,
                told(finding),
            )


class Channel:
    """The way to the other ranks in one session. Called on the thread on which they merge rows."""

    def __init__(self, stopping: Stopping) -> None:
        self._all = stopping
        self._wanted: Finding | None = None
        self._number = 0
        self._tries, self._seconds = 0, 0.0  # since all agreed

    def asks(self) -> bool:
        """Whether this rank wants all to stop; :meth:`agree` is called next, or :meth:`close`."""
        whole = self._all
        with whole._lock:
            if whole._channel is not self or whole._asking not in (None, self):
                return False
            self._wanted = whole._alarm.stop
            whole._asking = None if self._wanted is None else self
            return self._wanted is not None

    def agree(self, me: Membership, room: str, highest: Callable[[int], int]) -> None:
        """Some rank asks, and each knows; ``highest`` is a collective. Raises what that raises."""
        began = time.monotonic()
        self._number += 1
        self._tries += 1
        key, finding = f"{room}/stop/{self._number}", self._wanted
        if finding is not None:
            me.store.set(f"{key}/why", encode(Found(0, 0.0, (finding,))))
        step = highest(self._all._passed + (AHEAD << min(self._tries, MAX_TRIES) - 1))
        promise = self._all._promise(step)
        agreed: Finding | None = None
        try:
            why = finding or _why(me, key)
            if _decided(me, key, promise is not None and why is not None):
                agreed = why
                _known(me, key)
        except Exception as error:  # the store went with the rank that held it
            _log.debug("ranks could not agree on where to stop", exc_info=error)
        finally:
            if promise is not None:
                promise.decide(agreed)
                if agreed is None:
                    self._all._forget(promise)
        self._wanted, self._seconds = None, self._seconds + time.monotonic() - began
        if finding is not None:
            self._asked(agreed is not None)
        if agreed is not None:
            self._tries, self._seconds = 0, 0.0

    def close(self) -> None:
        """The ranks do not merge rows any more."""
        if self._all._channel is self:
            self._all._channel = None
        if self._all._asking is self:
            self._all._asking = None

    def _asked(self, agreed: bool) -> None:
        if agreed:
            self._all._take()
        elif self._tries >= MAX_TRIES or self._seconds > PROMISE_SECONDS:
            self._all._give_up("not all ranks could promise to stop at one step")
        self._all._asking = None


def _why(me: Membership, key: str) -> Finding | None:
    """None for one that files do not take either."""
    with contextlib.suppress(FormatError):
        for finding in decode(me.store.get(f"{key}/why")).findings:
            return finding
    return None


def _decided(me: Membership, key: str, promised: bool) -> bool:
    """Whether all ranks stop: the same on each."""
    verdict, until = f"{key}/verdict", time.monotonic() + PROMISE_SECONDS
    word = "go"
    if promised:
        if me.store.add(f"{key}/promised", 1) == len(me.ranks):
            word = "stop"
        elif appear(me.store, [verdict], lambda: until - time.monotonic()):
            return bool(me.store.get(verdict) == b"stop")
    return bool(me.store.compare_set(verdict, "", word) == b"stop")


def _known(me: Membership, key: str) -> None:
    until = time.monotonic() + KNOWN_SECONDS
    with contextlib.suppress(Exception):
        known = me.store.add(f"{key}/known", 1)
        while known < len(me.ranks) and time.monotonic() < until:
            time.sleep(0.002)
            known = me.store.add(f"{key}/known", 0)
