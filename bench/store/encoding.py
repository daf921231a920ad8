"""What a row costs the writer's thread, part by part, and what handing a block over costs the training thread."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gradhealth_kernels.metrics import METRICS
from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.encoder import Encoder
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.levels import Levels
from tb_gradhealth.store.records import EventFile
from tb_gradhealth.store.rowgroup import code

from .cases import Case
from .figure import Figure, WrongResult
from .progress import Progress

#: Rows that are written, and blocks that are handed over, each of the steps of a row.
ROWS, BLOCKS, TOGETHER = 128, 200, 16
WARM_UP = 2  # rows
#: Steps that come again and again.
STEPS = 320
#: No level uses up its share, so that each row goes into both tiers: what the first rows of a run cost.
PLENTY = 1 << 40
#: Seconds from one block to the next: a training with ten steps in it.
APART = 0.06
BUILDING = "building rows from steps"
LIMIT_MS, HAND_OFF_US = 2.0, 30.0


class Stopwatch:
    """CPU time and time on the clock by part, in seconds."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.clock: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        cpu, clock = time.thread_time(), time.perf_counter()
        yield
        self.cpu[part] += time.thread_time() - cpu
        self.clock[part] += time.perf_counter() - clock


def per_row(case: Case) -> list[Figure]:
    """CPU time of each part, in ms a row of level 0; the coarser rows that come with it are part of that.

    Building is a part of its own: it is the steps' cost, not the row's.
    """
    return [
        *_per_row(case, "a row, level 0 in both tiers", PLENTY, together=1),
        *_per_row(case, f"a row, {TOGETHER} written at once", PLENTY, together=TOGETHER),
        *_per_row(case, "a row, level 0 in the archive alone", 1, together=1),
    ]


def _per_row(case: Case, name: str, budget: int, together: int) -> list[Figure]:
    """``together`` rows are written at once: as many as a second has, or one that takes longer."""
    training, builder, levels = case.training(), RowBuilder(case.tree, METRICS, case.every), Levels(case.every)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, Progress(name, ROWS) as progress:
        where = Path(folder)
        events = EventTier(EventFile(where, case.schema.session), case.schema, budget)
        archive = ArchiveWriter(where / DIRECTORY, case.schema, None)
        first = 0
        for number in itertools.count():
            # The first rows come with the schema, and where level 0 is not wanted, its share is to be used up first.
            if number < WARM_UP or (number == first and budget < PLENTY and events.wants(0)):
                first, watch = number + 1, Stopwatch()
            if number - first == ROWS:
                break
            entries = training.entries(number * case.every % STEPS, number * case.every % STEPS + case.every)
            with watch(BUILDING):
                (row,) = builder.add(_block(case, entries, number))
            with watch("merging levels"):
                done = levels.add(row)
            for level, one in done:
                with watch("coding"):
                    coded = code(one, level, case.schema)
                with watch("event tier"):
                    events.add(one, coded, level)
                archive.add(coded)
            if (number + 1) % together == 0:
                with watch("event tier"):
                    events.flush()
                with watch("archive"):
                    archive.flush()
            progress.at(number - first + 1)
        events.close()
        archive.close()
    return list(_figures(name, watch))


def _figures(name: str, watch: Stopwatch) -> Iterator[Figure]:
    building = watch.cpu.pop(BUILDING)
    whole, clock = sum(watch.cpu.values()), sum(watch.clock[part] for part in watch.cpu)
    note = f"CPU; {1e3 * clock / ROWS:.2f} ms by the clock"
    yield Figure(f"{name}, writer's thread", 1e3 * whole / ROWS, "ms", LIMIT_MS, note=note)
    for part, seconds in watch.cpu.items():
        yield Figure(f"  {part}", 1e3 * seconds / ROWS, "ms")
    yield Figure(f"  apart: {BUILDING}", 1e3 * building / ROWS, "ms")


def hand_off(case: Case) -> list[Figure]:
    """Time of ``Encoder.submit`` while its thread writes the blocks before."""
    entries = case.training().entries(0, case.every)
    problems: list[str] = []
    taken = []
    with tempfile.TemporaryDirectory() as folder, Progress("handing over", BLOCKS) as progress:
        where = Path(folder)
        events = EventTier(EventFile(where, case.schema.session), case.schema, PLENTY)
        archive = ArchiveWriter(where / DIRECTORY, case.schema, None)
        builder = RowBuilder(case.tree, METRICS, case.every)
        encoder = Encoder(events, archive, case.schema, builder, problems.append)
        for number in range(BLOCKS):
            block = _block(case, entries, number)
            cpu, clock = time.thread_time(), time.perf_counter()
            encoder.submit(block)
            taken.append((time.perf_counter() - clock, time.thread_time() - cpu))
            time.sleep(APART)
            progress.at(number + 1)
        encoder.close(60)
    if problems:
        raise WrongResult(f"expected an encoder that has no problem, got {problems[0]!r}")
    found = []
    for what, quantile, limit in (("median", 50, HAND_OFF_US), ("p99", 99, None)):
        clock, cpu = 1e6 * np.percentile(taken, quantile, axis=0)
        found.append(Figure(f"handing a block over, {what}", float(clock), "µs", limit, note=f"{cpu:.1f} µs of CPU"))
    return found


def _block(case: Case, entries: np.ndarray, number: int) -> Block:
    return Block(number * case.every, Ready(entries), [("loss", 1.0)])
