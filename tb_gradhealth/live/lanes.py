"""Rows of several streams as their writers come to them → rows for the engine, as those of a finished run are.

A row of the first stream waits for what else is sampled in its steps, for a few seconds at most. Where rows come faster
than they are looked at, neighbours are merged: memory stays bounded and no spike is lost, only resolution.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ..diagnosis.row import Frame, Row
from ..diagnosis.together import frame_of, nodes_of, tensors_in, together
from ..nodes import Tree
from ..notes import bounded
from ..reading.frames import RowOfNodes
from ..store.coded import as_read
from ..store.format import Schema
from ..store.pending import PendingRow

#: What may wait of a stream: rows, and their bytes if there are at least two.
MAX_ROWS, MAX_BYTES = 256, 32 << 20
#: So long a row waits for samples that should be on their way; a stream that lets it wait is not waited for again until
#: something comes of it.
HOLD_SECONDS = 5.0
#: The stream whose rows are looked at; of others the samples that fall into them.
LEAD = "gradients"


class Lane:
    """One stream. What is added comes from a writer's thread, and is taken on another."""

    def __init__(self, lanes: Lanes, schema: Schema, tree: Tree, metrics: Sequence[str]) -> None:
        self._lanes, self._schema, self._metrics = lanes, schema, metrics
        self._which = nodes_of(tree)
        self._tensors = tensors_in(tree, {node.name: node for node in schema.nodes if node.kind == "tensor"})
        self.waiting: deque[tuple[float, PendingRow]] = deque()  # each with when it came
        self.covered = -1  # what is sampled of the steps before has come
        self.idle = False
        self._taken = -1  # first step of the sample that was taken last

    def add(self, row: PendingRow) -> None:
        """The row behind those before it, or more of the sample that came last."""
        self._lanes.add(self, row)

    def end(self) -> None:
        """Nothing more will come."""
        self._lanes.end(self)

    def put(self, row: PendingRow) -> bool:
        """Whether there was no room, so that rows were merged."""
        if row.start <= self._taken or not row.rows.recorded[0]:
            return False
        self.covered, self.idle = row.stop, False
        most = max(2, min(MAX_ROWS, MAX_BYTES // max(1, row.nbytes)))
        if self.waiting and self.waiting[-1][1].start == row.start:
            self.waiting[-1] = time.monotonic(), row
        else:
            self.waiting.append((time.monotonic(), row))
        if len(self.waiting) <= most:
            return False
        if self._schema.sampled:
            self.waiting.popleft()
            return False
        rows = list(self.waiting)
        pairs = [(at, one.merged(other)) for (at, one), (_, other) in zip(rows[::2], rows[1::2], strict=False)]
        self.waiting = deque(pairs + rows[len(rows) & ~1 :])
        return True

    def next_before(self, step: int) -> PendingRow | None:
        """Takes the next row, if it begins before ``step``."""
        with self._lanes.lock:
            if not self.waiting or self.waiting[0][1].start >= step:
                return None
            row = self.waiting.popleft()[1]
            self._taken = row.start
            return row

    def frame(self, row: PendingRow) -> Frame:
        return self.shown(self.read(row))

    def shown(self, row: RowOfNodes) -> Frame:
        return frame_of(self._tensors, row)

    def read(self, row: PendingRow) -> RowOfNodes:
        """``row`` as a reader of the files will have it."""
        which, rows = self._which, row.rows
        planes = as_read(rows, self._schema, self._metrics)
        return RowOfNodes(
            row.start,
            row.stop,
            {name: plane[:, which] for name, plane in planes.items()},
            rows.steps[0][which],
            rows.first_bad[0][which],
            row.scalars,
            [note for note in bounded(row.notes) if note.step >= row.start],
        )


class Lanes:
    """All streams that are looked at; ``wanted`` names their metrics, ``wake`` is called when something came."""

    def __init__(self, wanted: Mapping[str, Sequence[str]], wake: Callable[[], None]) -> None:
        self.lock = threading.RLock()  # since the garbage collector may close a writer wherever it runs
        self._closed = False
        #: Whether rows had to be merged.
        self.coarse = False
        self._wanted, self._wake = wanted, wake
        self._lanes: dict[str, Lane] = {}
        self._ended: set[Lane] = set()

    def begin(self, schema: Schema, tree: Tree) -> Lane | None:
        """A stream's own; None for one that nothing is read of."""
        if schema.stream not in self._wanted:
            return None
        lane = Lane(self, schema, tree, self._wanted[schema.stream])
        with self.lock:
            self._lanes[schema.stream] = lane
        return lane

    def add(self, lane: Lane, row: PendingRow) -> None:
        with self.lock:
            if self._closed:
                return
            self.coarse |= lane.put(row)
        self._wake()

    def close(self) -> None:
        """Keep nothing any more."""
        with self.lock:
            self._closed = True
            for lane in self._lanes.values():
                lane.waiting.clear()

    def end(self, lane: Lane) -> None:
        with self.lock:
            self._ended.add(lane)
        self._wake()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        with self.lock:
            return len(self._ended) == len(self._lanes)

    def next(self) -> Row | float | None:
        """The next row, or in how many seconds there is one at the latest; None where none waits."""
        with self.lock:
            lead = self._lanes.get(LEAD)
            if lead is None or not lead.waiting:
                return None
            came, row = lead.waiting[0]
            late = [lane for lane in self._lanes.values() if lane is not lead and self._is_late(lane, row)]
            left = came + HOLD_SECONDS - time.monotonic()
            if late and left > 0 and len(lead.waiting) < MAX_ROWS // 2:
                return left
            for lane in late:
                lane.idle = True
            lead.next_before(row.stop)
            others = {name: lane for name, lane in sorted(self._lanes.items()) if lane is not lead}
        read = lead.read(row)
        return together(LEAD, lead.shown(read), read, others)

    def _is_late(self, lane: Lane, row: PendingRow) -> bool:
        return not lane.idle and lane not in self._ended and lane.covered < row.stop
