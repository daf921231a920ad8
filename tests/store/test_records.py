"""Records and event files: the framing that TensorBoard reads, and what damage costs."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader, RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from gradhealth_kernels.metrics import select
from tb_gradhealth.store import records
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.format import Schema, Tag
from tb_gradhealth.store.records import EventFile, FileLost, RecordFile, frame, masked_crc, read_events, read_records
from tb_gradhealth.store.rowgroup import RowGroup

from ..synthetic import NAMES, SESSION, Recording, recorded


def recording(rows: int = 3, tensors: int = len(NAMES)) -> Recording:
    return Recording(recorded(10 * rows, tensors), names=NAMES[:tensors], logged={0: [("loss", 1.5)]})


def ends(data: bytes) -> list[int]:
    """The offsets behind each record, from the length fields alone."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", data, found[-1])[0])
    return found[1:]


def rows_read(source: FileSource, session: str = SESSION) -> list[int]:
    """First steps of the rows of level 0 that a reader sees."""
    tags, schema, rows = source.tags(), str(Tag(session, "gradients")), str(Tag(session, "gradients", 0, 0))
    if rows not in tags:
        return []
    about = Schema.decode(source.read([schema])[schema][0])
    tables = [RowGroup.of(payload, about).table for payload in source.read([rows])[rows]]
    return [int(step) for table in tables for step in table["start"]]


def test_tensorboards_own_reader_finds_every_record(tmp_path: Path) -> None:
    path = recording().write(tmp_path)
    events = [event for event, _ in read_events(path)]
    loaded = list(RawEventFileLoader(str(path)).Load())
    assert [Event.FromString(data) for data in loaded] == events
    assert len(events) == 6, "file version, schema, three rows and the one that they make"
    assert events[0] is not None
    assert events[0].file_version == "brain.Event:2"
    tags = [value.tag for event in EventFileLoader(str(path)).Load() for value in event.summary.value]
    assert tags.count(str(Tag(SESSION, "gradients", 0, 0))) == 3


def test_tensorboards_accumulator_has_the_scalars_and_our_tags(tmp_path: Path) -> None:
    recording().write(tmp_path)
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    rows = str(Tag(SESSION, "gradients", 0, 0))
    assert set(accumulator.Tags()["tensors"]) == {
        rows,
        str(Tag(SESSION, "gradients", 1, 0)),
        str(Tag(SESSION, "gradients")),
        "logged/loss",
        *(
            f"gradients/{name}/{view}"
            for name in ("norm", "near_zero_fraction", "nonfinite")
            for view in ("max", "mean")
        ),
    }
    assert [event.step for event in accumulator.Tensors(rows)] == [9, 19, 29]
    assert accumulator.SummaryMetadata(rows).plugin_data.plugin_name == "gradhealth"


def test_the_name_of_the_file_says_when_where_who_and_which(tmp_path: Path) -> None:
    path = EventFile(tmp_path / "new" / "run", SESSION)
    assert not (tmp_path / "new").exists(), "nothing is made before the first write"
    path.append(Event(step=1))
    path.close()
    prefix, tfevents, seconds, *host, pid, session = path.path.name.rsplit(".")[1:]
    assert (prefix, tfevents, pid, session) == ("out", "tfevents", str(os.getpid()), SESSION)
    assert len(seconds) == 10
    assert host


def test_a_file_cut_at_any_byte_loses_only_its_tail(tmp_path: Path) -> None:
    data = recording(3, 1).again(chosen=select(["norm"])).write(tmp_path / "whole").read_bytes()
    found = ends(data)
    cut = tmp_path / "events.out.tfevents.cut"
    cut.write_bytes(data)
    for length in range(len(data), -1, -1):
        os.truncate(cut, length)
        whole = sum(end <= length for end in found)
        assert [offset for _, offset in read_events(cut)] == found[:whole]
        if {length - 1, length, length + 1} & set(found):
            source = FileSource(tmp_path)
            assert rows_read(source) == [0, 10, 20][: max(0, min(3, whole - 2))]
            assert source.damaged == 0


