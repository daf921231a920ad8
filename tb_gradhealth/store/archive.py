"""The archive: all rows at full resolution, in a directory beside the event file. What its writer and reader share.

    <event directory>/gradhealth_archive/<session>/<stream>.index               which rows are where
                                                  /<stream>.L<level>-<number>    segments: row groups of one level
                                                  /<stream>.journal-<number>     rows of level 0 that no segment has yet

Each file is a sequence of records (``records.py``). The data of those of an index begin with :data:`MAGIC`, row groups
with theirs, so damage to one costs none behind it. ``docs/format.md`` specifies each byte.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .format import PLUGIN, FormatError, Tag
from .rowgroup import MAX_ROWS, ROW, Read, check_rows

DIRECTORY = "gradhealth_archive"
MAX_SESSIONS = 4096
MAX_FILES = 1 << 16  # of one session
MAX_LEVEL = 15  # of 16^15 steps and more: a longer row has more than MAX_STEP
#: The data of every record of an index begin with this; the schema's, and those of an entry.
MAGIC = b"GHA"
SCHEMA, _ENTRY_MAGIC = b"GHAS", b"GHAE"
_ENTRY = struct.Struct("<4sHHIIQ")  # magic, level, rows, segment, size, offset

_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_REST = re.compile(r"index|(?:L([0-9]{1,2})|journal)-([0-9]{6,9})")


@dataclass(frozen=True)
class Name:
    """The name of a file: of a segment, of a journal (no level), of an index (no number either)."""

    stream: str
    level: int | None = None
    number: int | None = None

    def __str__(self) -> str:
        if self.number is None:
            return f"{self.stream}.index"
        return f"{self.stream}.{'journal' if self.level is None else f'L{self.level}'}-{self.number:06}"

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """None when ``text`` is no name of ours."""
        stream, _, rest = text.partition(".")
        match = _REST.fullmatch(rest)
        if match is None or not is_session("0" * 8, stream):
            return None
        level, number = (None if digits is None else int(digits) for digits in match.groups())
        name = cls(stream, level, number)
        return name if str(name) == text and (level or 0) <= MAX_LEVEL else None


def is_session(session: str, stream: str = "x") -> bool:
    """Whether these may be made part of a path."""
    try:
        return Tag.parse(f"{PLUGIN}/{session}/{stream}/schema") == Tag(session, stream)
    except FormatError:
        return False


@dataclass(frozen=True, eq=False)
class Entry:
    """What an index says of one row group."""

    level: int
    segment: int
    offset: int  # of the row group in its segment, bytes
    size: int
    table: npt.NDArray[Any]  # ROW

    def encode(self) -> bytes:
        head = _ENTRY.pack(_ENTRY_MAGIC, self.level, len(self.table), self.segment, self.size, self.offset)
        return head + self.table.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Raises FormatError when ``data`` is not what :meth:`encode` makes."""
        if len(data) < _ENTRY.size:
            raise FormatError(f"expected an entry of at least {_ENTRY.size} bytes, got {len(data)}")
        magic, level, rows, segment, size, offset = _ENTRY.unpack_from(data)
        if magic != _ENTRY_MAGIC or level > MAX_LEVEL or not 0 < rows <= MAX_ROWS:
            raise FormatError(f"an entry {magic!r} of {rows} rows of level {level} is none of an archive")
        if len(data) != _ENTRY.size + rows * ROW.itemsize:
            raise FormatError(f"expected {_ENTRY.size + rows * ROW.itemsize} bytes for {rows} rows, got {len(data)}")
        table = np.frombuffer(data, ROW, rows, _ENTRY.size)
        check_rows(table)
        return cls(level, segment, offset, size, table)


def files(directory: Path) -> Iterator[tuple[str, Name, os.DirEntry[str]]]:
    """Session, name and entry of every file of an archive; nothing where there is none. Raises OSError when this
    process has no means to look, which says nothing of what is there."""
    with _left_out(), os.scandir(directory) as sessions:
        for session in islice((one for one in sessions if is_session(one.name)), MAX_SESSIONS):
            with _left_out():
                if session.is_dir(follow_symlinks=False):
                    with os.scandir(session.path) as entries:
                        for entry in islice(entries, MAX_FILES):
                            name = Name.parse(entry.name)
                            if name is not None:
                                yield session.name, name, entry


@contextmanager
def _left_out() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise


def open_file(path: Path) -> FileIO:
    """A file for reading. Raises OSError for anything but a regular file: a symbolic link could lead anywhere, and who
    opens a FIFO may wait for ever."""
    fd = _opened(path)
    try:
        return FileIO(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def _opened(path: Path | str) -> int:
    fd = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "expected a regular file, this is none", str(path))
        return fd
    except BaseException:
        os.close(fd)
        raise


def reading(path: Path, offset: int, size: int) -> Read:
    """Reads of the ``size`` bytes at ``offset``. The file is open only meanwhile: one that is deleted gives its room
    back, and there may be more of them than a process may have open."""
    name = str(path)

    def read(at: int, count: int) -> bytes:
        fd = _opened(name)
        try:
            if offset + size > os.fstat(fd).st_size:
                raise FormatError(f"{path.name} ends before byte {offset + size}")
            os.lseek(fd, offset + at, os.SEEK_SET)
            return os.read(fd, max(0, min(count, size - at)))
        finally:
            os.close(fd)

    return read
