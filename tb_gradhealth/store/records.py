"""TFRecord framing: append without ever leaving half a record, read up to the first torn one.

A record is: length (u64), masked CRC32C of it, data, masked CRC32C of the data; all little-endian. TensorBoard's own
writer is not used: its checksum in pure Python runs at 3 MB/s with the GIL held, and after a full disk it stays dead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

import google_crc32c
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
#: Bytes of a record before its data, and in all beside them.
HEAD_BYTES = _LENGTH.size + _CRC.size
FRAME_BYTES = HEAD_BYTES + _CRC.size

#: A record claiming more than this is taken for damage, not for a reason to allocate.
MAX_RECORD_BYTES = 1 << 30
#: Behind a damaged length the next record is looked for in so many bytes, so many at a time.
_SEARCH_BYTES, _SEARCHED_BYTES = 1 << 26, 1 << 20


#: What this process has open for writing, by descriptor.
_open_files: WeakValueDictionary[int, RecordFile] = WeakValueDictionary()


def masked_crc(data: bytes) -> int:
    """CRC32C in the rotated form that TFRecord files use, so that a checksum of a checksum stays meaningful."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """``data`` as a record."""
    length = _LENGTH.pack(len(data))
    return b"".join([length, _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))])


class RecordFile:
    """Appends records to the file ``path``.

    What one call appends is one ``write`` to the kernel: a killed process loses nothing that was handed over here.
    Raises OSError, after removing what was written of it, so a later attempt continues a sound file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = 0  # bytes of whole records
        self.identity: tuple[int, int] | None = None  # device and inode, from when it was opened
        self._fd: int | None = None
        self._torn = False  # whether something stands behind them

    def open(self, flags: int = 0) -> None:
        """Makes the file, or continues one that is there (unless ``flags``, of ``os.open``, forbid it)."""
        if self._fd is None:
            flags |= os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)  # which Windows needs to add no byte
            self._fd = os.open(self.path, flags, 0o644)
            about = os.fstat(self._fd)
            if not self._torn:
                self.end = about.st_size
            self.identity = about.st_dev, about.st_ino
            _open_files[self._fd] = self

    def append(self, *records: bytes) -> None:
        fd = self._opened()
        data = b"".join(map(frame, records))
        try:
            if self._torn:
                self.cut(self.end)
            os.lseek(fd, self.end, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                self._torn = True
                rest = rest[os.write(fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):  # else the next attempt does it
                self.cut(self.end)
            raise
        self.end += len(data)
        self._torn = False

    def cut(self, end: int) -> None:
        """Removes what stands behind the first ``end`` bytes."""
        self.end, self._torn = end, True
        os.ftruncate(self._opened(), end)
        self._torn = False

    def sync(self) -> None:
        """Waits until the disk has everything."""
        os.fsync(self._opened())

    def linked(self) -> bool:
        """Whether what was opened is still the file at ``path``: it may be deleted, or moved with its directory."""
        try:
            about = os.lstat(self.path)
        except OSError:
            return False
        return (about.st_dev, about.st_ino) == self.identity

    def close(self) -> None:
        """Gives the descriptor back; what comes next opens the file once more."""
        fd, self._fd = self._fd, None
        if fd is not None:
            _open_files.pop(fd, None)
            os.close(fd)

    def _opened(self) -> int:
        self.open()
        assert self._fd is not None
        return self._fd


def open_files() -> set[tuple[int, int]]:
    """Device and inode of every record file that this process has open for writing, in whichever thread."""
    found = (ref() for ref in _open_files.valuerefs())
    return {file.identity for file in found if file is not None and file.identity is not None}


class FileLost(FileNotFoundError):
    """The event file is gone, with all that it had: what comes next begins another one, which needs a schema again."""


class EventFile:
    """Appends events to a new file in ``directory``, made at the first one.

    The name holds time, host, process and session, so no two writers share a file. Raises OSError as
    :class:`RecordFile` does, and :class:`FileLost` when the file was deleted or moved away.
    """

    def __init__(self, directory: Path, session: str) -> None:
        self.directory = directory
        self._session = session
        self._began = False
        self._records = self._named()

    @property
    def path(self) -> Path:
        return self._records.path

    def append(self, event: Event) -> None:
        if self._records.identity is not None and not self._records.linked():
            self._records.close()
            lost, self._records = str(self.path), self._named()
            raise FileLost(errno.ENOENT, "the event file was deleted or moved away, and a new one will be begun", lost)
        if self._records.end == 0:  # also after an attempt that failed right here
            # If the directory's own has vanished, it may be one that is mounted: it is not made a second time.
            self.directory.mkdir(parents=not self._began, exist_ok=True)
            self._records.open()
            self._began = True
        if self._records.end == 0:
            self._records.append(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        self._records.append(event.SerializeToString())

    def flush(self) -> None:
        """Nothing: what was appended is with the system."""

    def close(self) -> None:
        self._records.close()

    def _named(self) -> RecordFile:
        stamp = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{self._session}"
        return RecordFile(self.directory / f"events.out.tfevents.{stamp}")


def read_records(
    file: BinaryIO, offset: int = 0, most: int = MAX_RECORD_BYTES, magic: bytes = b""
) -> Iterator[tuple[bytes | None, int]]:
    """The data of the records from ``offset`` on, each with the offset behind it; None where they are damaged.

    Ends at the end of the file or at a torn record. A damaged length, or one above ``most``, ends it, too: nothing can
    be found behind it, unless the data of every record begin with ``magic``. Then the next one of those is, where a
    record can end; if there is none (yet), None comes with the offset of the damage itself.
    """
    size = os.fstat(file.fileno()).st_size
    while offset + FRAME_BYTES <= size:
        file.seek(offset)
        count = _length(file.read(HEAD_BYTES), most)
        if count is None:
            found = _search(file, offset + 1, most, magic) if magic else None
            if magic:
                yield None, offset if found is None else found
            if found is None:
                return
            offset = found
            continue
        if offset + FRAME_BYTES + count > size:
            return
        data = file.read(count)
        offset += FRAME_BYTES + count
        yield data if file.read(_CRC.size) == _CRC.pack(masked_crc(data)) else None, offset


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[Event | None, int]]:
    """Events from ``offset`` on, each with the offset behind it; None for a record whose data is damaged.

    Ends where :func:`read_records` does.
    """
    with path.open("rb") as file:
        for data, end in read_records(file, offset):
            yield None if data is None else _event(data), end


def _length(head: bytes, most: int) -> int | None:
    """The length that stands at the head of a record; None when it is damaged."""
    if len(head) < HEAD_BYTES or head[_LENGTH.size :] != _CRC.pack(masked_crc(head[: _LENGTH.size])):
        return None
    (count,) = _LENGTH.unpack_from(head)
    return int(count) if count <= most else None


def _search(file: BinaryIO, offset: int, most: int, magic: bytes) -> int | None:
    """The offset, at least ``offset``, of the next record whose data begin with ``magic``."""
    reach = HEAD_BYTES + len(magic) - 1  # a record at the end of what is searched at once is found with the next
    end = offset + _SEARCH_BYTES
    while offset < end:
        file.seek(offset)
        data = file.read(_SEARCHED_BYTES)
        at = data.find(magic, HEAD_BYTES)
        while at >= 0:
            if _length(data[at - HEAD_BYTES : at], most) is not None:
                return offset + at - HEAD_BYTES
            at = data.find(magic, at + 1)
        if len(data) <= reach:
            break
        offset += len(data) - reach
    return None


def _event(data: bytes) -> Event | None:
    """None when ``data`` is no event, so that it costs one record and not the rest of the file."""
    try:
        return Event.FromString(data)
    except DecodeError:
        return None