@given(record=st.integers(2, 4), at=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_flipped_byte_of_data_costs_its_record_and_is_counted(
    tmp_path_factory: pytest.TempPathFactory, record: int, at: float, mask: int
) -> None:
    directory = tmp_path_factory.mktemp("flipped")
    path = recording(3, 1).write(directory)
    data = bytearray(path.read_bytes())
    begin, end = ends(bytes(data))[record - 1 : record + 1]
    data[begin + 12 + int(at * (end - begin - 12))] ^= mask  # data or its checksum
    path.write_bytes(data)
    source = FileSource(directory)
    assert rows_read(source) == [step for step in (0, 10, 20) if step != 10 * (record - 2)]
    assert source.damaged == 1


@pytest.mark.parametrize("byte", range(12))
def test_a_flipped_length_ends_the_file_there(tmp_path: Path, byte: int) -> None:
    path = recording(3, 1).write(tmp_path)
    data = bytearray(path.read_bytes())
    data[ends(bytes(data))[2] + byte] ^= 0x40
    path.write_bytes(data)
    assert rows_read(FileSource(tmp_path)) == [0]


def test_a_record_that_holds_no_event_costs_itself_alone(tmp_path: Path) -> None:
    path = recording(3, 1).write(tmp_path)
    data = path.read_bytes()
    length, noise = struct.pack("<Q", 4), b"\xff" * 4
    record = b"".join([length, struct.pack("<I", masked_crc(length)), noise, struct.pack("<I", masked_crc(noise))])
    at = ends(data)[2]
    path.write_bytes(data[:at] + record + data[at:])
    source = FileSource(tmp_path)
    assert rows_read(source) == [0, 10, 20]
    assert source.damaged == 1


def test_growth_is_read_from_where_the_last_look_ended(tmp_path: Path) -> None:
    data = recording(3, 1).write(tmp_path / "whole").read_bytes()
    grown, found = tmp_path / "events.out.tfevents.live", ends(data)
    source = FileSource(tmp_path)
    grown.write_bytes(data[: found[2] + 5])
    assert rows_read(source) == [0]
    assert rows_read(source) == [0], "half a record is no news"
    # What was read is not read again: it could be garbage by now.
    grown.write_bytes(bytes(found[2]) + data[found[2] : found[3]])
    assert rows_read(source) == [0, 10]
    with grown.open("ab") as file:
        file.write(data[found[3] :])
    assert rows_read(source) == [0, 10, 20]
    assert source.damaged == 0


def test_two_files_of_one_directory_are_one_run(tmp_path: Path) -> None:
    recording(2).write(tmp_path)
    recording(2).again(session="fedcba9876543210", start=20, wall_time=1_800_000_000.0).write(tmp_path)
    source = FileSource(tmp_path)
    assert rows_read(source) == [0, 10]
    assert rows_read(source, "fedcba9876543210") == [20, 30]


def payloads(path: Path, offset: int = 0, **options: Any) -> list[bytes | None]:
    with path.open("rb") as file:
        return [data for data, _ in read_records(file, offset, **options)]


def test_records_of_one_call_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, write = [], os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(len(data)) or write(fd, data))
    file = RecordFile(tmp_path / "records")
    file.append(b"one", b"", b"three")
    assert writes == [3 * 16 + 8] == [file.end]
    assert payloads(file.path) == [b"one", b"", b"three"]
    assert file.path.read_bytes() == frame(b"one") + frame(b"") + frame(b"three")


def test_a_file_is_cut_and_continued(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "records")
    file.append(b"one")
    end = file.end
    file.append(b"two")
    file.cut(end)
    file.append(b"3")
    file.close()
    file.append(b"four")
    file.sync()
    assert payloads(file.path) == [b"one", b"3", b"four"]
    assert payloads(file.path, end) == [b"3", b"four"]
    again = RecordFile(tmp_path / "records")
    with pytest.raises(FileExistsError):
        again.open(os.O_EXCL)
    again.append(b"five")
    assert payloads(file.path) == [b"one", b"3", b"four", b"five"]


