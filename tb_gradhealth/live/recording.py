"""The findings of a session on their way into its event file."""

from __future__ import annotations

import time

from tensorboard.compat.proto.event_pb2 import Event

from ..findings import Finding
from ..sinks import FlushedSink
from ..store.events import tensor_value
from ..store.findings import Found, encode, tag
from ..store.format import metadata
from ..store.records import FRAME_BYTES

#: Beyond half of the budget a record is written after so many seconds at the earliest, however grave.
SPARSE_SECONDS = 60.0


class Recording:
    """Each record has all that was found so far, within ``budget`` bytes together but for the last one. One thread."""

    def __init__(self, sink: FlushedSink, session: str, start: int, wall_time: float, budget: int) -> None:
        self._sink, self._budget = sink, budget
        self._tag, self._about = tag(session), metadata(start, wall_time)
        self._start, self._wall_time = start, wall_time
        self._event: Event | None = None  # that waits
        self._step, self._spent, self._written = -1, 0, 0.0

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return int(self._event is not None)

    def put(self, findings: tuple[Finding, ...], step: int, last: bool = False) -> bool:
        """What was found up to the step ``step``, in place of what waits. False where bytes are too short for it, which
        they never are for the ``last`` one."""
        data = encode(Found(self._start, self._wall_time, findings))
        # Steps grow within a tag, so that they tell a reader that there is something new.
        event = Event(wall_time=time.time(), step=max(step, self._step + 1))
        event.summary.value.append(tensor_value(self._tag, data, self._about))
        size = event.ByteSize() + FRAME_BYTES
        sparse = 2 * (self._spent + size) > self._budget
        early = time.monotonic() < self._written + SPARSE_SECONDS
        if not last and sparse and (early or self._spent + size > self._budget):
            return False
        self._event = event
        return True

    def flush(self) -> None:
        """Raises OSError, after which what waits still does."""
        event = self._event
        if event is None:
            return
        self._sink.append(event)
        self._sink.flush()
        self._step, self._written, self._event = event.step, time.monotonic(), None
        self._spent += event.ByteSize() + FRAME_BYTES

    def close(self) -> None:
        self._sink.close()
