"""A run takes in what is new, shows what is sound, and says what is not."""

from __future__ import annotations

import errno
import gc
import struct
import weakref
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tb_gradhealth.store.archive_reader import Archive, Archived
from tb_gradhealth.store.cells import Cells, Grid
from tb_gradhealth.store.cover import Cover, by_level
from tb_gradhealth.store.format import FormatError, Tag, metadata
from tb_gradhealth.store.levels import Levels
from tb_gradhealth.store.part import Part
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.rowgroup import RowGroup, code, encode
from tb_gradhealth.store.source import Content

from ..synthetic import NAMES, SESSION, Memory, Recording, history, recorded

ROWS = Tag(SESSION, "gradients", 0, 0)
SCHEMA = Tag(SESSION, "gradients")
OTHER = "fedcba9876543210"


def recording(start: int = 0, steps: int = 30, session: str = SESSION) -> Recording:
    return Recording(recorded(steps, seed=start), start=start, session=session, wall_time=1.7e9 + start)


def cells(run: Run, count: int = 3, metric: str = "norm") -> Cells:
    return run.timeline("gradients").cells(metric, np.arange(len(NAMES)), Grid(0, 10, count))


def starts(run: Run, stream: str = "gradients") -> list[list[int]]:
    """First steps of the finest rows of each session."""
    return [session.cover(0).start.tolist() for session in run.timeline(stream).sessions]


def test_only_tags_that_have_grown_are_read_again() -> None:
    source, run = Memory(recording()), Run()
    assert run.update(source)
    assert not run.update(source)
    assert source.reads == [[str(SCHEMA), str(ROWS)]]
    later = Tag(SESSION, "gradients", 0, 1)
    source.add(later, recording(30).payloads())
    before = run.revision
    assert run.update(source)
    assert source.reads[1:] == [[str(later)]]
    assert starts(run) == [[0, 10, 20, 30, 40, 50]]
    assert run.revision > before


def test_rows_appended_to_a_tag_join_the_ones_before() -> None:
    source, run = Memory(), Run()
    source.add(SCHEMA, [recording().schema.encode()])
    assert run.update(source)
    assert run.streams() == []
    for end, payload in zip((10, 20, 30), recording().payloads(), strict=True):
        source.add(ROWS, [payload])
        assert run.update(source)
        assert run.timeline("gradients").end == end
        assert np.isfinite(cells(run, end // 10).mean).all()


def test_a_timeline_in_use_stays_what_it_was() -> None:
    source, run = Memory(), Run()
    first, second, _ = recording().payloads()
    source.add(SCHEMA, [recording().schema.encode()])
    source.add(ROWS, [first])
    run.update(source)
    held = run.timeline("gradients")
    source.add(ROWS, [second])
    run.update(source)
    assert (held.end, run.timeline("gradients").end) == (10, 20)


def test_a_list_of_tags_older_than_what_was_read_is_no_news() -> None:
    """Two requests list at almost the same time, and the older list arrives second."""

    class Stale(Memory):
        def tags(self) -> dict[str, Content]:
            return {tag: replace(content, progress=1) for tag, content in super().tags().items()}

    source, run = Memory(recording()), Run()
    run.update(source)
    revision = run.revision
    assert not run.update(Stale(recording()))
    assert run.revision == revision


def test_a_read_that_fails_is_made_again() -> None:
    class Flaky(Memory):
        fail = True

        def read(self, tags: list[str]) -> dict[str, list[bytes]]:
            if self.fail:
                raise ConnectionError("data server is gone")
            return super().read(tags)

    source, run = Flaky(recording()), Run()
    with pytest.raises(ConnectionError):
        run.update(source)
    source.fail = False
    assert run.update(source)
    assert starts(run) == [[0, 10, 20]]


def test_a_tag_that_cannot_be_read_is_named_and_asked_for_again() -> None:
    class Partial(Memory):
        missing = str(ROWS)

        def read(self, tags: list[str]) -> dict[str, list[bytes]]:
            return {tag: events for tag, events in super().read(tags).items() if tag != self.missing}

    source, run = Partial(recording(), recording(30, session=OTHER)), Run()
    run.update(source)
    assert run.problems == [f"a part of session {SESSION} could not be read; it is tried again"]
    assert starts(run) == [[30, 40, 50]]
    source.missing = ""
    run.update(source)
    assert run.problems == []
    assert starts(run) == [[0, 10, 20], [30, 40, 50]]


def test_rows_wait_for_their_schema_and_are_not_fetched_before() -> None:
    source, run = Memory(recording(30, session=OTHER)), Run()
    source.put(recording(), schema=False)
    run.update(source)
    run.update(source)
    assert run.problems == [f"session {SESSION} has rows but no readable schema yet"]
    assert not any(str(ROWS) in tags for tags in source.reads)
    assert starts(run) == [[30, 40, 50]]
    source.add(SCHEMA, [recording().schema.encode()])
    run.update(source)
    assert run.problems == []
    assert starts(run) == [[0, 10, 20], [30, 40, 50]]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (b"no zlib", "expected zlib data"),
        (recording(session=OTHER).schema.encode(), f"expected the schema of session {SESSION} under its tag"),
    ],
)
def test_a_schema_that_is_none_costs_its_session_alone(schema: bytes, problem: str) -> None:
    source, run = Memory(recording(30, session="00000000")), Run()
    source.add(SCHEMA, [schema])
    source.put(recording(), schema=False)
    for _ in range(3):
        run.update(source)
    assert starts(run) == [[30, 40, 50]]
    assert any(problem in text for text in run.problems)
    assert f"session {SESSION} has rows but no readable schema" in " ".join(run.problems)


