"""The archive → row groups that can be opened. Everything here comes from files and is hostile until checked."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .archive import MAGIC, SCHEMA, Entry, Name, files, open_file, reading
from .format import MAX_SCHEMA_BYTES, FormatError, Schema
from .part import Part
from .records import FRAME_BYTES, HEAD_BYTES, read_records
from .rowgroup import MAGIC as ROW_GROUP
from .rowgroup import RowGroup

#: Memory for the row groups of an index that a reader knows of, one with its table; of more, the oldest of the finest
#: levels are left to coarser rows.
MAX_KNOWN_BYTES, PART_BYTES = 1 << 28, 1 << 10
#: Rows of one journal, of which a writer puts no more than 256 there while the disk is sound.
MAX_JOURNAL_ROWS = 4096
MAX_JOURNAL_BYTES = 1 << 29  # of one record of it
MAX_PROBLEMS = 100

_Listing = dict[tuple[str, str], dict[Name, tuple[int, int]]]  # (session, stream) → file → size, time of last change


@dataclass
class Archived:
    """One stream of one session: parts of one level come in step order, and no row comes twice."""

    schema: Schema
    parts: list[Part]


class Archive:
    """The archive in ``directory``; may be used by several threads. ``streams`` and ``problems`` are replaced, never
    changed, by :meth:`update`."""

    def __init__(self, directory: Path) -> None:
        self.streams: dict[tuple[str, str], Archived] = {}  # by (session, stream)
        self.problems: list[str] = []
        self.nbytes = 0  # memory that the tables of all parts take
        self._directory = directory
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._listed: _Listing = {}
        self._again = False  # whether something could not be read now
        self._updating = threading.Lock()
        self._seen: _Listing = {}
        self._progress = 0
        self._looking = threading.Lock()

    def progress(self) -> int:
        """A number that has grown if anything was written since the last call, or if the last update could not read
        everything; 0 when there is nothing."""
        with self._looking:
            try:
                seen = self._list()
            except OSError:
                return self._progress
            if seen != self._seen or (seen and self._again):
                self._seen, self._progress = seen, self._progress + 1
            return self._progress if seen else 0

    def update(self) -> bool:
        """Takes in what is new; returns whether there was anything. Reads indexes and journals, no segment. What cannot
        be read now is a problem until an update can."""
        with self._updating:
            try:
                return self._update()
            except OSError as error:
                self._again = True
                self._tell([f"the archive cannot be listed now: {error.strerror}"])
                return False

    def _update(self) -> bool:
        listed = self._list()
        if listed == self._listed and not self._again:
            return False
        for key in self._streams.keys() - listed.keys():
            del self._streams[key]
        room = MAX_KNOWN_BYTES - sum(stream.nbytes for stream in self._streams.values())
        for key, these in listed.items():
            stream = self._streams.setdefault(key, _Stream(self._directory / key[0], *key))
            if these != self._listed.get(key) or stream.unread:
                before = stream.nbytes
                stream.update(these, before + room)
                room -= stream.nbytes - before
        # Listed behind the index, so that every segment that it tells of is there, unless it has been deleted.
        now = self._list()
        streams = {}
        for key, stream in self._streams.items():
            stream.forget_all_but(now.get(key, {}))
            if stream.schema is not None:
                streams[key] = Archived(stream.schema, stream.parts())
        changed = streams != self.streams
        self.streams, self._listed = streams, listed
        self.nbytes = sum(_nbytes(archived.parts) for archived in streams.values())
        self._again = any(stream.unread for stream in self._streams.values())
        self._tell([])
        return changed

    def _tell(self, problems: list[str]) -> None:
        told = chain(problems, *(stream.problems() for stream in self._streams.values()))
        self.problems = list(islice(told, MAX_PROBLEMS))

    def _list(self) -> _Listing:
        found: _Listing = {}
        for session, name, entry in files(self._directory):
            about = (0, 0)
            if name.level is None:  # what a segment gets is in the index
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    about = (status.st_size, status.st_mtime_ns)
            found.setdefault((session, name.stream), {})[name] = about
        return found


@dataclass
class _Journal:
    file: int  # its inode
    offset: int = 0  # bytes read
    parts: list[Part] = field(default_factory=list)


class _Stream:
    """What was read of one stream until now."""

    def __init__(self, directory: Path, session: str, stream: str) -> None:
        self.schema: Schema | None = None
        self.nbytes = 0  # memory for what the index tells of
        self.unread: dict[Name, str] = {}  # what is wrong with files that could not be read by the last update
        self._damage: dict[Name, list[str]] = {}
        self._directory, self._session, self._stream = directory, session, stream
        self._file, self._offset = 0, 0  # the index's inode, bytes read
        self._segments: dict[int, dict[int, deque[Part]]] = {}  # level → number → row groups
        self._stop: dict[int, int] = {}  # level → the step where its indexed rows end
        self._journals: dict[int, _Journal] = {}  # by number

    def path(self, name: Name) -> Path:
        return self._directory / str(name)

    def problems(self) -> Iterator[str]:
        for name, told in (*self._damage.items(), *((name, [text]) for name, text in self.unread.items())):
            yield from (f"{self._session}/{name}: {text}" for text in told)

    def update(self, listed: Iterable[Name], most: int) -> None:
        self.unread = {}
        journals = sorted(n.number for n in listed if n.level is None and n.number is not None)
        for number in self._journals.keys() - set(journals):
            del self._journals[number]
            self._damage.pop(Name(self._stream, None, number), None)
        try:
            with open_file(self.path(Name(self._stream))) as index:
                about = os.fstat(index.fileno())
                if about.st_ino != self._file or about.st_size < self._offset:  # another one: the old was deleted
                    self.schema, self.nbytes, self._segments, self._stop = None, 0, {}, {}
                    self._file, self._offset = about.st_ino, 0
                if self.schema is None:
                    self._damage.pop(Name(self._stream), None)
                    self._read_schema(index)
                if self.schema is None:
                    return
                # Before the index: a journal is deleted once the index has its rows.
                for number in journals:
                    self._read_journal(number, self.schema)
                self._read_index(index, self.schema, most)
        except FileNotFoundError:
            return
        except OSError as error:
            self.unread[Name(self._stream)] = str(error.strerror)

    def forget_all_but(self, listed: Container[Name]) -> None:
        """Rows of segments that were deleted are to be had from coarser ones alone."""
        for level, numbers in self._segments.items():
            for number in [n for n in numbers if Name(self._stream, level, n) not in listed]:
                self.nbytes -= _nbytes(numbers.pop(number))

    def parts(self) -> list[Part]:
        found = [part for level in sorted(self._segments) for some in self._segments[level].values() for part in some]
        stop = self._stop.get(0, 0)
        for number in sorted(self._journals):
            for part in self._journals[number].parts:
                if part.table["start"][0] >= stop:
                    stop = part.table["stop"][-1]
                    found.append(part)
        return found

    def _read_schema(self, index: FileIO) -> None:
        for data, offset in read_records(index, 0, MAX_SCHEMA_BYTES, MAGIC):
            if data is None:
                self._problem(Name(self._stream), f"a record before byte {offset} is damaged")
            elif not data.startswith(SCHEMA):
                return  # both copies are gone
            else:
                try:
                    schema = Schema.decode(data[len(SCHEMA) :])
                    if (schema.session, schema.stream) != (self._session, self._stream):
                        raise FormatError(f"this is the schema of {schema.session}/{schema.stream}")
                    self.schema, self._offset = schema, offset
                    return
                except FormatError as error:
                    self._problem(Name(self._stream), str(error))

    def _read_index(self, index: FileIO, schema: Schema, most: int) -> None:
        name = Name(self._stream)
        for data, end in read_records(index, self._offset, MAX_SCHEMA_BYTES, MAGIC):
            self._offset = end
            if data is None:
                self._problem(name, f"an entry before byte {end} is damaged, its row group is not found")
            elif not data.startswith(SCHEMA):
                try:
                    self._take(Entry.decode(data), schema)
                except FormatError as error:
                    self._problem(name, f"the entry before byte {end}: {error}")
            while self.nbytes > most:
                finest = min(level for level, numbers in self._segments.items() if numbers)
                number, parts = next(iter(self._segments[finest].items()))
                self.nbytes -= _nbytes([parts.popleft()])
                if not parts:
                    del self._segments[finest][number]
                self._problem(name, "more rows than a reader keeps: the oldest are to be had from coarser ones alone")

    def _take(self, entry: Entry, schema: Schema) -> None:
        level, table = entry.level, entry.table
        if table["start"][0] < self._stop.get(level, 0):
            raise FormatError(f"expected rows of level {level} in step order, step {table['start'][0]} comes again")
        self._stop[level] = int(table["stop"][-1])
        path = self.path(Name(self._stream, level, entry.segment))
        part = Part(level, table, partial(_open, path, entry.offset, entry.size, level, table, schema))
        self._segments.setdefault(level, {}).setdefault(entry.segment, deque()).append(part)
        self.nbytes += _nbytes([part])

    def _read_journal(self, number: int, schema: Schema) -> None:
        name = Name(self._stream, None, number)
        path = self.path(name)
        try:
            with open_file(path) as file:
                about = os.fstat(file.fileno())
                journal = self._journals.get(number)
                if journal is None or journal.file != about.st_ino or about.st_size < journal.offset:
                    journal = self._journals[number] = _Journal(about.st_ino)
                    self._damage.pop(name, None)
                for data, end in read_records(file, journal.offset, MAX_JOURNAL_BYTES, ROW_GROUP):
                    journal.offset = end
                    if data is None:
                        self._problem(name, f"a record before byte {end} is damaged")
                        continue
                    try:
                        offset = end - FRAME_BYTES - len(data) + HEAD_BYTES
                        journal.parts.append(_journalled(path, offset, data, schema))
                    except FormatError as error:
                        self._problem(name, f"the record before byte {end}: {error}")
                    del journal.parts[:-MAX_JOURNAL_ROWS]
        except FileNotFoundError:  # its rows are in the index by now
            return
        except OSError as error:
            self.unread[name] = str(error.strerror)

    def _problem(self, name: Name, problem: str) -> None:
        told = self._damage.setdefault(name, [])
        if problem not in told and len(told) < MAX_PROBLEMS:
            told.append(problem)


def _nbytes(parts: Iterable[Part]) -> int:
    return sum(PART_BYTES + part.table.nbytes for part in parts)


def _open(path: Path, offset: int, size: int, level: int, table: npt.NDArray[Any], schema: Schema) -> RowGroup:
    group = RowGroup(reading(path, offset, size), size, schema)
    if group.level != level or group.table.tobytes() != table.tobytes():
        raise FormatError(f"{path.name} has other rows at byte {offset} than its index says")
    return group


def _journalled(path: Path, offset: int, data: bytes, schema: Schema) -> Part:
    group = RowGroup.of(data, schema)
    if group.level != 0 or len(group.table) > MAX_JOURNAL_ROWS:
        raise FormatError(f"expected rows of level 0, got {len(group.table)} of level {group.level}")
    table = group.table.copy()
    return Part(0, table, partial(_open, path, offset, len(data), 0, table, schema))
