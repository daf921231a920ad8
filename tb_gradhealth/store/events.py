"""The event tier: rows → TensorBoard events, complete for a short run and bounded for a long one.

Each level goes out in full until its share of the budget is used up; from then on only coarser rows follow, and now and
then the steps since the last one, so that a live view is not as old as a coarse row is long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_UINT8
from tensorboard.plugins.scalar.metadata import create_summary_metadata

from .columns import ALL_KINDS, PREDICTED_KINDS, SPARSE_KINDS
from .format import PLUGIN, Schema, Tag, metadata
from .pending import PendingRow
from .records import FRAME_BYTES, FileLost
from .rowgroup import CodedRow, code, encode

#: Rows in one event at most.
GROUP_ROWS = 64
#: A tag is closed at this size: a reader that follows a live run reads only the last one again.
SEGMENT_BYTES = 1 << 20
#: Level k has the share (1/4)(3/4)^k of the budget, so that all levels together stay within it, however long the run.
FIRST_SHARE, NEXT_SHARE = 0.25, 0.75
#: A model too large for the budget gets as much as this many rows take.
MIN_ROWS = 32
#: Levels that a row may have for want of room in a finer one.
MAX_LEVELS = 16
#: Steps that no row shows yet are shown after so many seconds, or this part of the session's age.
TAIL_SECONDS, TAIL_AGE = 4.0, 0.01
#: … or so many times the part of its level's share that showing them takes: while a level is the finest, the age grows
#: about twelvefold, and exp(5 / 2) is 12, so that half of the share is left for complete rows.
TAIL_SPREAD = 5.0
#: Rows of a level that may wait for the disk, and their bytes; older ones are given up: a coarser row has them, too.
#: At least so many, since the last 16 of them may be in none yet.
MAX_WAITING_ROWS, MAX_WAITING_BYTES, MIN_WAITING_ROWS = 2 * GROUP_ROWS, 64 << 20, 17

_SCALAR = create_summary_metadata(display_name=None, description=None)


class Sink(Protocol):
    """Where events go; raises OSError when it cannot take one now, FileLost when those before are lost."""

    def append(self, event: Event) -> None: ...

    def close(self) -> None: ...


class EventTier:
    """One stream's rows in an event file, within ``budget`` bytes. Used by one thread."""

    def __init__(self, sink: Sink, schema: Schema, budget: int) -> None:
        self._sink, self._schema, self._budget = sink, schema, budget
        self._waiting: dict[int, list[tuple[PendingRow, CodedRow]]] = {}
        self._spent: dict[int, int] = {}
        self._segments: dict[int, tuple[int, int]] = {}  # level → number, bytes so far
        self._finest = 0  # levels below it have used up their share
        self._covered: dict[int, int] = {}  # level → end of its last row
        self._tail: PendingRow | None = None
        self._tail_bytes = 0  # of the last one
        self._summarised = 0  # TensorBoard's own scalars are written of the steps before
        self._began = self._shown = time.monotonic()
        self._described = False  # whether the schema is in the file
        self._counted = False  # whether the budget is without it

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return sum(map(len, self._waiting.values()))

    def wants(self, level: int) -> bool:
        """Whether a row of ``level`` will be written."""
        return level >= self._finest

    def add(self, row: PendingRow, coded: CodedRow | None, level: int) -> None:
        """A complete row; those of a level come in step order. ``coded`` may be None for a row that is not wanted."""
        if level < self._finest:
            if level == 0:
                self._tail = row if self._tail is None else self._tail.merged(row)
            return
        assert coded is not None
        self._covered[level] = row.stop
        if level == self._finest:
            self._tail = None
        waiting = self._waiting.setdefault(level, [])
        waiting.append((row, coded))
        room = max(MIN_WAITING_ROWS, min(MAX_WAITING_ROWS, MAX_WAITING_BYTES // (row.nbytes + coded.nbytes)))
        del waiting[: max(0, len(waiting) - room)]

    def due(self) -> float:
        """When, by the monotonic clock, the steps since the last row are to be shown; infinite if there are none."""
        if self._tail is None:
            return float("inf")
        part = max(TAIL_AGE, TAIL_SPREAD * self._tail_bytes / self._share(self._finest))
        return self._shown + max(TAIL_SECONDS, part * (self._shown - self._began))

    def flush(self) -> None:
        """Write what waits. Raises OSError, after which what could not be written still waits."""
        self._describe()
        for level in sorted(self._waiting):
            while self._waiting.get(level):
                self._write(level)
        if time.monotonic() >= self.due():
            self._write_tail()

    def close(self) -> None:
        """Write the steps that no row shows, at whichever level has room, and close the sink. Raises OSError."""
        try:
            while self._tail is not None and self._finest < MAX_LEVELS:
                self._describe()
                self._write_tail()
                self._finest += self._tail is not None
        finally:
            self._sink.close()

    def _describe(self) -> None:
        """Write the schema, without which no row can be read, unless it is there."""
        if self._described:
            return
        schema = Event(wall_time=time.time(), step=self._schema.start_step)
        tag = Tag(self._schema.session, self._schema.stream)
        schema.summary.value.append(self._tensor(tag, self._schema.encode()))
        self._put(schema)
        self._described = True
        if not self._counted:  # a file that was lost takes no room
            self._budget -= _size(schema)
            self._counted = True

    def _put(self, event: Event) -> None:
        try:
            self._sink.append(event)
        except FileLost:
            self._described = False
            raise

    def _write(self, level: int) -> None:
        """Some of the rows of a level that wait, or none if they would exceed its share."""
        waiting = self._waiting[level]
        count = min(len(waiting), GROUP_ROWS)
        events = self._events(waiting[:count], level)
        self._budget = max(self._budget, MIN_ROWS * sum(map(_size, events)) // count)
        while sum(map(_size, events)) > self._left(level):
            count //= 2
            if count == 0:
                self._give_up(level)
                return
            events = self._events(waiting[:count], level)
        for event in events:
            self._append(event, level)
        del waiting[:count]

    def _events(self, rows: Sequence[tuple[PendingRow, CodedRow]], level: int) -> list[Event]:
        """One at the end of each row, with TensorBoard's own scalars; the last one holds the row group, too."""
        # Coarser rows are few, and what a long run has: of these every byte counts.
        deflated = ALL_KINDS if level else PREDICTED_KINDS if len(rows) > 1 else SPARSE_KINDS
        data = encode([coded for _, coded in rows], self._schema, deflated)
        return [*(self._event(row, None, level) for row, _ in rows[:-1]), self._event(rows[-1][0], data, level)]

    def _share(self, level: int) -> float:
        return FIRST_SHARE * NEXT_SHARE**level * self._budget

    def _left(self, level: int) -> float:
        return self._share(level) - self._spent.get(level, 0)

    def _give_up(self, level: int) -> None:
        """From here on coarser rows alone are written; the steps that wait are shown with the next one of them."""
        self._finest = max(self._finest, level + 1)
        covered = self._covered.get(self._finest, self._schema.start_step)
        for row, _ in reversed(self._waiting.pop(level)):
            if row.start >= covered:
                self._tail = row if self._tail is None else row.merged(self._tail)

    def _write_tail(self) -> None:
        """The steps since the last row, as a short one of the finest level that has room."""
        row = self._tail
        assert row is not None
        event = self._event(row, encode([code(row, self._finest, self._schema)], self._schema), self._finest)
        self._tail_bytes = _size(event)
        if _size(event) > self._left(self._finest):
            self._shown = time.monotonic()  # its share is nearly used up: the full row decides
            return
        self._append(event, self._finest)
        self._tail = None

    def _event(self, row: PendingRow, data: bytes | None, level: int) -> Event:
        event = Event(wall_time=time.time(), step=row.stop - 1)
        if data is not None:
            number, _ = self._segments.get(level, (0, 0))
            event.summary.value.append(
                self._tensor(Tag(self._schema.session, self._schema.stream, level, number), data)
            )
        if level == self._finest and row.stop > self._summarised:
            event.summary.value.extend(self._summary(row))
        return event

    def _append(self, event: Event, level: int) -> None:
        if not event.summary.value:
            return
        self._put(event)
        self._spent[level] = self._spent.get(level, 0) + _size(event)
        if level == self._finest:
            self._shown = time.monotonic()
            self._summarised = max(self._summarised, event.step + 1)
        number, size = self._segments.get(level, (0, 0))
        size += len(event.summary.value[0].tensor.tensor_content)
        self._segments[level] = (number + 1, 0) if size > SEGMENT_BYTES else (number, size)

    def _tensor(self, tag: Tag, data: bytes) -> Summary.Value:
        return tensor_value(str(tag), data, metadata(self._schema.start_step, self._schema.wall_time))

    def _summary(self, row: PendingRow) -> list[Summary.Value]:
        """Ordinary scalars for TensorBoard's own tab: the whole stream's main metrics, and what was logged."""
        values = {}
        for position, metric in enumerate(self._schema.metrics):
            over = row.rows.steps_of(metric.over)[0, 0]
            if metric.name in ("norm", "near_zero_fraction", "nonfinite") and over:
                values[f"{self._schema.stream}/{metric.name}/max"] = row.rows.max[position, 0, 0]
                values[f"{self._schema.stream}/{metric.name}/mean"] = row.rows.sum[position, 0, 0] / over
        for name, scalar in row.scalars.items():
            values[f"logged/{name}"] = scalar.sum / scalar.count
        return [_scalar(tag, number) for tag, number in values.items()]


def tensor_value(tag: str, data: bytes, about: bytes) -> Summary.Value:
    """A payload of ours; ``about`` is the metadata."""
    value = Summary.Value(tag=tag)
    value.tensor.dtype = DT_UINT8
    value.tensor.tensor_shape.dim.add(size=len(data))
    value.tensor.tensor_content = data
    # TensorBoard keeps a tag's first metadata; standing in each event, a damaged first one costs only itself.
    value.metadata.data_class = DATA_CLASS_TENSOR
    value.metadata.plugin_data.plugin_name = PLUGIN
    value.metadata.plugin_data.content = about
    return value


def _scalar(tag: str, number: float) -> Summary.Value:
    """What ``scalar_pb`` of TensorBoard's summary_v2 makes, in a fifth of its time."""
    tensor = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(), float_val=[number])
    return Summary.Value(tag=tag, metadata=_SCALAR, tensor=tensor)


def _size(event: Event) -> int:
    """What it takes in a file, bytes."""
    size: int = event.ByteSize() + FRAME_BYTES
    return size
