"""Rows → the archive.

A row of level 0 goes into the journal at once. Once there are enough rows of a level they become one row group: it is
appended to the level's segment, ``fsync`` waits for it, an entry in the index makes it count, and the journal of its
rows is deleted. Whatever a crash cuts short, each row is then found once: in the index, else in a journal. Coarser
rows have no journal, since a reader makes those that are missing from finer ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import defaultdict, deque
from itertools import accumulate, islice
from pathlib import Path

from .archive import MAGIC, SCHEMA, Entry, Name, open_file
from .archive_room import make_room, total_bytes
from .columns import PREDICTED_KINDS
from .format import MAX_SCHEMA_BYTES, FormatError, Schema
from .records import HEAD_BYTES, RecordFile, read_records
from .rowgroup import CodedRow, RowGroup, encode

#: Rows of a row group; fewer, but at least so many, where these have so many bytes.
GROUP_ROWS, MIN_GROUP_ROWS, GROUP_BYTES = 64, 16, 32 << 20
#: Rows of a level that wait while the disk fails; fewer, but at least so many, where these have so many bytes.
MAX_WAITING, MIN_WAITING, WAITING_BYTES = 256, 32, 64 << 20
#: Rows that the journal gets with one write.
JOURNAL_ROWS = 16
#: A segment ends when it has a 16th of what is to be kept, but no fewer and no more bytes.
MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES = 1 << 20, 64 << 20

_NEW = os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class _Queue:
    """Rows of one level, in step order."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._rows: deque[CodedRow] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, row: CodedRow) -> None:
        self._rows.append(row)
        self.nbytes += row.nbytes

    def drop(self, count: int) -> None:
        """Removes the first ``count`` rows."""
        for _ in range(count):
            self.nbytes -= self._rows.popleft().nbytes

    def drop_until(self, step: int) -> None:
        """Removes the rows that begin before ``step``."""
        self.drop(sum(row.start < step for row in self._rows))

    def first(self, count: int, behind: int = 0) -> list[CodedRow]:
        """At most ``count`` rows, behind the first ``behind`` ones."""
        return list(islice(self._rows, behind, behind + count))

    def group(self, rest: bool) -> list[CodedRow]:
        """The first rows, if they are enough for a row group, or if those that are left are wanted, too."""
        if len(self._rows) >= MIN_GROUP_ROWS and self.nbytes >= GROUP_BYTES:
            sizes = accumulate(row.nbytes for row in self.first(GROUP_ROWS))
            return self.first(max(MIN_GROUP_ROWS, 1 + sum(size < GROUP_BYTES for size in sizes)))
        return self.first(GROUP_ROWS) if rest or len(self._rows) >= GROUP_ROWS else []


