"""The archive: what is written is read back, once, at whatever moment; a budget costs the oldest, finest rows."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import COUNTS, neutral
from tb_gradhealth import nodes
from tb_gradhealth import rows as interval
from tb_gradhealth.notes import Note
from tb_gradhealth.store import archive_reader, archive_writer
from tb_gradhealth.store.archive import Entry, Name, open_file
from tb_gradhealth.store.archive_reader import Archive
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.format import FormatError, MetricInfo, NodeInfo, Schema
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.records import read_records
from tb_gradhealth.store.rowgroup import MAGIC, ROW, CodedRow, RowGroup, code, encode
from tb_gradhealth.store.scalars import Scalar

SESSION, STREAM = "0123456789abcdef", "gradients"
EVERY = 10
METRICS = select(["norm", "mean"])
Row = tuple[int, int, int, tuple[bytes, ...]]  # start, stop, recorded, content


@lru_cache
def make_schema(tensors: int = 2, session: str = SESSION, stream: str = STREAM) -> Schema:
    tree = nodes.build([f"block.{number}" for number in range(tensors)])
    return Schema(
        session=session,
        stream=stream,
        label="Gradients",
        wall_time=1_700_000_000.0,
        start_step=0,
        every=EVERY,
        near_zero=1e-8,
        counts=COUNTS,
        metrics=tuple(MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning) for m in METRICS),
        nodes=tuple(NodeInfo(name, kind) for name, kind in zip(tree.names, tree.kinds, strict=True)),
    )


@lru_cache(4096)
def coded(number: int, level: int = 0, schema: Schema | None = None) -> CodedRow:
    """Row ``number`` of its level, as noisy as real ones are."""
    schema = schema or make_schema()
    noise = np.random.default_rng([number, level])
    entries = neutral((1, len(schema.nodes)))
    entries["count"] = 1000
    entries["zero"] = entries["near_zero"] = noise.integers(0, 100, len(schema.nodes))
    entries["sum_sq"] = noise.uniform(1, 2, len(schema.nodes))
    entries["sum"] = noise.normal(0, 1, len(schema.nodes))
    steps = EVERY * 16**level
    rows = interval.from_steps(number * steps, entries, METRICS)
    rows.stop[:] = (number + 1) * steps
    loss = {"loss": Scalar(1, number, number, number)} if number % 3 == 0 else {}
    notes = [Note(number * steps, "skipped")] if number % 5 == 0 else []
    return code(PendingRow(rows, loss, notes), level, schema)


def content(row: CodedRow) -> Row:
    """What a reader must find of ``row``."""
    planes = tuple(plane.tobytes() for column in row.columns for plane in column)
    return row.start, row.stop, row.recorded, planes


def rows_of(group: RowGroup) -> list[Row]:
    """The rows of an opened row group, straight from its chunks."""
    found = []
    for index in range(len(group.table)):
        planes = []
        for column, about in enumerate(group.columns):
            some: list[list[bytes]] = [[] for _ in range(about.planes)]
            for number in range(-(-group.nodes // group.width)):
                width = min(group.width, group.nodes - number * group.width)
                for plane, codes in enumerate(group.chunk(column, number).planes):
                    some[plane].append(bytes(width * np.dtype(about.dtype).itemsize) if codes is None else codes[index])
            planes += [b"".join(bytes(part) for part in parts) for parts in some]
        start, stop, recorded, _ = group.table[index].tolist()
        assert ("loss" in group.scalars(index)) == (start // (stop - start) % 3 == 0)
        assert [note.step for note in group.notes(index)] == ([start] if start // (stop - start) % 5 == 0 else [])
        found.append((start, stop, recorded, tuple(planes)))
    return found


def read(archive: Archive | Path, level: int = 0, stream: tuple[str, str] = (SESSION, STREAM)) -> list[Row]:
    """All rows of a level, in the order of the parts."""
    if isinstance(archive, Path):
        archive = opened(archive)
    if stream not in archive.streams:
        return []
    return [row for part in archive.streams[stream].parts if part.level == level for row in rows_of(part.open())]


def opened(directory: Path) -> Archive:
    """A fresh reader, up to date, that has nothing to complain of."""
    archive = Archive(directory)
    archive.update()
    assert archive.problems == []
    return archive


def starts(archive: Archive | Path, level: int = 0) -> list[int]:
    """Numbers of the rows of a level that a reader is told of, without opening any."""
    archive = opened(archive) if isinstance(archive, Path) else archive
    streams = archive.streams.values()
    tables = [part.table for stream in streams for part in stream.parts if part.level == level]
    return [int(start) // (EVERY * 16**level) for table in tables for start in table["start"]]


def damaged_segments(directory: Path) -> list[str]:
    """Names of the segments in which a record, or what it holds, does not have the checksum that it should."""
    found = []
    for path in sorted(directory.glob("*/*.L*")):
        with open_file(path) as file:
            try:
                groups = [RowGroup.of(data or b"", make_schema()) for data, _ in read_records(file, magic=MAGIC)]
                for group in groups:
                    group.check()
            except FormatError:
                found.append(path.name)
    return found


def files(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(directory.glob("*/*"))}


def written(directory: Path, count: int, levels: int = 2, flush: int = 1, **options: Any) -> ArchiveWriter:
    """A writer, still open, that has been given ``count`` rows of level 0 and the coarser ones that they complete."""
    writer = ArchiveWriter(directory, options.get("schema") or make_schema(), options.get("keep"))
    for number in range(count):
        give(writer, number, levels, options.get("schema"))
        if (number + 1) % flush == 0:
            writer.flush()
    return writer


def give(writer: ArchiveWriter, number: int, levels: int = 2, schema: Schema | None = None) -> None:
    for level in range(levels):
        if (number + 1) % 16**level == 0:
            writer.add(coded(number // 16**level, level, schema))


def expected(numbers: Sequence[int], level: int = 0) -> list[Row]:
    return [content(coded(number, level)) for number in numbers]


def test_all_levels_come_back(tmp_path: Path) -> None:
    writer = written(tmp_path, 1100, levels=3, flush=5)
    assert writer.waiting == 0
    assert read(tmp_path) == expected(range(1100))
    assert read(tmp_path, 1) == expected(range(64), 1), "the rest of a coarser level waits for its row group"
    assert read(tmp_path, 2) == []
    assert sorted(files(tmp_path)) == [
        f"{STREAM}.L0-000000",
        f"{STREAM}.L1-000000",
        f"{STREAM}.index",
        f"{STREAM}.journal-000017",
    ]
    writer.close()
    assert [read(tmp_path, level) for level in range(3)] == [
        expected(range(1100)),
        expected(range(68), 1),
        expected(range(4), 2),
    ]
    assert not [name for name in files(tmp_path) if "journal" in name]


def test_a_row_group_holds_64_rows_and_a_journal_record_one(tmp_path: Path) -> None:
    written(tmp_path, 130)
    parts = opened(tmp_path).streams[SESSION, STREAM].parts
    assert [len(part.table) for part in parts if part.level == 0] == [64, 64, 1, 1]


def test_a_row_that_the_journal_has_keeps_its_codes_but_not_its_chunks(tmp_path: Path) -> None:
    row, schema = replace(coded(0)), make_schema()
    sent = encode([row], schema)
    assert row.alone, "made once for the event and for the journal"
    writer = ArchiveWriter(tmp_path, schema, None)
    writer.add(row)
    writer.flush()
    assert not row.alone
    (journal,) = tmp_path.glob("*/*.journal-*")
    with journal.open("rb") as file:
        ((data, _),) = read_records(file)
    assert data is not None
    assert rows_of(RowGroup.of(data, schema)) == rows_of(RowGroup.of(sent, schema)) == [content(row)]
    writer.close()


def test_nothing_is_touched_before_the_first_row(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "run" / "archive", make_schema(), None)
    writer.flush()
    writer.close()
    assert list(tmp_path.iterdir()) == []
    archive = Archive(tmp_path / "run" / "archive")
    assert (archive.progress(), archive.update(), archive.streams, archive.problems) == (0, False, {}, [])


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=8),
    cuts=st.lists(st.integers(1, 3), max_size=20),
    size=st.sampled_from([1, 2, 7, 16]),
    close=st.booleans(),
)
def test_any_split_reads_back_the_same_rows_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bool]], cuts: list[int], size: int, close: bool
) -> None:
    directory = tmp_path_factory.mktemp("split")
    writer, archive, number = ArchiveWriter(directory, make_schema(), None), Archive(directory), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_writer, "GROUP_ROWS", size)
        for count, look in [*rows, *((cut, True) for cut in cuts)]:
            for _ in range(count):
                give(writer, number)
                number += 1
            writer.flush()
            if look:
                archive.update()
                assert starts(archive) == list(range(number))
        if close:
            writer.close()
    archive.update()
    assert archive.problems == []
    assert read(archive) == expected(range(number))
    assert read(archive, 1) == expected(range(number // 16 if close else number // 16 // size * size), 1)
    assert starts(directory) == starts(archive)
    assert starts(directory, 1) == starts(archive, 1)


def test_a_reader_follows(tmp_path: Path) -> None:
    """In another thread, at every moment it finds a prefix, no shorter than what it or the writer had before."""
    flushed, done = [0], threading.Event()

    def write() -> None:
        writer = ArchiveWriter(tmp_path, make_schema(), None)
        for number in range(1000):
            give(writer, number)
            writer.flush()
            flushed[0] = number + 1
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    archive, progress, looks = Archive(tmp_path), 0, 0
    while not done.is_set():
        least, before = flushed[0], progress
        progress = archive.progress()
        assert progress >= before
        archive.update()
        found = starts(archive)
        assert found == list(range(len(found)))
        assert len(found) >= least
        looks += 1
    thread.join()
    archive.update()
    assert (read(archive), archive.problems) == (expected(range(1000)), [])
    assert looks > 1


def test_several_readers_of_one_archive(tmp_path: Path) -> None:
    writer, archive, failures = ArchiveWriter(tmp_path, make_schema(), None), Archive(tmp_path), []

    def look() -> None:
        try:
            for _ in range(60):
                archive.update()
                archive.progress()
                found = starts(archive)
                assert found == list(range(len(found)))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        give(writer, number)
        writer.flush()
    for thread in threads:
        thread.join()
    archive.update()
    assert (failures, archive.problems, starts(archive)) == ([], [], list(range(300)))


def test_progress_grows_with_whatever_is_written(tmp_path: Path) -> None:
    archive, writer, last = Archive(tmp_path), ArchiveWriter(tmp_path, make_schema(), None), 0
    assert archive.progress() == 0
    for number in range(70):
        give(writer, number)
        writer.flush()
        assert archive.progress() > last, "also where a journal gives way to a row group"
        last = archive.progress()
        assert archive.progress() == last
    assert archive.update()
    assert not archive.update()
    assert not (tmp_path / "more").exists()


def test_parts_stay_the_same_objects(tmp_path: Path) -> None:
    writer, archive = written(tmp_path, 70), Archive(tmp_path)
    archive.update()
    before = archive.streams[SESSION, STREAM].parts
    give(writer, 70)
    writer.flush()
    archive.update()
    assert archive.streams[SESSION, STREAM].parts[: len(before)] == before


def test_streams_and_sessions_share_a_directory(tmp_path: Path) -> None:
    streams = [(SESSION, "gradients"), (SESSION, "unclipped"), ("fedcba9876543210", "gradients")]
    writers = [ArchiveWriter(tmp_path, make_schema(2, *stream), None) for stream in streams]
    for number in range(80):
        for writer in writers:
            give(writer, number)
            writer.flush()
    archive = opened(tmp_path)
    assert archive.streams.keys() == set(streams)
    for stream in streams:
        assert archive.streams[stream].schema == make_schema(2, *stream)
        assert read(archive, 0, stream) == expected(range(80))


def test_many_nodes_are_cut_into_chunks(tmp_path: Path) -> None:
    schema = make_schema(700)
    writer = written(tmp_path, 70, schema=schema)
    writer.close()
    assert read(tmp_path) == [content(coded(number, 0, schema)) for number in range(70)]


def test_large_rows_make_smaller_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = coded(0).nbytes
    monkeypatch.setattr(archive_writer, "GROUP_BYTES", 20 * size)
    writer = written(tmp_path, 100)
    sizes = [len(part.table) for part in opened(tmp_path).streams[SESSION, STREAM].parts if part.level == 0]
    assert all(18 <= size <= 24 for size in sizes[:4])
    monkeypatch.setattr(archive_writer, "GROUP_BYTES", size)
    for number in range(100, 140):
        give(writer, number)
    writer.close()
    sizes = [len(part.table) for part in opened(tmp_path).streams[SESSION, STREAM].parts if part.level == 0]
    assert set(sizes[5:-1]) == {16}
    assert read(tmp_path) == expected(range(140))


def test_what_waits_is_bounded_and_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive").write_text("in the way")
    writer = ArchiveWriter(tmp_path / "archive", make_schema(), None)
    for number in range(16 * 270):
        give(writer, number)
        if number % 500 == 0:
            with pytest.raises(OSError, match="archive"):
                writer.flush()
    assert writer.waiting == 256
    (tmp_path / "archive").unlink()
    writer.flush()
    assert writer.waiting == 0
    assert read(tmp_path / "archive") == expected(range(4320 - 256, 4320))
    assert read(tmp_path / "archive", 1) == expected(range(270 - 256, 270), 1), "these alone have what was dropped"
    writer.close()
    monkeypatch.setattr(archive_writer, "WAITING_BYTES", sum(coded(number).nbytes for number in range(260, 300)))
    writer = ArchiveWriter(tmp_path / "bytes", make_schema(), None)
    for number in range(300):
        writer.add(coded(number))
    assert writer.waiting == 40
    monkeypatch.setattr(archive_writer, "WAITING_BYTES", 1)
    writer.add(coded(300))
    assert writer.waiting == 32


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(archive_writer, "MIN_SEGMENT_BYTES", 32 << 10)
    return 32 << 10


def test_a_budget_deletes_old_segments_and_keeps_upper_levels(tmp_path: Path, small_segments: int) -> None:
    schema, keep = make_schema(60), 400 << 10
    writer = ArchiveWriter(tmp_path, schema, keep)
    largest = 0
    for number in range(2000):
        give(writer, number, 2, schema)
        if number % 8 == 7:
            writer.flush()
            largest = max(largest, sum(files(tmp_path).values()))
    assert keep - 4 * small_segments < largest <= keep + small_segments
    found = starts(tmp_path)
    assert 0 < found[0] < 1900
    assert found == list(range(found[0], 2000)), "one hole, at the beginning"
    coarser = starts(tmp_path, 1)
    assert coarser == list(range(len(coarser)))
    assert 16 * len(coarser) >= found[0], "what was deleted is there in coarser rows"
    writer.close()
    assert sum(files(tmp_path).values()) <= keep + small_segments
    assert starts(tmp_path, 1) == list(range(2000 // 16))
    assert read(tmp_path)[-1] == content(coded(1999, 0, schema))


def test_a_reader_learns_of_what_a_budget_deletes(tmp_path: Path, small_segments: int) -> None:
    schema = make_schema(60)
    writer, archive = written(tmp_path, 1200, schema=schema), Archive(tmp_path)
    archive.update()
    before = archive.streams[SESSION, STREAM].parts
    assert archive.progress() == 1
    (tmp_path / SESSION / str(Name(STREAM, 0, 0))).unlink()
    with pytest.raises(FileNotFoundError):
        before[0].open()
    assert archive.progress() == 2
    assert archive.update()
    assert archive.problems == []
    assert archive.streams[SESSION, STREAM].parts == [p for p in before if p not in _of_first_segment(before)]
    writer.close()


def _of_first_segment(parts: list[Any]) -> list[Any]:
    return [part for part in parts if part.level == 0 and not _opens(part)]


def _opens(part: Any) -> bool:
    try:
        return bool(part.open())
    except FileNotFoundError:
        return False


def test_a_budget_takes_the_oldest_session_and_then_coarser_levels(tmp_path: Path, small_segments: int) -> None:
    schema = make_schema(60)
    old = make_schema(60, "fedcba9876543210")
    written(tmp_path, 1100, schema=old, flush=50)  # killed: its journal stays
    for number, path in enumerate(sorted((tmp_path / old.session).iterdir())):
        os.utime(path, (1_600_000_000 + number,) * 2)
    before = files(tmp_path)
    writer = written(tmp_path, 192, schema=schema, keep=sum(before.values()), flush=50)
    writer.flush()
    left = {path.name for path in (tmp_path / old.session).iterdir()}
    assert {f"{STREAM}.index", f"{STREAM}.L1-000000"} <= left
    assert left < before.keys(), "the old session paid"
    assert {n for n in left if ".L0-" in n} < {n for n in before if ".L0-" in n}
    assert starts(tmp_path, 1).count(0) == 2, "what is deleted of the new session is there in coarser rows, too"
    tight = ArchiveWriter(tmp_path, make_schema(60, "00000000"), 1)
    for number in range(64):
        give(tight, number, 1, schema)
    tight.close()
    left_files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")}
    assert left_files == {
        f"{old.session}/{STREAM}.index",
        f"{SESSION}/{STREAM}.index",
        f"{SESSION}/{STREAM}.L0-000001",
        f"{SESSION}/{STREAM}.L1-000000",
        f"00000000/{STREAM}.index",
        f"00000000/{STREAM}.L0-000000",
    }, "nothing but what is being written, by this process at all, and the indexes"
    give(writer, 192, 1, schema)
    writer.close()
    archive = opened(tmp_path)
    (alive,) = [stream.parts for key, stream in archive.streams.items() if key[0] == SESSION]
    assert [part.table["start"].tolist()[-1] for part in alive if part.level == 0][-1] == 1920


def test_a_directory_that_vanishes_is_made_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = written(run / "archive", 100)
    shutil.rmtree(run / "archive")
    give(writer, 100)
    writer.flush()
    assert read(run / "archive") == expected(range(64, 101)), "what was journalled was still in memory"
    shutil.rmtree(run)
    give(writer, 101)
    with pytest.raises(FileNotFoundError):
        writer.flush()
    assert not run.exists(), "the event directory is not ours to make twice: it may be a mount that is gone"
    run.mkdir()
    for number in range(102, 200):
        give(writer, number)
        writer.flush()
    writer.close()
    assert read(run / "archive") == expected(range(64, 200))


def test_a_directory_that_comes_back_is_continued(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer, archive = written(run / "archive", 100), Archive(run / "archive")
    archive.update()
    run.rename(tmp_path / "elsewhere")
    with open(tmp_path / "elsewhere" / "archive" / SESSION / f"{STREAM}.index", "ab") as index:
        index.write(b"torn")
    give(writer, 100)
    with pytest.raises(FileNotFoundError):
        writer.flush()
    (tmp_path / "elsewhere").rename(run)
    for number in range(101, 230):
        give(writer, number)
        writer.flush()
        archive.update()
        assert starts(archive) == list(range(number + 1))
    # Not written through the old file: it is another one that has the same content.
    index = run / "archive" / SESSION / f"{STREAM}.index"
    shutil.copy(index, run / "copy")
    (run / "copy").replace(index)
    for number in range(230, 300):
        give(writer, number)
    writer.close()
    assert (read(run / "archive"), archive.problems) == (expected(range(300)), [])
    assert [len(p.table) for p in opened(run / "archive").streams[SESSION, STREAM].parts if p.level == 0][-1] == 44


def test_an_index_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path, 3).close()
    other = ArchiveWriter(tmp_path, make_schema(3), None)
    give(other, 0)
    with pytest.raises(FileExistsError, match="this session"):
        other.flush()
    assert read(tmp_path) == expected(range(3))


def test_a_segment_that_someone_deleted_is_followed_by_a_new_one(tmp_path: Path) -> None:
    writer = written(tmp_path, 70)
    (tmp_path / SESSION / str(Name(STREAM, 0, 0))).unlink()
    (tmp_path / SESSION / str(Name(STREAM, None, 1))).unlink()
    give(writer, 70)
    writer.flush()
    assert read(tmp_path) == expected(range(64, 71))
    for number in range(71, 140):
        give(writer, number)
    writer.close()
    assert read(tmp_path) == expected(range(64, 140))
    assert str(Name(STREAM, 0, 1)) in files(tmp_path)


def test_the_budget_of_a_reader_drops_the_oldest_of_the_finest_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_segments: int
) -> None:
    """As for an index that grows without bound."""
    schema = make_schema(60)
    written(tmp_path, 2000, schema=schema, keep=1 << 30, flush=64).close()
    archive = opened(tmp_path)
    known = archive.streams[SESSION, STREAM].parts
    size = sum(archive_reader.PART_BYTES + part.table.nbytes for part in known)
    monkeypatch.setattr(archive_reader, "MAX_KNOWN_BYTES", size // 2)
    archive = Archive(tmp_path)
    archive.update()
    kept = archive.streams[SESSION, STREAM].parts
    assert sum(archive_reader.PART_BYTES + part.table.nbytes for part in kept) <= size // 2
    assert starts(archive)[-1] == 1999
    assert starts(archive) == list(range(starts(archive)[0], 2000))
    assert starts(archive, 1) == list(range(125))
    (problem,) = archive.problems
    assert "oldest" in problem


def numbers(directory: Path, session: str, stream: str = STREAM) -> list[int]:
    """Numbers of the rows of level 0 of one stream that a reader finds."""
    return [row[0] // EVERY for row in read(directory, 0, (session, stream))]


@pytest.mark.parametrize("count", [320, 1100])
def test_the_only_record_of_some_steps_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_segments: int, count: int
) -> None:
    """A killed session had its coarser rows in memory, all of them or (of 1,100) but the first 64."""
    monkeypatch.setattr(archive_writer, "MAX_SEGMENT_BYTES", small_segments)
    old = make_schema(60, "fedcba9876543210")
    written(tmp_path, count, schema=old, flush=5)
    for path in (tmp_path / old.session).iterdir():
        os.utime(path, (1_600_000_000,) * 2)
    covered = count // 1024 * 1024
    size = sum(files(tmp_path).values())
    keep = size + (size if covered == 0 else 0)
    writer = written(tmp_path, 1500, schema=make_schema(60), keep=keep, flush=5)
    assert sum(files(tmp_path).values()) <= keep + small_segments
    assert numbers(tmp_path, old.session)[-(count - covered) :] == list(range(covered, count))
    assert len(numbers(tmp_path, old.session)) < count or not covered, "what coarser rows have went"
    assert len(numbers(tmp_path, SESSION)) < 1500
    tight = written(tmp_path, 200, schema=make_schema(60, "00000000"), keep=1, flush=5)
    assert numbers(tmp_path, old.session) == [], "the budget holds all the same"
    for one in (writer, tight):
        one.close()


def test_streams_of_one_process_do_not_delete_what_the_other_writes(tmp_path: Path, small_segments: int) -> None:
    schemas = [make_schema(60, SESSION, stream) for stream in ("gradients", "unclipped")]
    directories = [tmp_path, Path(os.path.relpath(tmp_path))]
    keep = 3 * small_segments
    writers = [ArchiveWriter(where, schema, keep) for where, schema in zip(directories, schemas, strict=True)]
    for number in range(400):
        for writer, schema in zip(writers, schemas, strict=True):
            give(writer, number, 2, schema)
            writer.flush()
        for writer in writers:
            live = [file for file in (*writer._segments.values(), writer._journal) if file is not None]
            assert all(file.linked() for file in live), number
    assert len(list(tmp_path.glob("*/*.L0-*"))) < 6, "or nothing was deleted"
    for writer in writers:
        writer.close()
    assert files(tmp_path).keys() >= {str(Name(schema.stream, 1, 0)) for schema in schemas}


def test_the_names_of_new_directories_are_on_the_disk_before_an_entry_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = set[int](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.add(os.fstat(fd).st_ino) or fsync(fd))
    writer = written(tmp_path / "archive", 63)
    assert synced == set(), "a journal does not wait for the disk"
    give(writer, 63)
    writer.flush()
    assert synced >= {path.stat().st_ino for path in (tmp_path, tmp_path / "archive", tmp_path / "archive" / SESSION)}
    writer.close()


@pytest.mark.parametrize("name", [Name(STREAM), Name(STREAM, None, 1)])
def test_what_cannot_be_read_now_is_read_later_and_no_longer_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Name
) -> None:
    def opened_not(path: Path) -> Any:
        if path.name == str(name):
            raise OSError(errno.EMFILE, "Too many open files")
        return open_file(path)

    writer, archive = written(tmp_path, 70), Archive(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(archive_reader, "open_file", opened_not)
        progress = [archive.progress()]
        for _ in range(3):
            archive.update()
            assert archive.problems == [f"{SESSION}/{name}: Too many open files"]
            progress.append(archive.progress())
    assert len(set(progress)) == 4, "or nobody would call for an update"
    assert archive.update()
    assert archive.problems == []
    assert starts(archive) == list(range(70))
    assert archive.progress() == archive.progress()
    assert not archive.update()
    writer.close()


def test_a_process_without_descriptors_forgets_nothing(tmp_path: Path) -> None:
    writer, archive = written(tmp_path, 70), Archive(tmp_path)
    archive.update()
    give(writer, 70)
    writer.flush()
    limits, free = resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
    os.close(free)
    progress = archive.progress()
    for room in (0, 1):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + room, limits[1]))
        try:
            assert not archive.update()
            assert archive.progress() == progress
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert "Too many open files" in archive.problems[0]
        assert starts(archive) == list(range(70))
    assert archive.progress() > progress
    assert archive.update()
    assert (starts(archive), archive.problems) == (list(range(71)), [])
    writer.close()


def test_damage_to_a_journal_is_no_problem_once_the_rows_are_elsewhere(tmp_path: Path) -> None:
    writer, archive = written(tmp_path, 10), Archive(tmp_path)
    journal = tmp_path / SESSION / str(Name(STREAM, None, 0))
    data = bytearray(journal.read_bytes())
    data[-5] ^= 1
    journal.write_bytes(data)
    archive.update()
    assert len(archive.problems) == 1
    for number in range(10, 70):
        give(writer, number)
    writer.flush()
    archive.update()
    assert (starts(archive), archive.problems) == (list(range(70)), [])
    writer.close()


def test_memory_that_tables_take_is_counted(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.update()
    assert archive.nbytes == 0
    written(tmp_path, 130).close()
    archive.update()
    # Row groups of 64, 64, 2 rows of level 0 and of 8 of level 1, of 24 bytes a row.
    assert archive.nbytes == 4 * archive_reader.PART_BYTES + 138 * 24
    shutil.rmtree(tmp_path / SESSION)
    archive.update()
    assert archive.nbytes == 0


@pytest.mark.parametrize("name", [Name("gradients"), Name("a_1", None, 0), Name("x", 15, 999_999_999), Name("x", 0, 7)])
def test_names(name: Name) -> None:
    assert Name.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        *("x.L00-000001", "x.L16-000001", "x.L1-0000001", "x.L1-1", "x.L1-١١١١١١", "x.L1-000001.tmp"),
        *("x.journal-1", "x.journal", "x.index.index", "./x.index", f"{'x' * 65}.index", "G.index", "index", ".index"),
        *("", "x.index\n", " x.index"),
    ],
)
def test_what_is_no_name_of_ours(text: str) -> None:
    assert Name.parse(text) is None


def test_entries_come_back_and_nothing_else_is_one() -> None:
    table = np.array([(0, 10, 10, 0), (10, 20, 9, 3)], ROW)
    data = Entry(3, 7, 1 << 40, 4_000_000_000, table).encode()
    entry = Entry.decode(data)
    assert (entry.level, entry.segment, entry.offset, entry.size) == (3, 7, 1 << 40, 4_000_000_000)
    np.testing.assert_array_equal(entry.table, table)
    wrong = [data[:length] for length in range(len(data))] + [
        data + b"x",
        b"GHAX" + data[4:],
        data[:4] + b"\x10" + data[5:],
    ]
    wrong.append(data[:4] + b"\x10" + data[5:])
    wrong += [Entry(0, 0, 0, 0, table[::-1]).encode(), Entry(0, 0, 0, 0, table[:0]).encode()]
    for bad in wrong:
        with pytest.raises(FormatError):
            Entry.decode(bad)


def test_a_journal_that_gives_way_while_a_reader_has_it(tmp_path: Path) -> None:
    writer, archive = written(tmp_path, 60), Archive(tmp_path)
    archive.update()
    old = archive.streams[SESSION, STREAM].parts
    for number in range(60, 70):
        give(writer, number)
        writer.flush()
    with pytest.raises(FileNotFoundError):
        old[0].open()
    archive.update()
    assert read(archive) == expected(range(70))
