"""The event tier: complete for a short run, bounded for a long one, and at no time is a recorded step nowhere."""

from __future__ import annotations

import contextlib
import itertools
import math
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gradhealth_kernels.metrics import select
from tb_gradhealth import rows as interval
from tb_gradhealth.notes import Note
from tb_gradhealth.sinks import SharedSink
from tb_gradhealth.store import events as module
from tb_gradhealth.store.events import EventTier, _scalar
from tb_gradhealth.store.format import PLUGIN, Schema, Tag, check_metadata
from tb_gradhealth.store.levels import Levels
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.records import EventFile, FileLost
from tb_gradhealth.store.rowgroup import code
from tb_gradhealth.store.scalars import Scalar
from tb_gradhealth.store.timeline import Grid, Timeline

from ..synthetic import SESSION, Recording, recorded
from .written import Sink

CHOSEN = select(["norm"])
SMALL = Recording(recorded(64, 1), names=("w",), every=1, chosen=CHOSEN)
#: What a record has beside the event, and what the file begins with.
FRAME, BEGIN = 16, 64


def rows(count: int, logged: int = 0) -> list[PendingRow]:
    """Rows of one step each of a model of one tensor; ``logged`` scalars stand in each."""
    entries = np.tile(SMALL.entries, (-(-count // 64), 2))[:count]  # the whole stream is the one tensor
    steps = interval.from_steps(0, entries, CHOSEN)
    return [
        PendingRow(interval.take(steps, i), {f"scalar{n}": Scalar(1, i, i, i) for n in range(logged)})
        for i in range(count)
    ]


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


@dataclass
class Run:
    """What the encoder's thread does, one thing after the other."""

    budget: int = 32 << 20
    schema: Schema = field(default_factory=lambda: SMALL.schema)
    trouble: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.sink = Sink(self.trouble)
        self.tier = EventTier(self.sink, self.schema, self.budget)
        self.levels = Levels(self.schema.every)

    def add(self, row: PendingRow) -> None:
        self._hand_over(self.levels.add(row))

    def finish(self) -> None:
        self._hand_over(self.levels.cut())
        for _ in range(3):
            attempt(self.tier.flush)
        self.tier.close()

    def _hand_over(self, done: Sequence[tuple[int, PendingRow]]) -> None:
        for level, row in done:
            self.tier.add(row, code(row, level, self.schema) if self.tier.wants(level) else None, level)

    @property
    def size(self) -> int:
        """Bytes of the event file."""
        return BEGIN + sum(event.ByteSize() + FRAME for event in self.sink.events)

    def shown(self) -> int:
        """Steps that a reader shows, which must be the first ones, each once."""
        bounds = list(row_bounds(self.sink.timeline())) if self.sink.rows(self.schema) else []
        assert all(one[1] == other[0] for one, other in itertools.pairwise([(0, 0), *bounds]))
        return bounds[-1][1] if bounds else 0


def row_bounds(timeline: Timeline) -> Iterator[tuple[int, int]]:
    for span in timeline.rows(0, 1 << 40):
        yield from zip(span.start.tolist(), span.stop.tolist(), strict=True)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 200), st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_a_short_run_is_there_in_full_however_its_rows_come(count: int, together: list[int]) -> None:
    run, made = Run(), rows(count)
    flush = itertools.accumulate(itertools.cycle(together))
    due = next(flush)
    for number, row in enumerate(made, 1):
        run.add(row)
        if number == due:
            due = next(flush)
            run.tier.flush()
    if due - count > 1:
        run.tier.flush()
        assert run.shown() == count, "also before it is closed"
    run.finish()
    timeline = run.sink.timeline()
    assert timeline.full
    assert list(row_bounds(timeline)) == [(step, step + 1) for step in range(count)]
    shown = timeline.plane("norm", np.array([0]), Grid(0, 1, count), "max")[0]
    true = [row.rows.max[0, 0, 0] for row in made]
    assert shown.tolist() == pytest.approx(true, rel=0.0018)


@pytest.mark.parametrize(("budget", "logged"), [(30_000, 0), (60_000, 3), (300_000, 30)])
@pytest.mark.parametrize(("together", "seconds"), [(1, 0.01), (5, 1.0), (50, 0.1)])
def test_no_run_exceeds_its_budget_and_its_end_is_always_shown(
    clock: Clock, budget: int, logged: int, together: int, seconds: float
) -> None:
    run, count = Run(budget), 1500
    for number, row in enumerate(rows(count, logged), 1):
        run.add(row)
        clock.now += seconds
        if number % together == 0:
            run.tier.flush()
    run.finish()
    assert run.size <= budget
    assert run.shown() == count
    assert not run.sink.timeline().full


@pytest.mark.parametrize("together", [7, 50])
def test_all_but_the_last_seconds_are_shown_at_any_time(clock: Clock, together: int) -> None:
    """At most as old as 4 s, as 1 % of the session's age, or as that part of it that five tails are of what the finest
    level may use, whichever is the most; and as long as rows wait for the next flush."""
    budget, second = 100_000, 0.25
    run = Run(budget)
    shown, largest, seen, finest, behind = 0, 0, 0, 0, 0
    for number, row in enumerate(rows(4000), 1):
        run.add(row)
        clock.now += second
        if number % together == 0:
            run.tier.flush()
            for event in run.sink.events[seen:]:
                first = event.summary.value[0].tag
                level = Tag.parse(first).level if first.startswith(PLUGIN) else None
                if level is not None:
                    shown, finest = max(shown, event.step + 1), max(finest, level)
                    largest = max(largest, event.ByteSize()) if level else 0
            seen = len(run.sink.events)
            part = 5 * largest / (0.25 * 0.75**finest * budget)
            lag = (number - shown) * second
            assert lag <= max(4.0, max(0.01, part) * number * second) + second * together, number
            behind = max(behind, number - shown)
            if number % 1301 < together:
                assert run.shown() == shown, number
    assert not run.tier.wants(0), "or no tails were needed"
    assert behind > 0, "or every row was shown at once"


def test_the_pause_between_tails_grows_with_the_age_of_the_session(clock: Clock) -> None:
    run = Run()
    run.tier._finest = 4  # as after many rows
    written = list[float]()
    for age, row in enumerate(rows(2500)):
        run.add(row)
        clock.now += 1.0
        before = len(run.sink.events)
        run.tier.flush()
        if age > 2000 and len(run.sink.events) > before:
            written.append(age)
    pauses = np.diff(written)
    assert len(pauses) > 10
    assert (pauses >= 20).all()
    assert (pauses <= 26).all()


def test_levels_close_one_after_the_other_and_tails_go_on(clock: Clock) -> None:
    run = Run(40_000)
    finest, starts = list[int](), defaultdict[int, list[int]](list)
    for row in rows(3000):
        run.add(row)
        clock.now += 0.5
        run.tier.flush()
        finest.append(run.tier._finest)
    run.finish()
    assert finest == sorted(finest)
    assert finest[-1] >= 2
    for row in run.sink.rows(run.schema):
        starts[row.level].append(row.start)
        assert row.recorded == row.stop - row.start
    assert starts[0] == list(range(len(starts[0]))), "a level is complete as far as it goes"
    full = [row for row in run.sink.rows(run.schema, 1) if row.stop - row.start == 16]
    assert [row.start for row in full] == list(range(0, 16 * len(full), 16))
    assert len(run.sink.rows(run.schema, 1)) > len(full), "or there were no tails"


class Faulty:
    """Fails at the events of these numbers, counted over all attempts."""

    def __init__(self, at: set[int]) -> None:
        self.at, self.count = at, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count in self.at:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("budget", [1, 32 << 20])
def test_a_sink_that_fails_at_any_event_and_recovers_loses_no_step(clock: Clock, budget: int) -> None:
    made = rows(40, logged=1)
    number = 0
    while True:
        number += 1
        trouble = Faulty({number, number + 1})
        run = Run(budget, trouble=trouble)
        for step, row in enumerate(made, 1):
            run.add(row)
            clock.now += 1.0
            if step % 5 == 0:
                attempt(run.tier.flush)
        run.finish()
        assert run.shown() == len(made), number
        check_steps_grow(run.sink)
        if trouble.count < number:
            break
    assert number > 10, "or there were hardly any events"


def test_a_sink_that_fails_for_long_costs_resolution_and_bounded_memory() -> None:
    broken = [True]

    def trouble() -> None:
        if broken[0]:
            raise OSError(5, "Input/output error")

    run, made = Run(trouble=trouble), rows(3000)
    for row in made:
        run.add(row)
        attempt(run.tier.flush)
        assert run.tier.waiting <= 4 * module.MAX_WAITING_ROWS
    broken[0] = False
    run.finish()
    assert run.shown() == 3000
    timeline = run.sink.timeline()
    finest = list(row_bounds(timeline))
    assert finest[-20:] == [(step, step + 1) for step in range(2980, 3000)], "the newest in full"
    assert not timeline.full
    whole = timeline.cells("norm", np.array([0]), Grid(0, 3000, 1))
    assert whole.max[0, 0] == pytest.approx(max(row.rows.max[0, 0, 0] for row in made), rel=0.0018)
    assert whole.min[0, 0] == pytest.approx(min(row.rows.min[0, 0, 0] for row in made), rel=0.0018)


def test_rows_that_wait_are_bounded_with_all_that_is_kept_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble() -> None:
        raise OSError(5, "Input/output error")

    made = rows(200, logged=4)
    one = made[0].nbytes + code(made[0], 0, SMALL.schema).nbytes
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 40 * one)
    run = Run(trouble=trouble)
    for row in made:
        run.add(row)
    kept = run.tier._waiting[0]
    assert 35 <= len(kept) <= 40
    assert sum(row.nbytes + coded.nbytes for row, coded in kept) <= 40 * one
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 1)
    for row in rows(230, logged=4)[200:]:
        run.add(row)
    assert len(run.tier._waiting[0]) == 17, "16 of them may be in no coarser row yet"


