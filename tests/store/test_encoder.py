"""The encoder thread: whatever the disk does, nothing raises, nothing blocks, and no spike is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event

from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import Entries
from tb_gradhealth.store import encoder as module
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.encoder import MAX_BLOCKS, MAX_ROWS, Encoder, RowBuilder
from tb_gradhealth.store.format import Tag
from tb_gradhealth.store.row import RowPayload

from ..synthetic import SESSION, Recording, recorded

NORM = [metric.name for metric in METRICS].index("norm")
SECONDS = 30.0


class Sink:
    """Keeps events; each ``append`` first waits for ``gate`` and calls ``trouble``."""

    def __init__(self, trouble: Callable[[], None] = lambda: None) -> None:
        self.events: list[Event] = []
        self.gate = threading.Event()
        self.gate.set()
        self.trouble, self.closed, self.threads = trouble, 0, set[str]()

    def append(self, event: Event) -> None:
        self.gate.wait(SECONDS)
        self.threads.add(threading.current_thread().name)
        self.trouble()
        self.events.append(Event.FromString(event.SerializeToString()))

    def close(self) -> None:
        self.closed += 1

    def rows(self, recording: Recording) -> list[RowPayload]:
        found = []
        for event in self.events:
            for value in event.summary.value:
                if value.tag.startswith("gradhealth/") and Tag.parse(value.tag).level is not None:
                    found.append(RowPayload(value.tensor.tensor_content, recording.schema))
        return found


def started(recording: Recording, sink: Sink) -> tuple[Encoder, list[str]]:
    problems: list[str] = []
    builder = RowBuilder(recording.tree, recording.chosen, recording.every)
    return Encoder(sink, recording.schema, builder, problems.append), problems


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


def test_blocks_become_rows_in_order_on_a_thread_of_their_own() -> None:
    recording, sink = Recording(recorded(95)), Sink()
    encoder, problems = started(recording, sink)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "gradhealth-encoder"]
    assert thread.daemon, "a hanging disk must not keep the process alive"
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    assert [(row.start, row.stop) for row in sink.rows(recording)] == [(a, min(a + 10, 95)) for a in range(0, 95, 10)]
    assert [event.step for event in sink.events] == [0, *range(9, 90, 10), 94]
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
    rows = sink.rows(recording)
    assert [row.start for row in rows[1:]] == [row.stop for row in rows[:-1]], "no step is missing"
    assert (rows[0].start, rows[-1].stop) == (0, steps)
    assert len(rows) <= 2 * MAX_ROWS
    column = {name: i for i, name in enumerate(recording.tree.names)}
    for step, tensor in spikes.items():
        (row,) = [row for row in rows if row.start <= step < row.stop]
        names = ("", ("a", "b.c", "b.d")[tensor])
        assert all(row.metric(NORM)[2, column[name]] == pytest.approx(1e6, rel=0.002) for name in names)
    elements = sum(int(row.counts()[0, 0]) for row in rows)
    assert elements == steps * 3 * 6
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
    rows = sink.rows(recording)
    assert (rows[0].start, rows[-1].stop) == (0, 500)
    assert [row.start for row in rows[1:]] == [row.stop for row in rows[:-1]]
    assert sum(int(row.counts()[0, 0]) for row in rows) == int(recording.entries["count"].sum())


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
    until(lambda: not encoder._blocks and len(encoder._rows) == 20)
    assert len(problems) == 1
    encoder.close(0.1)


def test_what_cannot_be_written_by_the_deadline_is_reported_and_closing_ends() -> None:
    recording, sink = Recording(recorded(95)), Sink(lambda: (_ for _ in ()).throw(OSError("dead mount")))
    encoder, problems = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(0.2)
    assert "10 rows of gradient statistics could not be written" in problems[-1]
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
    assert [row.stop for row in sink.rows(recording)] == [10, 20, 25]
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
    assert [row.start for row in sink.rows(recording)] == [0, 20]
    assert problems == ["steps from 10 on could not be summarised (RuntimeError: device lost)"]


def test_a_sink_that_cannot_close_is_reported() -> None:
    class Unclosable(Sink):
        def close(self) -> None:
            raise OSError("stale file handle")

    recording, sink = Recording(recorded(10)), Unclosable()
    encoder, problems = started(recording, sink)
    encoder.submit(Block(0, Ready(recording.entries)))
    encoder.close(SECONDS)
    assert problems == ["the event file could not be closed (OSError: stale file handle)"]
    assert len(sink.rows(recording)) == 1


def test_every_event_says_whose_it_is_and_segments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    recording, sink = Recording(recorded(100)), Sink()
    encoder, _ = started(recording, sink)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(SECONDS)
    values = [event.summary.value[0] for event in sink.events]
    assert all(value.metadata.plugin_data.plugin_name == "gradhealth" for value in values)
    assert values[0].tag == str(Tag(SESSION, "gradients"))
    segments = [Tag.parse(value.tag).segment for value in values[1:]]
    assert segments == sorted(segments)
    assert len(set(segments)) > 2
    sizes = np.bincount(segments, weights=[len(value.tensor.tensor_content) for value in values[1:]])
    largest = max(len(value.tensor.tensor_content) for value in values)
    assert (sizes <= 2000 + largest).all()


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
