"""Blocks of measured steps → rows of every level → the two tiers, on a thread of its own.

The training thread only hands blocks over, unless so many wait that it has to help. Where the disk is slower than the
training, rows that wait are merged pairwise: memory stays bounded and no spike is lost, only resolution. What cannot be
written is kept and tried again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..worker import Worker
from .archive_writer import ArchiveWriter
from .blocks import Block
from .builder import RowBuilder
from .events import GROUP_ROWS, EventTier
from .format import Schema
from .levels import Levels
from .pending import PendingRow
from .rowgroup import code

#: Blocks that may wait for the thread; the training thread turns further ones into rows itself.
MAX_BLOCKS = 64
#: Rows that may wait for the thread; beyond, neighbours are merged.
MAX_ROWS = 64
#: What either may take, if there are at least two.
MAX_BYTES = 64 << 20
#: Rows are written together, this long after the last time at the earliest: a killed process loses no more.
FLUSH_SECONDS = 1.0
#: At the latest when so many of their bytes wait, or as many rows as one group has.
FLUSH_BYTES = 32 << 20
RETRY_SECONDS = (1.0, 30.0)
LAST_ATTEMPT_SECONDS = 0.05


class Tier(Protocol):
    """Somewhere that rows are written; both raise OSError while the disk does not take them."""

    @property
    def waiting(self) -> int: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Feed(Protocol):
    """Gets the rows of a stream beside its files; neither waits nor raises."""

    def add(self, row: PendingRow) -> None:
        """The row behind those before it, or more of the sample that came last."""
        ...

    def end(self) -> None: ...


class Encoder:
    """One stream's way into its files, and to ``feed``. ``report`` is told each problem; nothing raises to
    the caller."""

    def __init__(
        self,
        events: EventTier,
        archive: ArchiveWriter | None,
        schema: Schema,
        builder: RowBuilder,
        report: Callable[[str], None],
        feed: Feed | None = None,
    ) -> None:
        self._events, self._archive, self._feed = events, archive, feed
        self._schema, self._builder, self._report = schema, builder, report
        self._levels = Levels(schema.every)
        self._tiers = [Retried(events, "log directory", report)]
        if archive is not None:
            self._tiers.append(Retried(archive, "archive", report))
        self._blocks: deque[Block] = deque()
        self._rows: deque[PendingRow] = deque()
        self._max_blocks = max(2, min(MAX_BLOCKS, MAX_BYTES // builder.block_bytes))
        self._max_rows = max(2, min(MAX_ROWS, MAX_BYTES // builder.row_bytes))
        # Re-entrant, since the garbage collector may close a writer wherever it runs.
        self._lock = threading.RLock()  # guards both queues
        self._building = threading.RLock()  # keeps blocks in order; never held while writing
        self._flushed, self._unflushed = -math.inf, 0
        self._at_once = max(1, min(GROUP_ROWS, FLUSH_BYTES // builder.row_bytes))
        self._worker = Worker("gradhealth-encoder", self._run)
        self._worker.start()

    def submit(self, block: Block) -> None:
        """Hand a block over; called on the training thread."""
        with self._lock:
            self._blocks.append(block)
            crowded = len(self._blocks) > self._max_blocks
        if crowded:
            self._build()
        self._worker.wake()

    def close(self, timeout: float) -> None:
        """Cut the open rows and write what waits, for at most ``timeout`` seconds."""
        self.finish(timeout)
        self.join()

    def finish(self, timeout: float) -> None:
        """Begin what :meth:`close` does; does not wait."""
        self._worker.finish(timeout)

    def join(self) -> None:
        """Wait for what :meth:`finish` began."""
        if not self._worker.join() or (self.waiting and not self.is_alive()):
            waiting = f"{self.waiting} rows" if self.waiting else "rows"
            self._report(
                f"{waiting} of gradient statistics could not be written within the time that closing has and are lost: "
                "check that the log directory is writable and has space"
            )

    def is_alive(self) -> bool:
        """Whether the thread still works."""
        return self._worker.is_alive()

    @property
    def waiting(self) -> int:
        """Rows that are not on their way to the disk yet, or did not get there."""
        return len(self._rows) + sum(tier.tier.waiting for tier in self._tiers)

    def _run(self) -> None:
        while True:
            self._worker.wait(self._pause())
            closing = self._worker.closing.is_set()
            # One after the other, since blocks may come as fast as they are built.
            while self._build():
                self._pass_on()
            if closing:
                self._guarded(lambda: self._queue(self._builder.cut()))
            self._pass_on()
            if closing:
                if self._feed is not None:
                    self._feed.end()
                self._end()
                return
            if time.monotonic() >= self._due():
                self._flush()

    def _flush(self) -> None:
        for tier in self._tiers:
            tier.flush()
        self._flushed, self._unflushed = time.monotonic(), 0

    def _pause(self) -> float | None:
        """Seconds until there is something to do of itself."""
        due = self._due()
        return None if due == math.inf else max(0.0, due - time.monotonic())

    def _due(self) -> float:
        """When to flush next, by the monotonic clock."""
        times = [math.inf]
        for tier in self._tiers:
            if tier.retry_at:
                times.append(tier.retry_at)
            elif tier.tier.waiting:
                times.append(self._flushed + FLUSH_SECONDS)
            elif tier.tier is self._events:
                times.append(self._events.due())
        return min(times)

    def _end(self) -> None:
        self._guarded(self._write_open)
        pause = RETRY_SECONDS[0]
        while sum(not tier.flush(force=True) for tier in self._tiers):
            left = self._worker.left()
            if left < LAST_ATTEMPT_SECONDS:
                break
            # The nearer the end, the sooner the next attempt: the last one comes just before it.
            time.sleep(min(pause, left / 2))
        for tier in self._tiers:
            tier.close()

    def _build(self) -> bool:
        """Turn the oldest block into rows; False when there is none."""
        with self._building:
            with self._lock:
                if not self._blocks:
                    return False
                block = self._blocks.popleft()
            try:
                self._queue(self._builder.add(block))
                # What is sampled is known before its row is over; others are handed on as they are written.
                if self._feed is not None and (sample := self._builder.sample) is not None:
                    self._feed.add(sample)
            except Exception as error:  # a broken block must cost itself, not the session
                self._report(
                    f"steps from {block.first_step} on could not be summarised ({type(error).__name__}: {error})"
                )
        return True

    def _queue(self, rows: list[PendingRow]) -> None:
        with self._lock:
            self._rows.extend(rows)
            if len(self._rows) > self._max_rows:
                waiting = list(self._rows)
                pairs = [waiting[i].merged(waiting[i + 1]) for i in range(0, len(waiting) - 1, 2)]
                self._rows = deque(pairs + waiting[len(waiting) & ~1 :])

    def _pass_on(self) -> None:
        """Rows that wait, and the coarser ones that are complete with them, to the tiers."""
        while True:
            with self._lock:
                row = self._rows.popleft() if self._rows else None
            if row is None:
                return
            self._guarded(partial(self._write_all, row))
            self._unflushed += 1
            if self._unflushed >= self._at_once or time.monotonic() >= self._due():
                self._flush()

    def _write_open(self) -> None:
        for level, row in self._levels.cut():
            self._write(level, row)

    def _write(self, level: int, row: PendingRow) -> None:
        wanted = self._archive is not None or self._events.wants(level)
        coded = code(row, level, self._schema) if wanted else None
        self._events.add(row, coded, level)
        if self._archive is not None and coded is not None:
            self._archive.add(coded)

    def _write_all(self, row: PendingRow) -> None:
        if self._feed is not None and not self._schema.sampled:
            self._feed.add(row)
        for level, done in self._levels.add(row):
            self._write(level, done)

    def _guarded(self, work: Callable[[], object]) -> None:
        """A row that cannot be encoded must not stop the ones behind it, nor the thread."""
        try:
            work()
        except Exception as error:
            self._report(f"a row could not be encoded ({type(error).__name__}: {error})")


class Retried:
    """A tier whose failures are told, and tried again later and later."""

    def __init__(self, tier: Tier, name: str, report: Callable[[str], None]) -> None:
        self.tier = tier
        self._name, self._report = name, report
        self._pause, self.retry_at = RETRY_SECONDS[0], 0.0  # 0: the last attempt succeeded

    def flush(self, force: bool = False) -> bool:
        """Whether everything that waits could be written."""
        if not force and time.monotonic() < self.retry_at:
            return False
        try:
            self.tier.flush()
        except OSError as error:
            self._report(f"the {self._name} cannot be written now ({error}); rows are kept, merged, and tried again")
        except Exception as error:  # ours, but it must not end the thread
            self._report(f"rows could not be written to the {self._name} ({type(error).__name__}: {error})")
        else:
            self._pause, self.retry_at = RETRY_SECONDS[0], 0.0
            return True
        self.retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, RETRY_SECONDS[1])
        return False

    def close(self) -> None:
        try:
            self.tier.close()
        except Exception as error:  # a network file system may tell only now what it did not take
            self._report(f"the {self._name} could not be closed ({type(error).__name__}: {error})")
