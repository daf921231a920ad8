"""The encoder thread: whatever the disk does, nothing raises, nothing blocks, and no spike is lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import Entries
from tb_gradhealth.store import encoder as module
from tb_gradhealth.store import events as tier
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.encoder import MAX_BLOCKS, MAX_ROWS, Encoder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.rowgroup import CodedRow
from tb_gradhealth.store.timeline import Timeline

from ..synthetic import Recording, recorded
from .written import SECONDS, Sink

NORM = [metric.name for metric in METRICS].index("norm")
BUDGET = 32 << 20


class Archive:
    """The part of an archive's writer that the encoder uses."""

    def __init__(self, trouble: Callable[[], None] = lambda: None) -> None:
        self.rows: list[CodedRow] = []
        self.trouble, self.waiting, self.closed = trouble, 0, 0

    def add(self, row: CodedRow) -> None:
        self.rows.append(row)
        self.waiting += 1

    def flush(self) -> None:
        self.trouble()
        self.waiting = 0

    def close(self) -> None:
        self.closed += 1


def started(recording: Recording, sink: Sink, archive: Any = None, budget: int = BUDGET) -> tuple[Encoder, list[str]]:
    problems: list[str] = []
    builder = RowBuilder(recording.tree, recording.chosen, recording.every)
    events = EventTier(sink, recording.schema, budget)
    return Encoder(events, archive, recording.schema, builder, problems.append), problems


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


def spiked(steps: int, tensors: int, spikes: dict[int, int]) -> Entries:
    """Entries with one huge norm in ``tensor`` at each ``step → tensor``."""
    entries = np.tile(recorded(100, tensors), (steps // 100, 1))
    for step, tensor in spikes.items():
        entries["sum_sq"][step, tensor] = 1e12
    return entries


def recorded_once(timeline: Timeline, steps: int) -> bool:
    """Whether the finest rows have each of the steps [0, steps) once."""
    at = 0
    for span in timeline.rows(0, 1 << 40):
        for start, stop, own in zip(*(x.tolist() for x in (span.start, span.stop, span.recorded)), strict=True):
            if start != at or own != stop - start:
                return False
            at = stop
    return at == steps


def test_blocks_become_rows_in_order_on_a_thread_of_their_own() -> None:
    recording, sink = Recording(recorded(95)), Sink()
    encoder, problems = started(recording, sink)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "gradhealth-encoder"]
    assert thread.daemon, "a hanging disk must not keep the process alive"
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    bounds = [(row.level, row.start, row.stop) for row in sink.rows(recording.schema)]
    assert bounds == [*((0, a, min(a + 10, 95)) for a in range(0, 95, 10)), (1, 0, 95)]
    assert [event.step for event in sink.events] == [0, *range(9, 90, 10), 94, 94]
    assert (problems, sink.closed, sink.threads) == ([], 1, {"gradhealth-encoder"})
    assert not thread.is_alive()


def test_a_sink_slower_than_the_training_costs_resolution_and_nothing_else() -> None:
    steps, spikes = 8000, {17: 0, 4321: 2, 7990: 1}
    recording = Recording(spiked(steps, 3, spikes), names=("a", "b.c", "b.d"), every=10, block=10)
    sink = Sink()
    sink.gate.clear()
    encoder, problems = started(recording, sink)
    longest = 0
    for block in recording.blocks():
        encoder.submit(block)
        longest = max(longest, len(encoder._blocks))
        assert len(encoder._rows) <= MAX_ROWS
    assert longest <= MAX_BLOCKS + 1
    sink.gate.set()
    encoder.close(SECONDS)
    timeline = sink.timeline()
    assert recorded_once(timeline, steps)
    assert len(sink.rows(recording.schema, 0)) < len(recording.blocks()) // 2, "or nothing was merged"
    nodes = np.arange(len(timeline.tree))
    for step, tensor in spikes.items():
        shown = timeline.plane("norm", nodes, Grid(step, 1, 1), "max")[:, 0]
        for name in ("", ("a", "b.c", "b.d")[tensor]):
            assert shown[timeline.tree.names.index(name)] == pytest.approx(1e6, rel=0.002)
    assert timeline.tally(nodes, Grid(0, steps, 1)).counts["count"][0, 0] == steps * 3 * 6
    assert problems == []


def test_a_failing_sink_is_tried_again_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.005, 0.02))
    full = threading.Event()
    full.set()

    def trouble() -> None:
        if full.is_set():
            raise OSError(28, "No space left on device")

    recording, sink = Recording(recorded(500)), Sink(trouble)
    encoder, problems = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    until(lambda: len(problems) >= 3)
    assert sink.events == []
    assert all("No space left on device" in text and "tried again" in text for text in problems)
    full.clear()
    encoder.close(SECONDS)
    timeline = sink.timeline()
    assert recorded_once(timeline, 500)
    assert timeline.full
    counted = timeline.tally(np.array([0]), Grid(0, 500, 1)).counts["count"]
    assert counted.tolist() == [[int(recording.entries["count"].sum())]]