@pytest.mark.parametrize("about", [metadata(0, 0.0).replace(b"2", b"3"), b"", b"\xff", b"[]"])
def test_an_unknown_version_is_said_and_the_rest_is_shown(about: bytes) -> None:
    source, run = Memory(recording()), Run()
    source.add(Tag(OTHER, "gradients", 0, 0), [b"from the future"], about)
    run.update(source)
    assert starts(run) == [[0, 10, 20]]
    (problem,) = run.problems
    assert "upgrade tb-gradhealth" in problem or "expected JSON metadata" in problem
    assert not any("fedc" in tag for tags in source.reads for tag in tags)


@pytest.mark.parametrize("tag", ["gradhealth/../../etc/passwd", "loss", "gradhealth/0123abcd/gradients/L0/" + "9" * 99])
def test_a_tag_that_is_not_ours_is_said_and_never_read(tag: str) -> None:
    source, run = Memory(recording()), Run()
    source.add(tag, [b"x"])
    run.update(source)
    assert starts(run) == [[0, 10, 20]]
    assert run.problems[0].startswith("expected a tag gradhealth/<session>/<stream>/")
    assert source.reads == [[str(SCHEMA), str(ROWS)]]


def header_gone(data: bytes) -> bytes:
    return b"XXXX" + data[4:]


def cut_short(data: bytes) -> bytes:
    return data[:-1]


@pytest.mark.parametrize("damage", [header_gone, cut_short, lambda data: b""])
def test_a_damaged_row_is_left_out_and_counted(damage: Callable[[bytes], bytes]) -> None:
    source, run = Memory(), Run()
    payloads = recording().payloads()
    source.add(SCHEMA, [recording().schema.encode()])
    source.add(ROWS, [payloads[0], damage(payloads[1]), payloads[2]])
    run.update(source)
    assert starts(run) == [[0, 20]]
    (problem,) = run.problems
    assert problem.startswith(f"1 rows of session {SESSION} are damaged and left out (expected a row group")
    assert np.isnan(cells(run).max).all(axis=0).tolist() == [False, True, False]


def chunk_at(data: bytes, chunk: int) -> int:
    """Offset of a chunk of a row group of one row."""
    chunks = struct.unpack_from("<I", data, 20)[0]
    sizes = struct.unpack_from(f"<{2 * chunks}I", data, 28 + 24)[::2]
    return 28 + 24 + 8 * chunks + sum(size & 0x7FFFFFFF for size in sizes[:chunk])


