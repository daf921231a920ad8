"""Several requests at once, while the run is being written."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from tb_gradhealth.plugin import arguments
from tb_gradhealth.reading.spans import each
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.encoder import Encoder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.format import Tag
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.records import EventFile
from tb_gradhealth.store.timeline import Timeline

from ..plugin.noted import Noted
from ..synthetic import SESSION, Memory, Recording, history, recorded


def test_threads_that_update_and_read_a_growing_run_agree_with_its_end(tmp_path: Path) -> None:
    recording = Recording(np.tile(recorded(100), (15, 1)), every=5, block=5)
    run, source, done = Run(), FileSource(tmp_path), threading.Event()
    failures: list[BaseException] = []
    seen: list[int] = []

    def look() -> None:
        try:
            while not done.is_set():
                run.update(source)
                for stream in run.streams():
                    timeline = run.timeline(stream)
                    grid = Grid(0, 20, -(-timeline.end // 20))
                    cells = timeline.cells("norm", np.arange(len(timeline.tree)), grid)
                    assert np.isfinite(cells.max).all()
                    seen.append(timeline.end)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    problems: list[str] = []
    schema, builder = recording.schema, RowBuilder(recording.tree, recording.chosen, 5)
    # Rows of level 0 have no room soon, so that rows of several levels and tails are seen.
    events = EventTier(EventFile(tmp_path, recording.session), schema, 60_000)
    encoder = Encoder(events, None, schema, builder, problems.append)
    for block in recording.blocks():
        encoder.submit(block)
    encoder.close(60)
    done.set()
    for thread in threads:
        thread.join(60)
    run.update(source)
    assert (failures, problems, run.problems) == ([], [], [])
    timeline = run.timeline("gradients")
    # Rows may have been merged on the way: only what merging keeps is compared.
    whole, everything = Grid(0, 1500, 1), np.arange(len(timeline.tree))
    expected = history(recording).cells("norm", everything, whole).max
    assert np.array_equal(timeline.cells("norm", everything, whole).max, expected)
    assert timeline.tally(everything, whole).recorded.tolist() == [1500]


def test_streams_of_one_answer_are_of_one_update() -> None:
    """Whatever another thread takes in between: here a restart, which leaves nothing of the second stream."""
    source = Memory(Noted(recorded(60)), Noted(recorded(60), stream="unclipped"))

    class Restarted(Run):
        def streams(self) -> list[str]:
            found = super().streams()
            source.put(Noted(recorded(20), session="f" * 16, wall_time=1.8e9))
            self.update(source)
            return found

    run = Restarted()
    run.update(source)
    found = arguments.timelines(run)
    assert [(stream, timeline.end) for stream, timeline in found.items()] == [("gradients", 60), ("unclipped", 60)]
    assert run.streams() == ["gradients", "unclipped"]
    assert [(stream, timeline.end) for stream, timeline in arguments.timelines(run).items()] == [("gradients", 20)]


def damaged() -> Timeline:
    """Of three rows the second one is unreadable, as its last metric will show."""
    recording, run = Recording(recorded(30)), Run()
    source = Memory(recording)
    rows = source.events[str(Tag(SESSION, "gradients", 0, 0))]
    rows[1] = rows[1][:-1] + bytes([rows[1][-1] ^ 1])
    run.update(source)
    return run.timeline("gradients")


def last(timeline: Timeline) -> str:
    return list(timeline.metrics)[-1]


def test_what_reads_row_by_row_tells_others_that_rows_are_gone() -> None:
    timeline, nodes, reads = damaged(), np.array([0]), list[list[int]]()

    def read() -> None:
        found = each(timeline, 0, 30, lambda span: (span.metric(last(timeline), nodes), span.start.tolist())[1])
        reads.append([start for starts in found for start in starts])

    timeline.settled(read)
    assert reads == [[0, 20], [0, 20]], "the first time it may have begun with other rows"
