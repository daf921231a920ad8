"""Every record and every checksum of a run, and what is lost where one does not fit."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from ..store import findings
from ..store.archive import DIRECTORY, MAGIC, SCHEMA, Entry, Name, is_session, open_file
from ..store.files import event_files
from ..store.format import MAX_SCHEMA_BYTES, PLUGIN, FormatError, Schema, Tag, check_metadata
from ..store.records import FRAME_BYTES, HEAD_BYTES, read_records
from ..store.row_v1 import is_row, part_of_row
from ..store.rowgroup import MAGIC as GROUP
from ..store.rowgroup import RowGroup
from .find import archive_files

Key = tuple[str, str]  # session, stream
Table = npt.NDArray[Any]  # rowgroup.ROW


@dataclass(frozen=True)
class Damage:
    """``lost`` says which rows, as far as that can be told."""

    path: Path
    offset: int  # bytes
    what: str
    lost: str


@dataclass
class Soundness:
    """What was found of one run so far."""

    groups: int = 0  # row groups read
    bytes: int = 0  # of files read
    deleted: int = 0  # row groups that the archive gave up to stay within its size
    damages: list[Damage] = field(default_factory=list)


class Check:
    """Reads the run recorded in ``directory``, some of it with each step of an iteration; ``found`` fills meanwhile,
    until ``total`` bytes are read. The run may be being written."""

    def __init__(self, directory: Path) -> None:
        self.found = Soundness()
        self._events, self._root = event_files(directory), directory / DIRECTORY
        self._archive: dict[Path, Name] = {}
        for path in archive_files(directory):
            name = Name.parse(path.name)
            if name is not None and path.parent.parent == self._root and is_session(path.parent.name):
                self._archive[path] = name
        self.total = sum(_size(path) for path in (*self._events, *self._archive))
        self._schemas: dict[Key, Schema] = {}

    def __iter__(self) -> Iterator[None]:
        # The archive first: its schemas tell what the events mean, too, should theirs be damaged.
        for path, name in self._archive.items():
            if name.number is None:
                yield from self._index(path, name)
        for path, name in self._archive.items():
            if name.number is not None and path.with_name(str(Name(name.stream))) not in self._archive:
                self._damage(path, 0, "there is no index that tells what is in it", "all that it holds")
            elif name.number is not None and name.level is None:
                yield from self._journal(path, name)
        for path in self._events:
            yield from self._event_file(path)

    def _event_file(self, path: Path) -> Iterator[None]:
        gaps = _Gaps(self.found, path)
        with path.open("rb") as file:
            for offset, size, data in _records(file):
                self.found.bytes += size
                if data is None:
                    gaps.damaged(offset, _broken(file, offset, size))
                else:
                    self._event(data, offset, gaps)
                yield
        gaps.close()

    def _event(self, data: bytes, offset: int, gaps: _Gaps) -> None:
        try:
            values = Event.FromString(data).summary.value
        except DecodeError:
            gaps.damaged(offset, "a record that is no event")
            return
        for value in values:
            if value.metadata.plugin_data.plugin_name != PLUGIN and not value.tag.startswith(f"{PLUGIN}/"):
                continue
            try:
                if findings.session_of(value.tag) is not None:
                    gaps.findings(offset, value.tensor.tensor_content)
                    continue
                tag = Tag.parse(value.tag)
                # Events of format 1 have metadata only where a tag begins.
                if value.metadata.plugin_data.content:
                    check_metadata(value.metadata.plugin_data.content)
                self._payload(tag, value.tensor.tensor_content, gaps)
            except FormatError as error:
                gaps.damaged(offset, str(error))

    def _payload(self, tag: Tag, data: bytes, gaps: _Gaps) -> None:
        """What stands under a tag of ours. Raises FormatError."""
        key = tag.session, tag.stream
        if tag.level is None:
            self._schemas.setdefault(key, Schema.decode(data))
            return
        table = _group(data, tag.level, self._schema(key))
        self.found.groups += 1
        gaps.sound(key, tag.level, table)

    def _index(self, path: Path, name: Name) -> Iterator[None]:
        key, gaps = (path.parent.name, name.stream), _Gaps(self.found, path)
        entries = []
        with open_file(path) as file:
            for offset, size, data in _records(file, MAX_SCHEMA_BYTES, MAGIC):
                self.found.bytes += size
                try:
                    if data is None:
                        gaps.damaged(offset, _broken(file, offset, size))
                    elif data.startswith(SCHEMA):
                        self._schemas.setdefault(key, Schema.decode(data[len(SCHEMA) :]))
                    else:
                        entries.append(Entry.decode(data))
                        gaps.sound(key, entries[-1].level, entries[-1].table)
                except FormatError as error:
                    gaps.damaged(offset, str(error))
        gaps.close()
        place = attrgetter("level", "segment", "offset")
        for (level, segment), some in itertools.groupby(sorted(entries, key=place), attrgetter("level", "segment")):
            yield from self._segment(path.with_name(str(Name(name.stream, level, segment))), key, some)

    def _segment(self, path: Path, key: Key, entries: Iterable[Entry]) -> Iterator[None]:
        try:
            file = open_file(path)
        except FileNotFoundError:
            self.found.deleted += sum(1 for _ in entries)
            return
        with file:
            for entry in entries:
                try:
                    data, _ = next(read_records(file, max(0, entry.offset - HEAD_BYTES)), (None, 0))
                    if data is None or len(data) != entry.size:
                        raise FormatError("the record that the index tells of is not there, or is damaged")
                    if _group(data, entry.level, self._schema(key)).tobytes() != entry.table.tobytes():
                        raise FormatError("the rows are not those that the index tells of")
                    self.found.groups += 1
                except FormatError as error:
                    self._damage(path, entry.offset, str(error), _rows(entry.level, entry.table))
                self.found.bytes += entry.size + FRAME_BYTES
                yield

    def _journal(self, path: Path, name: Name) -> Iterator[None]:
        key, gaps = (path.parent.name, name.stream), _Gaps(self.found, path)
        try:
            file = open_file(path)
        except FileNotFoundError:  # its rows have moved to a segment meanwhile
            return
        with file:
            for offset, size, data in _records(file, magic=GROUP):
                self.found.bytes += size
                try:
                    if data is None:
                        gaps.damaged(offset, _broken(file, offset, size))
                    else:
                        gaps.sound(key, 0, _group(data, 0, self._schema(key)))
                        self.found.groups += 1
                except FormatError as error:
                    gaps.damaged(offset, str(error))
                yield
        gaps.close()

    def _schema(self, key: Key) -> Schema:
        if key not in self._schemas:
            raise FormatError(f"rows of session {key[0]}, which has no readable schema")
        return self._schemas[key]

    def _damage(self, path: Path, offset: int, what: str, lost: str) -> None:
        self.found.damages.append(Damage(path, offset, what, lost))


class _Gaps:
    """Damage to one file, until the rows behind it tell what is missing."""

    def __init__(self, found: Soundness, path: Path) -> None:
        self._found, self._path = found, path
        self._stops: dict[tuple[Key, int], int] = {}  # of a stream and level, the end of the last row
        self._waiting: list[tuple[int, str]] = []
        self._behind: set[tuple[Key, int]] = set()  # those that go on behind the damage

    def damaged(self, offset: int, what: str) -> None:
        self._waiting.append((offset, what))
        self._behind = set()

    def findings(self, offset: int, data: bytes) -> None:
        """A record of what was found, which rows have no part in."""
        try:
            findings.decode(data)
        except FormatError as error:
            self._found.damages.append(Damage(self._path, offset, str(error), "findings that no other record has"))

    def sound(self, key: Key, level: int, table: Table) -> None:
        """Rows that can be read, ``table``."""
        place, start = (key, level), int(table["start"][0])
        before, self._stops[place] = self._stops.get(place), int(table["stop"][-1])
        if self._waiting:
            self._behind.add(place)
            if before is not None and start > before:
                self._settle(f"rows of level {level}, steps [{before}, {start})")

    def close(self) -> None:
        """What no gap was found for cost the end of a level, or no row at all."""
        ends = [
            f"level {place[1]}, if any, from step {stop} on"
            for place, stop in sorted(self._stops.items())
            if place not in self._behind
        ]
        if not self._stops:
            self._settle("all rows of this file")
        else:
            self._settle(f"rows of {', '.join(ends)}" if ends else "no rows")

    def _settle(self, lost: str) -> None:
        self._found.damages += [Damage(self._path, offset, what, lost) for offset, what in self._waiting]
        self._waiting = []


def _records(file: BinaryIO, most: int = 1 << 30, magic: bytes = b"") -> Iterator[tuple[int, int, bytes | None]]:
    """Offset, size and data of each record; None for what is not sound, as the end of the file may be."""
    at, size = 0, os.fstat(file.fileno()).st_size
    for data, end in read_records(file, 0, most, magic):
        if end > at:
            yield at, end - at, data
        at = end
    # What has grown is being written.
    if at < size == os.fstat(file.fileno()).st_size:
        yield at, size - at, None


def _broken(file: BinaryIO, offset: int, size: int) -> str:
    if offset + size == os.fstat(file.fileno()).st_size:
        return f"the last {size} bytes are no whole record: they were cut short, or are damaged"
    return f"{size} bytes are damaged: a checksum does not fit"


def _group(data: bytes, level: int, schema: Schema) -> Table:
    """Which rows of ``level`` ``data`` holds, once all of it was read. Raises FormatError."""
    if is_row(data):
        part = part_of_row(data, schema)
        part.open().check()
        return part.table
    group = RowGroup.of(data, schema)
    group.check()
    if group.level != level:
        raise FormatError(f"expected rows of level {level}, got some of level {group.level}")
    return group.table


def _rows(level: int, table: Table) -> str:
    return f"{len(table)} rows of level {level}, steps [{table['start'][0]}, {table['stop'][-1]})"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