def test_a_damaged_chunk_costs_its_row_group_and_is_said_once_it_is_seen() -> None:
    recorded_run = recording()
    payloads = recorded_run.payloads()
    broken = bytearray(payloads[1])
    broken[chunk_at(payloads[1], 2)] ^= 0xFF  # of the first metric
    source, run = Memory(), Run()
    source.add(SCHEMA, [recorded_run.schema.encode()])
    source.add(ROWS, [payloads[0], bytes(broken), payloads[2]])
    run.update(source)
    assert run.problems == []
    for _ in range(2):
        assert np.isnan(cells(run).max).all(axis=0).tolist() == [False, True, False]
        assert run.problems == [
            f"1 groups of rows of session {SESSION} are damaged and left out in full or in part "
            "(from step 10 on; the checksum of chunk 2 does not fit)"
        ]


def test_all_that_is_damaged_is_found_before_rows_are_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Recording(recorded(120), every=1)
    payloads = [bytearray(payload) for payload in one.payloads()]
    for payload in payloads[10:110]:
        payload[chunk_at(bytes(payload), 2)] ^= 0xFF
    source, run = Memory(), Run()
    source.add(SCHEMA, [one.schema.encode()])
    source.add(ROWS, [bytes(payload) for payload in payloads])
    run.update(source)
    made: list[int] = []

    def counted(parts: Sequence[Part], lost: Container[Part]) -> dict[int, Cover]:
        made.append(sum(part in lost for part in parts))
        return by_level(parts, lost)

    monkeypatch.setattr("tb_gradhealth.store.sessions.by_level", counted)
    monkeypatch.setattr("tb_gradhealth.store.timeline.SPAN_CELLS", 30)
    shown = run.timeline("gradients").cells("norm", np.arange(3), Grid(0, 1, 120)).max
    assert np.flatnonzero(np.isfinite(shown[0])).tolist() == [*range(10), *range(110, 120)]
    assert made == [100]


class Failing(Archive):
    """One row group, which cannot be opened while ``error`` is set."""

    error: Exception | None = None

    def __init__(self, one: Recording) -> None:
        super().__init__(Path("nowhere"))
        coded = [replace(code(row, 0, one.schema), notes=b"[]") for row in one.rows()]
        self.group = RowGroup.of(encode(coded, one.schema), one.schema)
        self.part = Part(0, self.group.table, self.opened)
        self.streams = {(SESSION, "gradients"): Archived(one.schema, [self.part])}

    def opened(self) -> RowGroup:
        if self.error is not None:
            raise self.error
        return self.group

    def progress(self) -> int:
        return 1

    def update(self) -> bool:
        return True


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), FileNotFoundError()])
def test_what_may_pass_is_tried_again_with_the_next_update(error: OSError) -> None:
    archive, source = Failing(recording()), Memory()
    run = Run(archive)
    run.update(source)
    archive.error = error
    for _ in range(2):
        timeline = run.timeline("gradients")
        assert timeline.notes(0, 30, 1) == ([], True)
        assert np.isnan(cells(run).max).all()
        assert starts(run) == [[]]
        assert len(run.problems) == isinstance(error, FileNotFoundError) ^ 1
        assert run.update(source)
        assert run.problems == []
    archive.error = None
    assert np.isfinite(cells(run).max).all()
    assert starts(run) == [[0, 10, 20]]
    assert not run.update(source)


def test_what_is_broken_stays_so() -> None:
    archive, source = Failing(recording()), Memory()
    run = Run(archive)
    run.update(source)
    archive.error = FormatError("no row group")
    assert np.isnan(cells(run).max).all()
    archive.error = None
    assert not run.update(source)
    assert "no row group" in run.problems[0]
    assert np.isnan(cells(run).max).all()


def test_a_run_that_is_gone_leaves_no_events_in_the_cache() -> None:
    run = run_of(Memory(recording()))
    cells(run)
    groups = [weakref.ref(part.open()) for parts in run._parts.values() for some in parts.values() for part in some]
    assert len(groups) == 3
    del run
    gc.collect()
    assert [group() for group in groups] == [None] * 3


def test_tables_of_rows_count_for_the_memory_that_a_run_takes() -> None:
    run, archived = run_of(Memory(recording())), Run(Failing(recording()))
    archived.update(Memory())
    assert archived.nbytes >= 64 * 3
    assert run.nbytes >= sum(map(len, recording().payloads())) + 64 * 3


