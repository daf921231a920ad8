"""Which files of an archive go when it has more bytes than it may keep.

Those whose rows stand in coarser ones, too, go first: level 0 before level 1 and so on, in a level the oldest first.
The rest is the only record of some steps, as what a killed session left of its last rows: it goes last, oldest first.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .archive import MAGIC, SCHEMA, Entry, Name, files, open_file
from .format import MAX_SCHEMA_BYTES, FormatError
from .records import open_files, read_records


def total_bytes(directory: Path) -> int:
    """What all files of the archive in ``directory`` have."""
    return sum(status.st_size for _, _, _, status in _listed(directory))


def make_room(directory: Path, keep: int) -> None:
    """Deletes what the archive in ``directory`` has beyond ``keep`` bytes, but no index, and nothing that this process
    has open for writing, be it for another stream."""
    total, candidates = 0, list[tuple[int, int, Path, int, str, Name]]()
    present = defaultdict[tuple[str, str], set[Name]](set)
    listed = list(_listed(directory))
    ours = open_files()
    for session, name, path, status in listed:
        total += status.st_size
        present[session, name.stream].add(name)
        if name.number is not None and (status.st_dev, status.st_ino) not in ours:
            candidates.append((name.level or 0, status.st_mtime_ns, path, status.st_size, session, name))
    known: dict[tuple[str, str], _Rows] = {}
    rest = list[tuple[int, Path, int]]()
    for _, time, path, size, session, name in sorted(candidates, key=lambda one: one[:3]):
        if total <= keep:
            return
        key = session, name.stream
        if key not in known:
            known[key] = _Rows(directory / session, name.stream, present[key])
        if known[key].are_coarser_of(name):
            total -= _deleted(path, size)
        else:
            rest.append((time, path, size))
    for _, path, size in sorted(rest):
        if total <= keep:
            return
        total -= _deleted(path, size)


class _Rows:
    """What the index of ``stream`` tells of the segments that are ``present``."""

    def __init__(self, directory: Path, stream: str, present: set[Name]) -> None:
        tables = defaultdict[Name, list[npt.NDArray[Any]]](list)
        with contextlib.suppress(OSError):  # then nothing is known of any
            for entry in _entries(directory / str(Name(stream))):
                tables[Name(stream, entry.level, entry.segment)].append(entry.table)
        self._tables = {name: np.concatenate(tables[name]) for name in tables if name in present}

    def are_coarser_of(self, name: Name) -> bool:
        """Whether every row of the segment ``name`` stands in a coarser row. Of a journal no index knows the rows."""
        table = self._tables.get(name)
        if table is None or name.level is None:
            return False
        found = np.zeros(len(table), np.bool_)
        for level in {other.level for other in self._tables if other.level is not None and other.level > name.level}:
            coarser = np.concatenate([rows for other, rows in self._tables.items() if other.level == level])
            before = np.searchsorted(coarser["start"], table["start"], side="right") - 1
            found |= (before >= 0) & (coarser["stop"][before] >= table["stop"])
        return bool(found.all())


def _entries(index: Path) -> Iterator[Entry]:
    """The sound entries of an index. Raises OSError."""
    with open_file(index) as file:
        for data, _ in read_records(file, 0, MAX_SCHEMA_BYTES, MAGIC):
            if data is not None and not data.startswith(SCHEMA):
                with contextlib.suppress(FormatError):
                    yield Entry.decode(data)


def _listed(directory: Path) -> Iterator[tuple[str, Name, Path, os.stat_result]]:
    for session, name, file in files(directory):
        with contextlib.suppress(OSError):  # another one that makes room was here before
            yield session, name, Path(file.path), os.lstat(file.path)


def _deleted(path: Path, size: int) -> int:
    """The bytes that are free: also those of a file that another one deleted meanwhile."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return 0
    return size
