"""``kill -9``: what had been handed to the system before it is in the file."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run

CHILD = """
import sys, time
from pathlib import Path
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
encoder = Encoder(tier, None, recording.schema, RowBuilder(recording.tree, recording.chosen, 10), print)
for block in recording.blocks():
    encoder.submit(block)
time.sleep(600)
"""


def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
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
    shown = [(start, stop) for span in timeline.rows(0, 500) for start, stop in zip(span.start, span.stop, strict=True)]
    assert shown[0][0] == 0
    assert shown[-1][1] == timeline.end
    assert all(one[1] == other[0] for one, other in itertools.pairwise(shown))
    assert (run.problems, source.damaged) == ([], 0)