def test_the_size_of_a_row_that_waits_is_about_what_it_takes() -> None:
    for count, logged in ((1, 200), (3000, 0)):
        entries = np.tile(SMALL.entries[:1], (1, count))
        tracemalloc.start()
        row = PendingRow(
            interval.from_steps(0, entries, CHOSEN),
            {f"scalar {n}": Scalar(n, n * 0.5, n * 0.3, n) for n in range(logged)},
        )
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0.7 * taken < row.nbytes < 1.5 * taken


def lose_and_go_on(tiers: Sequence[EventTier], directory: Path) -> None:
    """Rows 0 … 79 to each tier; after 40 of them all event files are deleted."""
    levels = [Levels(1) for _ in tiers]
    for number, row in enumerate(rows(80)):
        if number == 40:
            for path in directory.iterdir():
                path.unlink()
        for tier, own in zip(tiers, levels, strict=True):
            for level, done in own.add(row):
                tier.add(done, code(done, level, tier._schema), level)
            if number % 5 == 4:
                if number == 44:
                    with pytest.raises(FileLost, match="deleted"):
                        tier.flush()
                tier.flush()


def test_after_an_event_file_was_deleted_rows_go_on_in_another_one(tmp_path: Path) -> None:
    tier = EventTier(EventFile(tmp_path, SESSION), SMALL.schema, 1 << 20)
    lose_and_go_on([tier], tmp_path)
    tier.close()
    run = open_directory(tmp_path)
    assert run.problems == []
    assert [b for b in row_bounds(run.timeline("gradients")) if b[0] >= 40] == [(n, n + 1) for n in range(40, 80)]


