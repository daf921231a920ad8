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
from dataclasses import dataclass, field
from typing import Protocol

from gradhealth_kernels.metrics import Metric
from gradhealth_kernels.statistics import Entries
from gradhealth_kernels.statistics import merge as merge_space
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.compat.proto.types_pb2 import DT_UINT8
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from .. import rows as interval
from ..nodes import Tree
from ..rows import Rows
from .format import PLUGIN, Scalar, Schema, Tag, encode_row, metadata

#: Blocks that may wait for the thread; the training thread turns further ones into rows itself.
MAX_BLOCKS = 64
#: Rows that may wait for the disk; beyond, neighbours are merged.
MAX_ROWS = 64
#: A tag is closed at this size: a reader that follows a live run reads only the last one again.
SEGMENT_BYTES = 1 << 20
RETRY_SECONDS = (1.0, 30.0)


class Sink(Protocol):
    """Where events go; raises OSError when it cannot take one now."""

    def append(self, event: Event) -> None: ...

    def close(self) -> None: ...


class Taken(Protocol):
    """Entries ``[step, tensor]`` that may still be on their way from a device."""

    def entries(self) -> Entries: ...


@dataclass
class Block:
    """Consecutive measured steps from ``first_step`` on, and what the loop logged meanwhile."""

    first_step: int
    taken: Taken
    logged: list[tuple[str, float | Callable[[], float]]] = field(default_factory=list)


@dataclass
class PendingRow:
    """One row on its way to the file."""

    rows: Rows
    scalars: dict[str, Scalar]

    def merged(self, later: PendingRow) -> PendingRow:
        scalars = dict(self.scalars)
        for name, scalar in later.scalars.items():
            scalars[name] = add_scalar(scalars.get(name), scalar)
        return PendingRow(interval.merge(interval.concatenate([self.rows, later.rows]), [0]), scalars)


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

    def add(self, block: Block) -> list[PendingRow]:
        """The rows that ``block`` completes, in step order."""
        leaves = block.taken.entries()[:, self._tree.leaf_order]
        nodes = merge_space(leaves, self._tree.start, self._tree.stop)
        steps = interval.from_steps(block.first_step, nodes, self._metrics)
        number = steps.start // self._every
        groups = [i for i in range(len(steps)) if i == 0 or number[i] != number[i - 1]]
        merged = interval.merge(steps, groups)
        done = []
        for i in range(len(merged)):
            one = PendingRow(interval.take(merged, i), _scalars(block.logged) if i == len(merged) - 1 else {})
            self._open = one if self._open is None else self._open.merged(one)
            if int(self._open.rows.stop[0]) % self._every == 0:
                done.append(self._open)
                self._open = None
        return done

    def cut(self) -> list[PendingRow]:
        """The row under construction, ended early."""
        row, self._open = self._open, None
        return [] if row is None else [row]


def _scalars(logged: Sequence[tuple[str, float | Callable[[], float]]]) -> dict[str, Scalar]:
    totals: dict[str, Scalar] = {}
    for name, value in logged:
        number = value() if callable(value) else value
        totals[name] = add_scalar(totals.get(name), Scalar(1, number, number, number))
    return totals


class Encoder:
    """One session's way into the event file. ``report`` is told each problem; nothing raises to the caller."""

    def __init__(self, sink: Sink, schema: Schema, builder: RowBuilder, report: Callable[[str], None]) -> None:
        self._sink, self._schema, self._builder, self._report = sink, schema, builder, report
        self._blocks: deque[Block] = deque()
        self._rows: deque[PendingRow] = deque()
        self._lock = threading.Lock()  # guards both queues
        self._building = threading.Lock()  # keeps blocks in order; never held while writing
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = math.inf
        self._segment, self._segment_bytes = 0, 0
        self._described: set[str] = set()
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
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        if self._thread.is_alive() or self._rows:
            self._report(
                f"{len(self._rows)} rows of gradient statistics could not be written within {timeout:.0f} s of closing "
                "and are lost: check that the log directory is writable and has space"
            )

    def _run(self) -> None:
        pause = RETRY_SECONDS[0]
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing.is_set()
            while self._build():
                pass
            if closing:
                self._queue(self._builder.cut())
            while not self._write_all():
                if time.monotonic() + pause > self._deadline:
                    return
                self._closing.wait(pause)
                pause = min(2 * pause, RETRY_SECONDS[1])
                while self._build():
                    pass
            pause = RETRY_SECONDS[0]
            if closing:
                self._sink.close()
                return

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
        schema_tag = str(Tag(self._schema.session, self._schema.stream))
        if schema_tag not in self._described:
            schema = Event(wall_time=time.time(), step=self._schema.start_step)
            schema.summary.value.append(self._tensor(schema_tag, self._schema.encode()))
            self._sink.append(schema)
            self._described.add(schema_tag)
        data = encode_row(row.rows, 0, self._schema, row.scalars)
        tag = str(Tag(self._schema.session, self._schema.stream, 0, self._segment))
        # A row is complete at its last step, where its scalars stand too.
        event = Event(wall_time=time.time(), step=int(row.rows.stop[0]) - 1)
        event.summary.value.append(self._tensor(tag, data))
        event.summary.value.extend(self._summary(row))
        self._sink.append(event)
        self._described.add(tag)
        self._segment_bytes += len(data)
        if self._segment_bytes > SEGMENT_BYTES:
            self._segment, self._segment_bytes = self._segment + 1, 0

    def _tensor(self, tag: str, data: bytes) -> Summary.Value:
        value = Summary.Value(tag=tag)
        value.tensor.dtype = DT_UINT8
        value.tensor.tensor_shape.dim.add(size=len(data))
        value.tensor.tensor_content = data
        if tag not in self._described:  # TensorBoard keeps only a tag's first metadata
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
        found: list[Summary.Value] = []
        for tag, number in values.items():
            found.extend(scalar_pb(tag, number).value)
        return found
