"""TFRecord framing of event files: append without ever leaving half a record, read up to the first torn one.

A record is: length (u64), masked CRC32C of it, data, masked CRC32C of the data; all little-endian. TensorBoard's own
writer is not used: its checksum in pure Python runs at 3 MB/s with the GIL held, and after a full disk it stays dead.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")

#: A record claiming more than this is taken for damage, not for a reason to allocate.
MAX_RECORD_BYTES = 1 << 30


def masked_crc(data: bytes) -> int:
    """CRC32C in the rotated form that TFRecord files use, so that a checksum of a checksum stays meaningful."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class EventFile:
    """Appends events to a new file in ``directory``, made at the first write.

    The name holds time, host, process and session, so no two writers share a file. Every record is one ``write`` to the
    kernel: a killed process loses nothing that was handed over here. Raises OSError, after removing what was
    written of the record, so a later attempt continues a sound file.
    """

    def __init__(self, directory: Path, session: str) -> None:
        self.directory = directory
        stamp = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{session}"
        self.path = directory / f"events.out.tfevents.{stamp}"
        self._fd: int | None = None
        self._end = 0

    def append(self, event: Event) -> None:
        if self._fd is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            self._end = os.fstat(self._fd).st_size
        if self._end == 0:  # also after an attempt that failed right here
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(event)

    def _write(self, event: Event) -> None:
        assert self._fd is not None
        data = event.SerializeToString()
        length = _LENGTH.pack(len(data))
        record = b"".join([length, _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))])
        try:
            os.lseek(self._fd, self._end, os.SEEK_SET)
            rest = memoryview(record)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._end += len(record)

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[Event | None, int]]:
    """Events from ``offset`` on, each with the offset behind it; None for a record whose data is damaged.

    Ends at the end of the file, at a torn record, or at a damaged length, behind which nothing can be found again.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while offset + 16 <= size:
            length = file.read(8)
            (count,) = _LENGTH.unpack(length)
            checked = file.read(4) == _CRC.pack(masked_crc(length))
            if not checked or count > MAX_RECORD_BYTES or offset + 16 + count > size:
                return
            data = file.read(count)
            offset += 16 + count
            intact = file.read(4) == _CRC.pack(masked_crc(data))
            yield _event(data) if intact else None, offset


def _event(data: bytes) -> Event | None:
    """None when ``data`` is no event, so that it costs one record and not the rest of the file."""
    try:
        return Event.FromString(data)
    except DecodeError:
        return None
