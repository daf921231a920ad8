"""One session's rows, decoded a block at a time when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ..notes import Note
from ..rows import NEVER
from .format import FormatError, Schema
from .row import RowPayload

#: Rows that are decoded together: at most so many, and so few that a plane of them has at most so many values.
BLOCK_ROWS = 256
BLOCK_VALUES = 1 << 21
CACHE_BYTES = 96 << 20


class BlockCache:
    """The most recently used blocks of decoded values, within :data:`CACHE_BYTES`."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[tuple[object, ...], npt.NDArray[np.generic]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...], make: Callable[[], npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
        block = make()
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self._bytes += block.nbytes
            while self._bytes > CACHE_BYTES and len(self._blocks) > 1:
                self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block


class Session:
    """The rows of one writer's life, in step order and disjoint. ``report`` is told the first step of a row that cannot
    be decoded, and why."""

    def __init__(
        self, schema: Schema, rows: list[RowPayload], cache: BlockCache, report: Callable[[int, str], None]
    ) -> None:
        self.schema = schema
        self.metrics = {metric.name: position for position, metric in enumerate(schema.metrics)}
        self.start = np.array([row.start for row in rows], np.int64)
        self.stop = np.array([row.stop for row in rows], np.int64)
        self.block_rows = max(1, min(BLOCK_ROWS, BLOCK_VALUES // len(schema.nodes)))
        self._rows, self._cache, self._report = rows, cache, report
        self._noted = np.array([row.has_notes for row in rows], np.bool_)

    def block(self, section: str, number: int) -> npt.NDArray[np.generic]:
        """Decoded rows of a section from ``number * block_rows`` on: ``[plane, row, node]``, float64 for a metric's
        mean, min and max, int64 for "steps" and "counts". A row that cannot be decoded reads as "no data"."""
        rows = self._rows[number * self.block_rows : (number + 1) * self.block_rows]
        # A block that has grown, or whose rows have moved because another turned up before them, has other ends.
        key = (self.schema.session, self.schema.stream, section, len(rows), rows[0].start, rows[-1].stop)
        return self._cache.get(key, lambda: np.stack([self._decode(row, section) for row in rows], axis=1))

    def _decode(self, row: RowPayload, section: str) -> npt.NDArray[np.generic]:
        count = len(self.schema.nodes)
        try:
            if section == "steps":
                return row.steps()
            if section == "counts":
                return row.counts()
            return row.metric(self.metrics[section])
        except FormatError as error:
            self._report(row.start, str(error))
            if section == "steps":
                return np.stack([np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, NEVER)])
            if section == "counts":
                return np.zeros((len(self.schema.counts), count), np.int64)
            return np.full((3, count), np.nan)

    def notes(self, begin: int, end: int, until: int) -> Iterator[Note]:
        """Notes of the steps ``[begin, end)`` that survive a replacement from ``until`` on, in step order. Rows without
        any cost nothing."""
        for index in np.flatnonzero(self._noted & (self.start < min(end, until)) & (self.stop >= begin)):
            row = self._rows[index]
            try:
                # A note at the end of a row that survives whole is of what came before that step.
                last = until if row.stop > until else until + 1
                yield from (note for note in row.notes() if begin <= note.step < min(end, last))
            except FormatError as error:
                self._report(row.start, f"its notes: {error}")