def test_both_streams_of_a_file_that_was_deleted_go_on(tmp_path: Path) -> None:
    shared = SharedSink(EventFile(tmp_path, SESSION))
    schemas = [SMALL.schema, replace(SMALL.schema, stream="unclipped")]
    tiers = [EventTier(shared.share(), schema, 1 << 20) for schema in schemas]
    lose_and_go_on(tiers, tmp_path)
    for tier in tiers:
        tier.close()
    run = open_directory(tmp_path)
    assert run.problems == []
    for schema in schemas:
        found = [b for b in row_bounds(run.timeline(schema.stream)) if b[0] >= 40]
        assert found == [(n, n + 1) for n in range(40, 80)], schema.stream


def test_a_stream_that_begins_when_the_others_have_ended_continues_their_file(tmp_path: Path) -> None:
    shared = SharedSink(EventFile(tmp_path, SESSION))
    schemas = [SMALL.schema, replace(SMALL.schema, stream="unclipped")]
    for schema in schemas:
        tier = EventTier(shared.share(), schema, 1 << 20)
        row = rows(1)[0]
        tier.add(row, code(row, 0, schema), 0)
        tier.flush()
        tier.close()
    run = open_directory(tmp_path)
    assert run.problems == []
    assert [list(row_bounds(run.timeline(schema.stream))) for schema in schemas] == [[(0, 1)], [(0, 1)]]
    assert len(list(tmp_path.iterdir())) == 1


