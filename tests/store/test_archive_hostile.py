"""Damage and malice: found out, at the cost of one row group, without a wrong value, and without memory or patience
beyond what the files are worth."""

from __future__ import annotations

import os
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.store import archive_reader, archive_writer
from tb_gradhealth.store.archive import SCHEMA, Entry, Name
from tb_gradhealth.store.archive_reader import Archive
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.format import FormatError
from tb_gradhealth.store.records import frame, masked_crc, read_records
from tb_gradhealth.store.rowgroup import ROW, encode

from .test_archive import (
    SESSION,
    STREAM,
    Row,
    coded,
    content,
    damaged_segments,
    expected,
    give,
    make_schema,
    read,
    rows_of,
    starts,
)

ROWS, GROUP = 10, 4  # two row groups, two rows in the journal
KEY = (SESSION, STREAM)
INDEX, SEGMENT, JOURNAL = Name(STREAM), Name(STREAM, 0, 0), Name(STREAM, None, 2)

#: Far below what is claimed; a TensorBoard of other tests, which reads on in this process, takes 16 MiB at a time.
MOST = 48 << 20


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archive_writer, "GROUP_ROWS", GROUP)
    writer = ArchiveWriter(tmp_path / "archive", make_schema(), None)
    for number in range(ROWS):
        give(writer, number, 1)
        writer.flush()
    assert {path.name for path in (tmp_path / "archive" / SESSION).iterdir()} == {*map(str, (INDEX, SEGMENT, JOURNAL))}
    assert starts(tmp_path / "archive") == list(range(ROWS))
    return tmp_path / "archive"


def path(directory: Path, name: Name) -> Path:
    return directory / SESSION / str(name)


def readable(archive: Archive) -> list[Row]:
    """The rows of what can be opened, and read to its end."""
    found = []
    for part in archive.streams[KEY].parts if KEY in archive.streams else []:
        try:
            found += rows_of(part.open())
        except (FormatError, OSError):
            continue
    return found


def looked(directory: Path) -> Archive:
    archive = Archive(directory)
    archive.update()
    assert not archive.update()
    return archive