class ArchiveWriter:
    """Writes one stream of one session below ``directory``, which it shares with others; used by one thread.

    ``keep``: bytes that all of them together may have, None for as many as it takes. Beyond, segments and journals are
    deleted as ``archive_room.py`` says. Rows queue in :meth:`add`; :meth:`flush` is to be
    called before :data:`MAX_WAITING` of them wait, else the oldest are dropped, as they are when the disk fails for
    long: the coarser rows have them.
    """

    def __init__(self, directory: Path, schema: Schema, keep: int | None) -> None:
        self._archive = directory
        self._directory = directory / schema.session
        self._schema = schema
        self._keep = keep
        sixteenth = MAX_SEGMENT_BYTES if keep is None else keep // 16
        self._segment_bytes = min(max(sixteenth, MIN_SEGMENT_BYTES), MAX_SEGMENT_BYTES)
        self._rows: defaultdict[int, _Queue] = defaultdict(_Queue)  # of each level, in no segment yet
        self._segments: dict[int, RecordFile] = {}  # by level, those being written
        self._numbers: defaultdict[int | None, int] = defaultdict(int)  # the next segment of a level, the next journal
        self._index: RecordFile | None = None
        self._journal: RecordFile | None = None
        self._journalled = 0  # rows of level 0 that stand in it: the first ones
        self._outdated: list[Path] = []  # journals whose rows are elsewhere, or will be with the next flush
        self._unchecked = 0  # bytes journalled since it was last seen what all files have
        self._began = False
        self._dropped = False

    @property
    def waiting(self) -> int:
        """Rows of level 0 that are not yet on disk."""
        return len(self._rows[0]) - self._journalled

    def add(self, row: CodedRow) -> None:
        """Queues ``row``, which begins where the last one of its level ended, or later."""
        queue = self._rows[row.level]
        queue.append(row)
        while len(queue) > MAX_WAITING or (len(queue) > MIN_WAITING and queue.nbytes > WAITING_BYTES):
            queue.drop(1)
            self._dropped = True
            if row.level == 0:
                self._journalled = max(0, self._journalled - 1)

    def flush(self) -> None:
        """Journals what is new and makes full row groups. May be called again after an OSError: no row is lost by it,
        and none is on disk in a way that a reader would count twice."""
        if any(self._rows.values()):
            # What was dropped stands in coarser rows alone, so these do not wait until they are many.
            self._write(rest=self._dropped)
            self._dropped = False

    def close(self) -> None:
        """Writes what is left, and closes the files; raises OSError as :meth:`flush` does."""
        try:
            if any(self._rows.values()) or self._outdated or self._journal is not None:
                self._write(rest=True)
        finally:
            for file in (self._index, *self._segments.values()):
                if file is not None:
                    file.close()
            self._retire_journal()

    def _write(self, rest: bool) -> None:
        index = self._opened_index()
        self._write_journal()
        wrote = False
        for level in sorted(self._rows):
            while rows := self._rows[level].group(rest):
                self._write_group(index, level, rows)
                wrote = True
        self._write_journal()  # anew what a row group left over
        if self._outdated:
            index.sync()
        while self._outdated:
            self._outdated[0].unlink(missing_ok=True)
            del self._outdated[0]
        if self._keep is not None and (wrote or self._unchecked > self._segment_bytes // 4):
            self._make_room(index, self._keep)
            self._unchecked = 0

    def _write_journal(self) -> None:
        if self._journal is not None and not self._journal.linked():
            self._retire_journal()
        while rows := self._rows[0].first(JOURNAL_ROWS, self._journalled):
            # One row a record, so that a row group that takes some rows of a journal takes whole records.
            records = [encode([row], self._schema, deflated=()) for row in rows]
            if self._journal is None:
                self._journal = self._created(None)
            self._journal.append(*records)
            for row in rows:
                row.alone.clear()
            self._journalled += len(rows)
            self._unchecked += sum(map(len, records))

    def _retire_journal(self) -> None:
        if self._journal is not None:
            self._outdated.append(self._journal.path)
            self._journal.close()
        self._journal, self._journalled = None, 0

    def _write_group(self, index: RecordFile, level: int, rows: list[CodedRow]) -> None:
        data = encode(rows, self._schema, PREDICTED_KINDS)
        segment = self._opened_segment(level)
        number = self._numbers[level] - 1
        begin = segment.end
        entry = Entry(level, number, begin + HEAD_BYTES, len(data), RowGroup.of(data, self._schema).table)
        try:
            segment.append(data)
            segment.sync()
            index.append(entry.encode())
        except OSError:
            with contextlib.suppress(OSError):
                segment.cut(begin)
            raise
        self._rows[level].drop(len(rows))
        if level == 0:
            self._retire_journal()

    def _opened_segment(self, level: int) -> RecordFile:
        segment = self._segments.get(level)
        # Another writer may have deleted it to make room.
        if segment is None or segment.end >= self._segment_bytes or not segment.linked():
            if segment is not None:
                self._segments.pop(level).close()
            self._segments[level] = segment = self._created(level)
        return segment

    def _created(self, level: int | None) -> RecordFile:
        """A new segment, or a new journal."""
        while True:
            number = self._numbers[level]
            file = RecordFile(self._directory / str(Name(self._schema.stream, level, number)))
            self._numbers[level] += 1
            with contextlib.suppress(FileExistsError):
                file.open(_NEW)
                try:
                    if level is not None:  # the index will tell of it, and may be on the disk before its name is
                        for path in (self._directory, self._archive, self._archive.parent):
                            _sync_directory(path)
                except OSError:
                    file.close()
                    raise
                return file

    def _opened_index(self) -> RecordFile:
        if self._index is not None and self._index.end and self._index.linked():
            return self._index
        if self._index is not None:
            self._index.close()
            self._index = None
        # If the event directory itself has vanished, it may be one that is mounted: it is not made a second time.
        self._archive.mkdir(parents=not self._began, exist_ok=True)
        self._directory.mkdir(exist_ok=True)
        self._index = RecordFile(self._directory / str(Name(self._schema.stream)))
        self._index.open(getattr(os, "O_NOFOLLOW", 0))
        self._began = True
        if self._index.end:
            self._continue(self._index)
        if not self._index.end:
            # Twice: without its schema nothing can be read.
            self._index.append(*[SCHEMA + self._schema.encode()] * 2)
        return self._index

    def _continue(self, index: RecordFile) -> None:
        """Continues an index that is ours, of a directory that was gone for a while: what it has is no longer due."""
        whole = 0
        with open_file(index.path) as file:
            for data, end in read_records(file, 0, MAX_SCHEMA_BYTES, MAGIC):
                whole = end
                if data is not None and data.startswith(SCHEMA):
                    if data != SCHEMA + self._schema.encode():
                        raise FileExistsError(errno.EEXIST, "expected no file, or the index of this session", file.name)
                elif data is not None:
                    with contextlib.suppress(FormatError):
                        entry = Entry.decode(data)
                        self._rows[entry.level].drop_until(int(entry.table["stop"][-1]))
        self._retire_journal()
        index.cut(whole)

    def _make_room(self, index: RecordFile, keep: int) -> None:
        if total_bytes(self._archive) <= keep:
            return
        # Steps that now go are to be had from coarser rows alone, so these do not wait until they are many.
        with contextlib.suppress(OSError):
            for level in sorted(level for level in self._rows if level > 0):
                while rows := self._rows[level].group(True):
                    self._write_group(index, level, rows)
        make_room(self._archive, keep)


def _sync_directory(path: Path) -> None:
    """Where a system has no such thing, a name may be lost with the power. Raises OSError when the disk fails."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except PermissionError:  # what Windows says of a directory
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)
