"""``kill -9``: what had been handed to the system before it is in the file."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_reader import Archive
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.timeline import Timeline

SECONDS = 60.0

CHILD = """
import sys, time
from pathlib import Path
from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.encoder import Encoder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.records import EventFile
from tests.synthetic import SESSION, Recording, recorded
recording = Recording(recorded(500))
file = EventFile(Path(sys.argv[1]), SESSION)
append = file.append
def told(event):
    append(event)
    if "/L0/" in event.summary.value[0].tag:  # rows; the scalars of those before the last one come first
        print(event.step, flush=True)
file.append = told
tier = EventTier(file, recording.schema, 32 << 20)
archive = ArchiveWriter(Path(sys.argv[1]) / DIRECTORY, recording.schema, None) if sys.argv[2:] else None
encoder = Encoder(tier, archive, recording.schema, RowBuilder(recording.tree, recording.chosen, 10), print)
for block in recording.blocks():
    encoder.submit(block)
time.sleep(600)
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def rows_of(timeline: Timeline) -> list[tuple[int, int]]:
    return [(start, stop) for span in timeline.rows(0, 500) for start, stop in zip(span.start, span.stop, strict=True)]


def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path) -> None:
    with started(str(tmp_path)) as child:
        assert child.stdout is not None
        last = 0
        while last < 249:
            last = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        last = max([last, *map(int, child.stdout.read().split())])
    assert child.returncode == -signal.SIGKILL
    run, source = Run(), FileSource(tmp_path)
    run.update(source)
    timeline = run.timeline("gradients")
    assert timeline.end > last
    shown = rows_of(timeline)
    assert shown[0][0] == 0
    assert shown[-1][1] == timeline.end
    assert all(one[1] == other[0] for one, other in itertools.pairwise(shown))
    assert (run.problems, source.damaged) == ([], 0)


def test_the_journal_has_the_rows_without_a_further_step(tmp_path: Path) -> None:
    """Fewer than a segment takes, and read without the event file."""
    written, nothing = tmp_path / "written", FileSource(tmp_path / "nothing")
    with started(str(written), "archive") as child:
        deadline = time.monotonic() + SECONDS
        try:
            run = Run(Archive(written / DIRECTORY))
            while not run.streams() or run.timeline("gradients").end < 500:
                assert time.monotonic() < deadline, "waited too long"
                time.sleep(0.05)
                run.update(nothing)
        finally:
            os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert len(list(written.rglob("*.journal-*"))) == 1
    assert list(written.rglob("*.L0-*")) == []
    again = Run(Archive(written / DIRECTORY))
    again.update(nothing)
    assert again.problems == []
    assert rows_of(again.timeline("gradients")) == [(step, step + 10) for step in range(0, 500, 10)]