def attempt(call: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        call()


def check_steps_grow(sink: Sink) -> None:
    """TensorBoard takes a step that is smaller than the last one of its tag for a restart, and its data server keeps
    the last event of a step: that may be the row cut short at the end, which has what the tail before it had."""
    steps = defaultdict[str, list[int]](list)
    for event in sink.events:
        for value in event.summary.value:
            steps[value.tag].append(event.step)
    for tag, own in steps.items():
        assert own == sorted(own), tag
        twice = [step for step, count in Counter(own).items() if count > 1]
        assert twice == [] or (twice == [max(own)] and tag.startswith(PLUGIN)), tag


@pytest.mark.parametrize("together", [1, 3, 64])
def test_steps_grow_within_a_tag_and_each_row_has_its_scalars(clock: Clock, together: int) -> None:
    run = Run(40_000)
    for number, row in enumerate(rows(2000, logged=1), 1):
        run.add(row)
        clock.now += 0.5
        if number % together == 0:
            run.tier.flush()
    run.finish()
    check_steps_grow(run.sink)
    logged = {
        event.step: value.tensor.float_val[0]
        for event in run.sink.events
        for value in event.summary.value
        if value.tag == "logged/scalar0"
    }
    in_full = run.sink.rows(run.schema, 0)
    assert [logged[row.start] for row in in_full] == [float(row.start) for row in in_full]
    assert max(logged) == 1999


def test_every_event_says_whose_it_is_and_segments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    run = Run()
    for row in rows(100):
        run.add(row)
        run.tier.flush()
    values = [event.summary.value[0] for event in run.sink.events]
    assert all(value.metadata.plugin_data.plugin_name == PLUGIN for value in values)
    for value in values:
        check_metadata(value.metadata.plugin_data.content)
    assert values[0].tag == str(Tag(SESSION, "gradients"))
    by_level = defaultdict[int, list[tuple[int, int]]](list)
    for value in values[1:]:
        tag = Tag.parse(value.tag)
        assert tag.level is not None
        by_level[tag.level].append((tag.segment, len(value.tensor.tensor_content)))
    assert len(by_level) == 2
    for parts in by_level.values():
        segments, sizes = zip(*parts, strict=True)
        assert list(segments) == sorted(segments)
        assert (np.bincount(segments, weights=sizes) <= 2000 + max(sizes)).all()
    assert len({segment for segment, _ in by_level[0]}) > 2


def test_a_model_too_large_for_the_budget_has_a_few_rows_all_the_same(clock: Clock) -> None:
    names = tuple(f"t{i}" for i in range(300))
    recording = Recording(np.tile(recorded(20, 300), (6, 1)), names=names, every=1, block=10)
    run = Run(1, recording.schema)
    for row in recording.rows():
        run.add(row)
        run.tier.flush()
    largest = max(event.ByteSize() for event in run.sink.events)
    run.finish()
    assert len(run.sink.rows(run.schema, 0)) >= module.MIN_ROWS * module.FIRST_SHARE - 1
    assert run.size <= (module.MIN_ROWS + 2) * largest
    assert run.shown() == 120


def test_notes_stay_where_their_rows_are_only_coarser(clock: Clock) -> None:
    run, made = Run(6_000), rows(1500)
    for step in range(0, 1500, 100):
        made[step].notes = [Note(step, "skipped")]
    for row in made:
        run.add(row)
        clock.now += 1.0
        run.tier.flush()
    run.finish()
    notes, complete = run.sink.timeline().notes(0, 1500, 100)
    assert ([note.step for note in notes], complete) == (list(range(0, 1500, 100)), True)


@pytest.mark.parametrize("number", [0.1, -0.0, 1e300, 1e-46, math.nan, math.inf, np.float64(3.3)])
def test_the_scalars_are_what_tensorboard_would_make(number: float) -> None:
    with np.errstate(over="ignore"):
        (expected,) = scalar_pb("logged/a", number).value
    assert _scalar("logged/a", number).SerializeToString() == expected.SerializeToString()
