"""Blocks of measured steps → rows → events, on a thread of its own.

The training thread only hands blocks over. When the disk is slower than the training, rows that wait are merged
pairwise: memory stays bounded and no spike is lost, only resolution. What cannot be written is kept and tried again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.compat.proto.types_pb2 import DT_UINT8
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gradhealth_kernels.metrics import Metric
from gradhealth_kernels.statistics import merge as merge_space

from .. import rows as interval
from ..nodes import Tree
from ..notes import Note, bounded
from ..rows import Rows
from .blocks import Block, Number, notes_of
from .format import PLUGIN, Schema, Tag, metadata
from .row import MAX_NAME_BYTES, Scalar, encode_row

#: Blocks that may wait for the thread; the training thread turns further ones into rows itself.
MAX_BLOCKS = 64
#: Rows that may wait for the disk; beyond, neighbours are merged.
MAX_ROWS = 64
#: A tag is closed at this size: a reader that follows a live run reads only the last one again.
SEGMENT_BYTES = 1 << 20
RETRY_SECONDS = (1.0, 30.0)
LAST_ATTEMPT_SECONDS = 0.05


class Sink(Protocol):
    """Where events go; raises OSError when it cannot take one now."""

    def append(self, event: Event) -> None: ...

    def close(self) -> None: ...


@dataclass
class PendingRow:
    """One row on its way to the file."""

    rows: Rows
    scalars: dict[str, Scalar]
    notes: list[Note] = field(default_factory=list)

    def merged(self, later: PendingRow) -> PendingRow:
        scalars = dict(self.scalars)
        for name, scalar in later.scalars.items():
            scalars[name] = add_scalar(scalars.get(name), scalar)
        rows = interval.merge(interval.concatenate([self.rows, later.rows]), [0])
        return PendingRow(rows, scalars, bounded([*self.notes, *later.notes]))


def add_scalar(total: Scalar | None, more: Scalar) -> Scalar:
    """The TIME merge of logged values."""
    if total is None:
        return more
    return Scalar(total.count + more.count, total.sum + more.sum, min(total.min, more.min), max(total.max, more.max))


class RowBuilder:
    """Collects blocks until a row is full; rows end at multiples of ``every``."""

    def __init__(self, tree: Tree, metrics: Sequence[Metric], every: int) -> None:
        self._tree, self._metrics, self._every = tree, metrics, every
        self._open: PendingRow | None = None
        self._notes: list[Note] = []  # of steps that have no row yet
        self._names = tree.tensor_names

    def add(self, block: Block) -> list[PendingRow]:
        """The rows that ``block`` completes, in step order."""
        entries, attempts = block.read()
        self._notes = bounded([*self._notes, *notes_of(block, entries, attempts, self._names)])
        if block.dropped:
            return []
        logged = [*block.logged, *(("loss_scale", a.loss_scale) for a in attempts if a.loss_scale is not None)]
        nodes = merge_space(entries[:, self._tree.leaf_order], self._tree.start, self._tree.stop)
        steps = interval.from_steps(block.first_step, nodes, self._metrics)
        number = steps.start // self._every
        groups = [i for i in range(len(steps)) if i == 0 or number[i] != number[i - 1]]
        merged = interval.merge(steps, groups)
        done = []
        for i in range(len(merged)):
            one = PendingRow(interval.take(merged, i), _scalars(logged) if i == len(merged) - 1 else {})
            one.notes, self._notes = _until(self._notes, one.rows)
            if self._open is not None and int(self._open.rows.start[0]) // self._every != int(number[groups[i]]):
                done += self.cut()  # steps are missing up to the end of the open row
            self._open = one if self._open is None else self._open.merged(one)
            if int(self._open.rows.stop[0]) % self._every == 0:
                done.append(self._open)
                self._open = None
        return done

    def cut(self) -> list[PendingRow]:
        """The row under construction, ended early, with the notes of what came after its last step."""
        row, self._open = self._open, None
        if row is None:
            return []
        row.notes = bounded([*row.notes, *(note for note in self._notes if note.step <= int(row.rows.stop[0]))])
        self._notes = []
        return [row]


def _until(notes: Sequence[Note], rows: Rows) -> tuple[list[Note], list[Note]]:
    """Notes up to the end of a row, and the others. Those of steps that no row has go with the next one."""
    start, stop = int(rows.start[0]), int(rows.stop[0])
    before = [replace(note, step=max(note.step, start)) for note in notes if note.step < stop]
    return before, [note for note in notes if note.step >= stop]


def _scalars(logged: Sequence[tuple[str, Number]]) -> dict[str, Scalar]:
    totals: dict[str, Scalar] = {}
    for name, value in logged:
        try:
            number = float(value() if callable(value) else value)
        except Exception:  # a value that its device did not give back costs itself alone
            continue
        # What is no text in UTF-8, or too long, must not cost the row that it stands in.
        text = name.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")
        totals[text] = add_scalar(totals.get(text), Scalar(1, number, number, number))
    return totals


class Encoder:
    """One session's way into the event file. ``report`` is told each problem; nothing raises to the caller."""

    def __init__(self, sink: Sink, schema: Schema, builder: RowBuilder, report: Callable[[str], None]) -> None:
        self._sink, self._schema, self._builder, self._report = sink, schema, builder, report
        self._blocks: deque[Block] = deque()
        self._rows: deque[PendingRow] = deque()
        # Re-entrant, since the garbage collector may close a writer wherever it runs.
        self._lock = threading.RLock()  # guards both queues
        self._building = threading.RLock()  # keeps blocks in order; never held while writing
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = math.inf
        self._segment, self._segment_bytes = 0, 0
        self._described = False
        self._thread = threading.Thread(target=self._run, name="gradhealth-encoder", daemon=True)
        self._thread.start()

    def submit(self, block: Block) -> None:
        """Hand a block over; called on the training thread."""
        with self._lock:
            self._blocks.append(block)
            crowded = len(self._blocks) > MAX_BLOCKS
        if crowded:
            self._build()
        self._wake.set()

    def close(self, timeout: float) -> None:
        """Cut the open row and write what waits, for at most ``timeout`` seconds."""
        self.finish(timeout)
        self.join()

    def finish(self, timeout: float) -> None:
        """Begin what :meth:`close` does; does not wait."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()

    def join(self) -> None:
        """Wait for what :meth:`finish` began."""
        if threading.current_thread() is self._thread:
            return
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._thread.is_alive() or self._rows:
            waiting = f"{len(self._rows)} rows" if self._rows else "rows"
            self._report(
                f"{waiting} of gradient statistics could not be written within the time that closing has and are lost: "
                "check that the log directory is writable and has space"
            )

    def is_alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause, retry_at = RETRY_SECONDS[0], 0.0  # 0: the last write succeeded
        while True:
            self._wake.wait(max(0.0, retry_at - time.monotonic()) if retry_at else None)
            self._wake.clear()
            closing = self._closing.is_set()
            while self._build():
                pass
            if closing:
                self._queue(self._builder.cut())
            elif time.monotonic() < retry_at:
                continue
            if self._write_all():
                pause, retry_at = RETRY_SECONDS[0], 0.0
                left = 0.0
            else:
                left = self._deadline - time.monotonic()
                # The nearer the end, the sooner the next attempt: the last one comes just before it.
                retry_at = time.monotonic() + min(pause, left / 2)
                pause = min(2 * pause, RETRY_SECONDS[1])
            if closing and left < LAST_ATTEMPT_SECONDS:
                self._close_sink()
                return

    def _close_sink(self) -> None:
        try:
            self._sink.close()
        except Exception as error:  # a network file system may tell only now what it did not take
            self._report(f"the event file could not be closed ({type(error).__name__}: {error})")

    def _build(self) -> bool:
        """Turn the oldest block into rows; False when there is none."""
        with self._building:
            with self._lock:
                if not self._blocks:
                    return False
                block = self._blocks.popleft()
            try:
                self._queue(self._builder.add(block))
            except Exception as error:  # a broken block must cost itself, not the session
                self._report(
                    f"steps from {block.first_step} on could not be summarised ({type(error).__name__}: {error})"
                )
        return True

    def _queue(self, rows: list[PendingRow]) -> None:
        with self._lock:
            self._rows.extend(rows)
            if len(self._rows) > MAX_ROWS:
                waiting = list(self._rows)
                pairs = [waiting[i].merged(waiting[i + 1]) for i in range(0, len(waiting) - 1, 2)]
                self._rows = deque(pairs + waiting[len(waiting) & ~1 :])

    def _write_all(self) -> bool:
        """Write every waiting row; False when the sink cannot take one now."""
        while True:
            with self._lock:
                row = self._rows.popleft() if self._rows else None
            if row is None:
                return True
            try:
                self._write(row)
            except OSError as error:
                with self._lock:
                    self._rows.appendleft(row)
                self._report(
                    f"the log directory cannot be written now ({error}); rows are kept, merged, and tried again"
                )
                return False
            except Exception as error:  # one row that cannot be encoded must not stop the ones behind it
                self._report(f"a row could not be encoded ({type(error).__name__}: {error})")

    def _write(self, row: PendingRow) -> None:
        if not self._described:
            schema = Event(wall_time=time.time(), step=self._schema.start_step)
            tag = Tag(self._schema.session, self._schema.stream)
            schema.summary.value.append(self._tensor(tag, self._schema.encode()))
            self._sink.append(schema)
            self._described = True
        data = encode_row(row.rows, 0, self._schema, row.scalars, row.notes)
        tag = Tag(self._schema.session, self._schema.stream, 0, self._segment)
        # A row is complete at its last step, where its scalars stand too.
        event = Event(wall_time=time.time(), step=int(row.rows.stop[0]) - 1)
        event.summary.value.append(self._tensor(tag, data))
        event.summary.value.extend(self._summary(row))
        self._sink.append(event)
        self._segment_bytes += len(data)
        if self._segment_bytes > SEGMENT_BYTES:
            self._segment, self._segment_bytes = self._segment + 1, 0

    def _tensor(self, tag: Tag, data: bytes) -> Summary.Value:
        value = Summary.Value(tag=str(tag))
        value.tensor.dtype = DT_UINT8
        value.tensor.tensor_shape.dim.add(size=len(data))
        value.tensor.tensor_content = data
        # TensorBoard keeps a tag's first metadata; standing in each event, a damaged first one costs only itself.
        value.metadata.data_class = DATA_CLASS_TENSOR
        value.metadata.plugin_data.plugin_name = PLUGIN
        value.metadata.plugin_data.content = metadata(self._schema.start_step, self._schema.wall_time)
        return value

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
        with np.errstate(over="ignore"):  # TensorBoard's scalars are float32
            return [value for tag, number in values.items() for value in scalar_pb(tag, number).value]