def test_while_the_disk_fails_the_thread_still_takes_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the training thread would have to turn them into rows itself."""
    monkeypatch.setattr(module, "RETRY_SECONDS", (SECONDS, SECONDS))
    recording, sink = Recording(recorded(40), every=2, block=2), Sink(lambda: (_ for _ in ()).throw(OSError("dead")))
    encoder, problems = started(recording, sink)
    first, *others = recording.blocks()
    encoder.submit(first)
    until(lambda: len(problems) == 1)
    for block in others:
        encoder.submit(block)
    until(lambda: not encoder._blocks and encoder.waiting == 20 + 1)
    assert len(problems) == 1
    encoder.close(0.1)


def test_what_cannot_be_written_by_the_deadline_is_reported_and_closing_ends() -> None:
    recording, sink = Recording(recorded(95)), Sink(lambda: (_ for _ in ()).throw(OSError("dead mount")))
    encoder, problems = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(0.2)
    assert "11 rows of gradient statistics could not be written" in problems[-1]
    assert "check that the log directory is writable" in problems[-1]
    until(lambda: sink.closed == 1)


def test_a_sink_that_never_returns_does_not_hold_closing_up() -> None:
    recording, sink = Recording(recorded(20)), Sink()
    sink.gate.clear()
    encoder, problems = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(0.1)
    assert "could not be written" in problems[-1]
    sink.gate.set()


def test_a_disk_that_recovers_while_closing_still_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.01))
    attempts = []

    def trouble() -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 8:
            raise OSError("not yet")

    recording, sink = Recording(recorded(25)), Sink(trouble)
    encoder, _ = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    assert [(row.level, row.stop) for row in sink.rows(recording.schema)] == [(0, 10), (0, 20), (0, 25), (1, 25)]
    # Pauses between attempts, or eight of them would be over before any disk could recover.
    assert attempts[7] - attempts[0] > 0.03


class Broken:
    def entries(self) -> Entries:
        raise RuntimeError("device lost")


def test_a_broken_block_costs_itself_alone() -> None:
    recording, sink = Recording(recorded(30), block=10), Sink()
    encoder, problems = started(recording, sink)
    first, second, third = recording.blocks()
    for block in (first, Block(second.first_step, Broken()), third):
        encoder.submit(block)
    encoder.close(SECONDS)
    assert [row.start for row in sink.rows(recording.schema, 0)] == [0, 20]
    assert problems == ["steps from 10 on could not be summarised (RuntimeError: device lost)"]


def test_a_sink_that_cannot_close_is_reported() -> None:
    class Unclosable(Sink):
        def close(self) -> None:
            raise OSError("stale file handle")

    recording, sink = Recording(recorded(10)), Unclosable()
    encoder, problems = started(recording, sink)
    encoder.submit(Block(0, Ready(recording.entries)))
    encoder.close(SECONDS)
    assert problems == ["the log directory could not be closed (OSError: stale file handle)"]
    assert len(sink.rows(recording.schema, 0)) == 1


def test_rows_are_written_together_and_not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write costs, and a killed process may lose a second."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 1000.0)
    recording, sink = Recording(recorded(95)), Sink()
    encoder, _ = started(recording, sink)
    first, *others = recording.blocks()
    encoder.submit(first)
    for block in others:
        encoder.submit(block)
    until(lambda: not encoder._blocks and encoder.waiting + len(sink.rows(recording.schema)) == 9)
    assert len(sink.rows(recording.schema)) <= 9
    encoder.close(SECONDS)
    groups = [value for event in sink.events for value in event.summary.value if "/L0/" in value.tag]
    assert len(groups) <= 2
    assert recorded_once(sink.timeline(), 95)


def test_rows_are_written_while_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    recording, sink = Recording(recorded(95)), Sink()
    encoder, problems = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    until(lambda: len(sink.rows(recording.schema)) == 9)
    assert recorded_once(sink.timeline(), 90)
    encoder.close(SECONDS)
    assert problems == []


def test_steps_that_no_row_shows_yet_are_shown_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget is too small for rows of level 0, and one of level 1 is far away."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(tier, "TAIL_SECONDS", 0.01)
    monkeypatch.setattr(tier, "MIN_ROWS", 128)
    recording, sink = Recording(recorded(300), every=2, block=2), Sink()
    encoder, problems = started(recording, sink, budget=1)
    for end, block in enumerate(recording.blocks(), 1):
        encoder.submit(block)
        if end % 29 == 0:
            until(lambda end=end: len(sink.rows(recording.schema)) > 0 and sink.timeline().end == 2 * end)  # type: ignore[misc]
            assert recorded_steps(sink.timeline()) == 2 * end
    encoder.close(SECONDS)
    assert problems == []
    assert not sink.timeline().full
    assert recorded_steps(sink.timeline()) == 300


def recorded_steps(timeline: Timeline) -> int:
    """Steps that the rows of the cover have, which must not overlap."""
    bounds = [pair for span in timeline.rows(0, 1 << 40) for pair in zip(span.start, span.stop, strict=True)]
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(bounds))
    return sum(int(span.recorded.sum()) for span in timeline.rows(0, 1 << 40))


def test_both_tiers_get_all_levels_and_neither_waits_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (SECONDS, SECONDS))
    monkeypatch.setattr(module, "MAX_BLOCKS", 200)
    monkeypatch.setattr(module, "MAX_ROWS", 200)
    recording, sink = Recording(recorded(400), every=2, block=2), Sink()

    def trouble() -> None:
        raise OSError("stale file handle")

    archive = Archive(trouble)
    encoder, problems = started(recording, sink, archive)
    for block in recording.blocks():
        encoder.submit(block)
    until(lambda: sum(row.level == 0 for row in archive.rows) == 200)
    encoder.close(0.2)
    until(lambda: archive.closed == 1)
    own = [(row.level, row.start, row.stop) for row in archive.rows]
    assert sorted(own) == sorted((row.level, row.start, row.stop) for row in sink.rows(recording.schema))
    assert [row[1:] for row in own if row[0] == 0] == [(a, a + 2) for a in range(0, 400, 2)]
    assert {row[0] for row in own} == {0, 1, 2}
    assert (
        problems[0] == "the archive cannot be written now (stale file handle); rows are kept, merged, and tried again"
    )
    assert f"{len(own)} rows of gradient statistics could not be written" in problems[-1]
    assert (sink.closed, archive.closed) == (1, 1)


def test_the_archive_gets_what_the_events_have_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BLOCKS", 200)
    monkeypatch.setattr(module, "MAX_ROWS", 200)
    recording, sink, archive = Recording(recorded(400), every=2, block=2), Sink(), Archive()
    encoder, _ = started(recording, sink, archive, budget=1)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    assert [row.start for row in archive.rows if row.level == 0] == list(range(0, 400, 2))
    assert len(sink.rows(recording.schema, 0)) < 200


def test_the_scalars_are_of_the_rows_they_stand_in() -> None:
    recording, sink = (
        Recording(recorded(20), logged={0: [("loss", 2.0)], 7: [("loss", 4.0)], 10: [("loss", 9.0)]}),
        Sink(),
    )
    encoder, _ = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    shown = {
        (event.step, value.tag): value.tensor.float_val[0]
        for event in sink.events
        for value in event.summary.value
        if not value.tag.startswith("gradhealth/")
    }
    assert (shown[9, "logged/loss"], shown[19, "logged/loss"]) == (3.0, 9.0)
    rows = [row.rows for row in recording.rows()]
    for step, row in ((9, rows[0]), (19, rows[1])):
        assert shown[step, "gradients/norm/max"] == pytest.approx(row.max[NORM, 0, 0])
        assert shown[step, "gradients/norm/mean"] == pytest.approx(row.sum[NORM, 0, 0] / 10)