def ends(data: bytes) -> list[int]:
    """The offsets behind each record, from the length fields alone."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", data, found[-1])[0])
    return found[1:]


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_an_index_cut_at_any_byte_loses_its_tail(directory: Path) -> None:
    data = path(directory, INDEX).read_bytes()
    records = ends(data)
    tail = list(range(8, ROWS))
    for length in range(len(data), -1, -1):
        os.truncate(path(directory, INDEX), length)
        whole = sum(end <= length for end in records)
        archive = looked(directory)
        assert archive.problems == []
        wanted = [] if whole == 0 else [*range(GROUP * max(0, whole - 2)), *tail]
        assert starts(archive) == wanted


def test_a_segment_cut_at_any_byte_loses_its_tail(directory: Path) -> None:
    data = path(directory, SEGMENT).read_bytes()
    records = ends(data)
    archive = looked(directory)
    for length in range(len(data), -1, -1):
        os.truncate(path(directory, SEGMENT), length)
        # The checksum behind a row group is no part of it.
        whole = sum(end - 4 <= length for end in records)
        assert readable(archive) == expected([*range(GROUP * whole), 8, 9])
    assert looked(directory).problems == []


def test_a_journal_cut_at_any_byte_loses_its_tail(directory: Path) -> None:
    data = path(directory, JOURNAL).read_bytes()
    records = ends(data)
    for length in range(len(data), -1, -1):
        os.truncate(path(directory, JOURNAL), length)
        archive = looked(directory)
        assert archive.problems == []
        assert starts(archive) == list(range(8 + sum(end <= length for end in records)))
    assert read(directory) == expected(range(8))


@pytest.mark.parametrize("name", [INDEX, SEGMENT, JOURNAL])
def test_each_flipped_byte_is_found_out_and_costs_one_row_group(directory: Path, name: Name) -> None:
    whole = path(directory, name).read_bytes()
    rows = expected(range(ROWS))
    for at in range(0, len(whole), 3):
        path(directory, name).write_bytes(whole[:at] + bytes([whole[at] ^ (1, 0x80)[at % 2]]) + whole[at + 1 :])
        archive = looked(directory)
        if name != INDEX or at % 20 == 0:
            found = readable(archive)
            assert [row for row in rows if row in found] == found, "in order, once, and each with its own values"
            assert len(rows) - len(found) <= (1 if name == JOURNAL else GROUP)
        listed = starts(archive)
        assert listed == sorted(set(listed) & set(range(ROWS)))
        assert len(listed) >= ROWS - (1 if name == JOURNAL else GROUP)
        told = archive.problems + damaged_segments(directory)
        assert told
        assert all(str(name) in problem for problem in told)


def test_random_damage_raises_nothing_else(directory: Path) -> None:
    noise = np.random.default_rng(0)
    names = (INDEX, SEGMENT, JOURNAL)
    whole = {name: path(directory, name).read_bytes() for name in names}
    rows = expected(range(ROWS))
    for _ in range(100):
        for name in names:
            data = bytearray(whole[name])
            for _ in range(noise.integers(0, 4)):
                begin = int(noise.integers(0, len(data)))
                data[begin : begin + int(noise.integers(0, 50))] = noise.bytes(int(noise.integers(0, 50)))
            path(directory, name).write_bytes(data)
        archive = looked(directory)
        found = readable(archive)
        assert [row for row in rows if row in found] == found


@pytest.mark.parametrize("name", [INDEX, SEGMENT, JOURNAL])
@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "nothing"])
def test_what_is_no_file(directory: Path, tmp_path: Path, name: Name, kind: str) -> None:
    place = path(directory, name)
    place.rename(tmp_path / "moved")
    if kind == "symlink":
        place.symlink_to(tmp_path / "moved")
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    archive = looked(directory)
    left = {INDEX: [], SEGMENT: [8, 9], JOURNAL: list(range(8))}[name]
    assert [row[0] // 10 for row in readable(archive)] == left
    told = [] if kind == "nothing" or name == SEGMENT else [True]
    assert [str(name) in problem for problem in archive.problems] == told
    if name == SEGMENT and kind != "nothing":
        with pytest.raises(OSError, match=SEGMENT.stream):
            archive.streams[KEY].parts[0].open()


def test_sessions_that_are_links_or_have_other_names_are_not_entered(directory: Path, tmp_path: Path) -> None:
    (directory / SESSION).rename(tmp_path / "elsewhere")
    (directory / SESSION).symlink_to(tmp_path / "elsewhere")
    for name in ("..0123456", "0123456", "0123456789ABCDEF", "0" * 33):
        shutil.copytree(tmp_path / "elsewhere", directory / name)
    archive = looked(directory)
    assert (archive.streams, archive.problems, archive.progress()) == ({}, [], 0)


def test_a_session_in_the_directory_of_another(directory: Path) -> None:
    (directory / SESSION).rename(directory / "fedcba9876543210")
    archive = looked(directory)
    assert archive.streams == {}
    assert all(SESSION in problem for problem in archive.problems)
    assert len(archive.problems) == 1


def test_both_copies_of_the_schema_damaged(directory: Path) -> None:
    data = bytearray(path(directory, INDEX).read_bytes())
    for end in ends(bytes(data))[:2]:
        data[end - 5] ^= 1
    path(directory, INDEX).write_bytes(data)
    archive = looked(directory)
    assert archive.streams == {}
    assert len(archive.problems) == 2


def entry(level: int = 0, segment: int = 0, offset: int = 0, size: int = 100, first: int = 0, rows: int = 1) -> bytes:
    steps = np.arange(first, first + rows) * 10
    table = np.zeros(rows, ROW)
    table["start"], table["stop"], table["recorded"] = steps, steps + 10, 10
    return Entry(level, segment, offset, size, table).encode()


def with_index(tmp_path: Path, *records: bytes) -> Path:
    (tmp_path / SESSION).mkdir()
    path(tmp_path, INDEX).write_bytes(b"".join(map(frame, [SCHEMA + make_schema().encode(), *records])))
    return tmp_path


def header(size: int) -> bytes:
    """Of a record that claims ``size`` bytes, with a checksum that fits."""
    length = struct.pack("<Q", size)
    return length + struct.pack("<I", masked_crc(length))


@pytest.mark.parametrize(("offset", "size"), [(1 << 63, 4_294_967_295), (0, 4_294_967_295), (2**64 - 1, 0), (0, 0)])
def test_absurd_places_in_a_segment(directory: Path, tmp_path: Path, offset: int, size: int) -> None:
    with path(directory, INDEX).open("ab") as index:
        index.write(frame(entry(0, 0, offset, size, first=100, rows=2)))
    with little_memory(MOST):
        archive = looked(directory)
        with pytest.raises((FormatError, OSError)):
            archive.streams[KEY].parts[2].open()
    assert readable(archive) == expected(range(8))


@pytest.mark.parametrize("name", [INDEX, SEGMENT, JOURNAL])
@pytest.mark.parametrize("size", [1 << 26, 1 << 31, 1 << 63, 2**64 - 17])
def test_absurd_lengths_of_records(directory: Path, name: Name, size: int) -> None:
    with path(directory, name).open("ab") as file:
        file.write(header(size) + bytes(50))
    with little_memory(MOST):
        archive = looked(directory)
        assert readable(archive) == expected(range(ROWS))


@pytest.mark.parametrize("name", [INDEX, JOURNAL, SEGMENT])
def test_holes_of_a_terabyte(directory: Path, name: Name) -> None:
    os.truncate(path(directory, name), 1 << 40)
    with little_memory(MOST):
        archive = looked(directory)
        assert readable(archive) == expected(range(ROWS))
    assert len(archive.problems) == (0 if name == SEGMENT else 1)


def test_an_index_that_points_at_other_rows(directory: Path) -> None:
    data = path(directory, INDEX).read_bytes()
    with path(directory, INDEX).open("rb") as file:
        *_, last = (data for data, _ in read_records(file) if data is not None)
    found = Entry.decode(last)
    moved = found.table.copy()
    moved["start"] += 1000
    moved["stop"] += 1000
    path(directory, INDEX).write_bytes(data + frame(Entry(0, 0, found.offset, found.size, moved).encode()))
    archive = looked(directory)
    with pytest.raises(FormatError, match="other rows"):
        archive.streams[KEY].parts[2].open()


def test_rows_that_come_twice_or_backwards_are_told_and_left_out(tmp_path: Path) -> None:
    records = [entry(first=0, rows=4), entry(first=4, rows=4), entry(first=6, rows=4), entry(first=0), entry(first=8)]
    archive = looked(with_index(tmp_path, *records))
    assert starts(archive) == []  # of a segment that is not there
    path(tmp_path, SEGMENT).write_bytes(b"")
    archive = looked(tmp_path)
    assert starts(archive) == [*range(9)]
    assert len(archive.problems) == 2


@pytest.mark.parametrize(
    "record",
    [b"", b"GHA", b"GHAE", b"GHAX" + bytes(100), entry(level=16), entry()[:-1], entry() + b"x", entry(first=-1)],
)
def test_records_that_are_no_entries_cost_themselves(tmp_path: Path, record: bytes) -> None:
    with_index(tmp_path, entry(first=0), record, entry(first=5))
    path(tmp_path, SEGMENT).write_bytes(b"")
    archive = looked(tmp_path)
    assert starts(archive) == [0, 5]
    assert len(archive.problems) == 1


def test_an_index_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_reader, "MAX_KNOWN_BYTES", 100 * (archive_reader.PART_BYTES + ROW.itemsize))
    with_index(tmp_path, *(entry(number % 2, number, first=number) for number in range(3000)))
    for number in range(3000):
        path(tmp_path, Name(STREAM, number % 2, number)).touch()
    archive = looked(tmp_path)
    assert len(archive.streams[KEY].parts) == 100
    assert len(archive.problems) == 1


def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    archive = looked(with_index(tmp_path, *[entry(first=0)] * 3000))
    assert len(archive.problems) == archive_reader.MAX_PROBLEMS


def test_a_journal_without_end_is_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_reader, "MAX_JOURNAL_ROWS", 10)
    schema = make_schema()
    with path(directory, JOURNAL).open("ab") as journal:
        for number in range(10, 50):
            journal.write(frame(encode([coded(number)], schema, deflated=())))
    assert starts(looked(directory)) == [*range(8), *range(40, 50)]


@pytest.mark.parametrize(
    "data",
    [
        lambda: encode([coded(20, 1)], make_schema()),
        lambda: encode([coded(20)], make_schema(3)),
        lambda: b"GHRG" + bytes(100),
        lambda: b"",
    ],
)
def test_a_journal_with_something_else(directory: Path, data: Callable[[], bytes]) -> None:
    with path(directory, JOURNAL).open("ab") as journal:
        journal.write(frame(data()) + frame(encode([coded(10)], make_schema(), deflated=())))
    archive = looked(directory)
    assert readable(archive) == expected(range(11))
    assert len(archive.problems) == 1


def test_journals_that_repeat_what_another_has(directory: Path) -> None:
    """As after a kill before the old one was deleted; and one that nobody wrote, full of what is in the index."""
    shutil.copy(path(directory, JOURNAL), path(directory, Name(STREAM, None, 3)))
    path(directory, Name(STREAM, None, 0)).write_bytes(
        b"".join(frame(encode([coded(number)], make_schema(), deflated=())) for number in range(8))
    )
    archive = looked(directory)
    assert archive.problems == []
    assert readable(archive) == [content(coded(number)) for number in range(ROWS)]


def test_an_index_that_is_replaced_is_read_anew(directory: Path, tmp_path: Path) -> None:
    archive = looked(directory)
    shutil.rmtree(directory)
    writer = ArchiveWriter(directory, make_schema(), None)
    for number in range(100, 107):
        give(writer, number, 1)
        writer.flush()
    archive.update()
    assert starts(archive) == list(range(100, 107))
    assert archive.problems == []