@pytest.mark.parametrize("closed", [False, True])
def test_what_could_not_be_cut_is_cut_before_the_next_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    def half(fd: int, data: memoryview) -> int:
        if len(data) < 100:
            raise OSError(errno.EIO, "broken")
        return write(fd, data[:-50])

    def broken(fd: int, length: int) -> None:
        raise OSError(errno.EROFS, "broken, too")

    write, file = os.write, RecordFile(tmp_path / "records")
    file.append(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(OSError, match=r"broken$"):
            file.append(bytes(1000))
        with pytest.raises(OSError, match="too"):
            file.append(b"two")
    assert file.path.stat().st_size > 900
    if closed:
        file.close()
    file.append(b"two")
    assert payloads(file.path) == [b"one", b"two"]
    assert file.path.stat().st_size == file.end


def test_whether_a_file_is_still_there(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "records")
    assert not file.linked()
    file.append(b"one")
    assert file.linked()
    file.path.rename(tmp_path / "moved")
    assert not file.linked()
    file.path.touch()
    assert not file.linked(), "another one of the same name"
    (tmp_path / "moved").replace(file.path)
    assert file.linked()
    file.close()
    assert file.linked()
    file.path.unlink()
    assert not file.linked()


def test_files_are_opened_so_that_windows_adds_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary, seen, opened = 1 << 40, list[bool](), os.open

    def open_binary(path: Path, flags: int, mode: int) -> int:
        seen.append(bool(flags & binary))
        return opened(path, flags & ~binary, mode)

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", open_binary)
    RecordFile(tmp_path / "records").append(b"\n")
    EventFile(tmp_path, SESSION).append(Event(step=1))
    assert seen == [True, True]


def test_what_this_process_has_open_for_writing(tmp_path: Path) -> None:
    def of(path: Path) -> bool:
        return (path.stat().st_dev, path.stat().st_ino) in records.open_files()

    one, other = RecordFile(tmp_path / "one"), RecordFile(tmp_path / "other")
    assert not records.open_files()
    one.append(b"1")
    other.append(b"2")
    assert (of(one.path), of(other.path)) == (True, True)
    one.close()
    assert (of(one.path), of(other.path)) == (False, True)
    path, thread = other.path, threading.Thread(target=lambda: one.append(b"3"))
    thread.start()
    thread.join()
    del other
    assert (of(one.path), of(path)) == (True, False)


@pytest.mark.parametrize("gone", ["file", "moved", "directory"])
def test_an_event_file_that_is_gone_is_told_once_and_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    directory = tmp_path / "run" / "gradhealth"
    file = EventFile(directory, SESSION)
    file.append(Event(step=1))
    first = file.path
    if gone == "directory":
        shutil.rmtree(directory)
    elif gone == "file":
        first.unlink()
    else:
        first.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(records.time, "time", lambda: 3e9)
    with pytest.raises(FileLost, match=r"deleted or moved.*events\.out"):
        file.append(Event(step=2))
    for step in (3, 4):
        file.append(Event(step=step))
    file.close()
    assert file.path != first
    assert [event.step for event, _ in read_events(file.path) if event is not None] == [0, 3, 4]


def test_a_directory_is_made_again_only_where_its_own_is_still_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    file = EventFile(run / "gradhealth", SESSION)
    file.append(Event(step=1))
    shutil.rmtree(run)
    with pytest.raises(FileLost):
        file.append(Event(step=2))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file.append(Event(step=3))
    assert not run.exists(), "it may be a mount that is gone"
    run.mkdir()
    file.append(Event(step=4))
    file.close()
    assert [event.step for event, _ in read_events(file.path) if event is not None] == [0, 4]


@pytest.mark.parametrize("byte", range(12))
def test_behind_a_damaged_length_the_next_record_is_found_by_its_magic(tmp_path: Path, byte: int) -> None:
    written = [b"MAGC" + bytes([number]) * 5 * number for number in range(5)]
    data = bytearray(b"".join(map(frame, written)))
    at = len(frame(written[0]) + frame(written[1]))
    data[at + byte] ^= 0x10
    (tmp_path / "records").write_bytes(data)
    assert payloads(tmp_path / "records", magic=b"MAGC") == [*written[:2], None, *written[3:]]
    assert payloads(tmp_path / "records") == written[:2]
    (tmp_path / "records").write_bytes(data[: at + 20])
    with (tmp_path / "records").open("rb") as file:
        assert list(read_records(file, at, magic=b"MAGC")) == [(None, at)], "nothing is behind it yet"


def test_a_record_is_found_wherever_the_searched_pieces_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_SEARCHED_BYTES", 40)
    for gap in range(16, 100):
        (tmp_path / "records").write_bytes(b"MAGC" * (gap // 4) + bytes(gap % 4) + frame(b"MAGC found"))
        assert payloads(tmp_path / "records", magic=b"MAGC") == [None, b"MAGC found"]
    monkeypatch.setattr(records, "_SEARCH_BYTES", 200)
    (tmp_path / "records").write_bytes(bytes(300) + frame(b"MAGC too far"))
    assert payloads(tmp_path / "records", magic=b"MAGC") == [None]


def test_a_record_larger_than_expected_is_damage(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(frame(bytes(10)) + frame(bytes(11)) + frame(bytes(9)))
    assert payloads(tmp_path / "records", most=10) == [bytes(10)]