def test_a_coarser_row_stands_in_for_what_is_damaged() -> None:
    one = Recording(recorded(40), every=2, block=2)
    schema, rows = one.schema, one.rows()
    payloads = one.payloads()
    broken = bytearray(payloads[3])
    broken[chunk_at(payloads[3], 2)] ^= 0xFF
    payloads[3] = bytes(broken)
    source, run = Memory(), Run()
    source.add(SCHEMA, [schema.encode()])
    source.add(ROWS, payloads)
    levels = Levels(one.every)
    coarse = [pair for row in rows for pair in levels.add(row)] + levels.cut()
    source.add(Tag(SESSION, "gradients", 1, 0), [encode([code(r, 1, schema)], schema) for k, r in coarse if k == 1])
    run.update(source)
    timeline = run.timeline("gradients")
    assert timeline.full
    which, grid = np.arange(len(timeline.tree)), Grid(0, 2, 20)
    shown = timeline.cells("norm", which, grid)
    assert not timeline.full
    assert "damaged" in run.problems[0]
    whole = history(one).cells("norm", which, grid).max
    expected = whole.copy()
    expected[:, 3] = whole[:, :16].max(axis=1)
    assert np.array_equal(shown.max, expected)
    (spans,) = timeline.rows(0, 40)
    assert (spans.start.tolist(), spans.recorded.tolist()) == ([*range(0, 40, 2)], [2] * 20)


def test_rows_of_another_level_than_their_tag_are_damaged() -> None:
    one, source, run = recording(), Memory(recording()), Run()
    source.add(Tag(SESSION, "gradients", 1, 0), one.payloads()[:1])
    run.update(source)
    assert starts(run) == [[0, 10, 20]]
    assert "expected rows of level 1 under its tag, got level 0" in run.problems[0]


def test_rows_that_cover_the_same_steps_twice_count_once() -> None:
    source, run = Memory(recording()), Run()
    source.add(Tag(SESSION, "gradients", 0, 1), recording().payloads())
    run.update(source)
    assert starts(run) == [[0, 10, 20]]
    tally = run.timeline("gradients").tally(np.arange(1), Grid(0, 10, 3))
    assert tally.recorded.tolist() == [10, 10, 10]
    assert run.problems == []


def put_stream(source: Memory, name: str, one: Recording) -> None:
    schema = replace(one.schema, stream=name)
    source.add(Tag(schema.session, name), [schema.encode()])
    source.add(Tag(schema.session, name, 0, 0), one.payloads())


def run_of(source: Memory) -> Run:
    run = Run()
    run.update(source)
    assert run.problems == []
    return run


def test_streams_are_kept_apart_gradients_first() -> None:
    source = Memory(recording())
    put_stream(source, "activations", recording(5, 20))
    run = run_of(source)
    assert run.streams() == ["gradients", "activations"]
    ours, theirs = (starts(run, name) for name in run.streams())
    assert (ours, theirs) == ([[0, 10, 20]], [[5, 10, 20]])


def test_a_node_and_a_cell_mean_the_same_in_every_stream() -> None:
    """Clipping came with the second session, which has other tensors and longer rows."""
    first = Recording(recorded(20, 2), names=("old.w", "both"), every=5)
    second = Recording(recorded(20, 2), names=("both", "new"), start=20, session=OTHER, wall_time=2e9)
    source = Memory(first, second)
    put_stream(source, "unclipped", second)
    run = run_of(source)
    lead, other = run.timeline("gradients"), run.timeline("unclipped")
    assert other.tree.names == lead.tree.names
    assert (other.first, other.end, other.cell) == (0, 40, 5)
    which, grid = np.arange(len(lead.tree)), Grid(20, 5, 4)
    assert np.array_equal(other.cells("norm", which, grid).max, lead.cells("norm", which, grid).max, equal_nan=True)
    assert np.isnan(other.cells("norm", which, Grid(0, 5, 4)).max).all()


def test_what_a_later_session_replaces_goes_from_every_stream() -> None:
    """The second session rewound, and did not clip any more."""
    first = recording()
    source = Memory(first, recording(12, 10, OTHER))
    put_stream(source, "unclipped", first)
    run = run_of(source)
    assert [run.timeline(name).until[0] for name in run.streams()] == [12, 12]
    from_the_start = Recording(recorded(5), session=OTHER, wall_time=2e9)
    source = Memory(first, from_the_start)
    put_stream(source, "unclipped", first)
    assert run_of(source).streams() == ["gradients"]
