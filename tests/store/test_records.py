"""Event files: the framing that TensorBoard reads, and what damage costs."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader, RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from gradhealth_kernels.metrics import select
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.format import Tag
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.records import EventFile, masked_crc, read_events

from ..synthetic import NAMES, SESSION, Recording, recorded


def recording(rows: int = 3, tensors: int = len(NAMES)) -> Recording:
    return Recording(recorded(10 * rows, tensors), names=NAMES[:tensors], logged={0: [("loss", 1.5)]})


def ends(data: bytes) -> list[int]:
    """The offsets behind each record, from the length fields alone."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", data, found[-1])[0])
    return found[1:]


def rows_read(source: FileSource, run: Run | None = None) -> list[int]:
    """First steps of the rows that a reader sees."""
    run = run or Run()
    run.update(source)
    streams = run.streams()
    return run.timeline(streams[0]).sessions[0].start.tolist() if streams else []


def test_tensorboards_own_reader_finds_every_record(tmp_path: Path) -> None:
    path = recording().write(tmp_path)
    events = [event for event, _ in read_events(path)]
    loaded = list(RawEventFileLoader(str(path)).Load())
    assert [Event.FromString(data) for data in loaded] == events
    assert len(events) == 5, "file version, schema, three rows"
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
    records = ends(data)
    cut = tmp_path / "events.out.tfevents.cut"
    cut.write_bytes(data)
    for length in range(len(data), -1, -1):
        os.truncate(cut, length)
        whole = sum(end <= length for end in records)
        assert [offset for _, offset in read_events(cut)] == records[:whole]
        if {length - 1, length, length + 1} & set(records):
            source = FileSource(tmp_path)
            assert rows_read(source) == [0, 10, 20][: max(0, whole - 2)]
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
    grown, records = tmp_path / "events.out.tfevents.live", ends(data)
    source, run = FileSource(tmp_path), Run()
    grown.write_bytes(data[: records[2] + 5])
    assert rows_read(source, run) == [0]
    assert not run.update(source), "half a record is no news"
    # What was read is not read again: it could be garbage by now.
    grown.write_bytes(bytes(records[2]) + data[records[2] : records[3]])
    assert rows_read(source, run) == [0, 10]
    with grown.open("ab") as file:
        file.write(data[records[3] :])
    assert rows_read(source, run) == [0, 10, 20]
    assert source.damaged == 0


def test_two_files_of_one_directory_are_one_run(tmp_path: Path) -> None:
    recording(2).write(tmp_path)
    recording(2).again(session="fedcba9876543210", start=20, wall_time=1_800_000_000.0).write(tmp_path)
    run = Run()
    run.update(FileSource(tmp_path))
    assert [session.start.tolist() for session in run.timeline("gradients").sessions] == [[0, 10], [20, 30]]
