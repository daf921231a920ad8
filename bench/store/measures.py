"""A recorded case → figures, beside what the design asks for. Each raises WrongResult rather than give a false one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.reader import open_directory

from . import checking, finding
from .alone import timed
from .board import Board, extent
from .figure import Figure, WrongResult, quantiles
from .progress import Progress
from .screen import Tile
from .writing import Recorded, directory

MB = 1e6
BUDGET = 32e6
TILE_MS = WINDOW_MS = 50.0
READY = {True: 1.0, False: 12.0}  # seconds, with and without the Rust server
SERVER = {True: "Rust server", False: "Python server"}
GROWTH_MB = {"long": 150.0, "wide": 400.0}
FIRST_HEATMAP = 2.0  # seconds
BYTES_A_CELL = 1.2
#: Starts of a server, of which the median counts.
STARTS = 3


def checked(case: Recorded) -> int:
    """Numbers compared, in both tiers and in the event file alone."""
    compared = 0
    for logdir in dict.fromkeys([case.logdir, case.overview]):
        run = open_directory(directory(logdir))
        if run.problems:
            raise WrongResult(f"{case.case.name}: expected no problem, the reader has {run.problems[0]!r}")
        timeline = run.timeline("gradients")
        if timeline.full and case.whole < case.case.steps:
            raise WrongResult(f"{case.case.name}: expected an overview, the reader says that all rows are there")
        compared += checking.check(case.case, case.whole, timeline, seed=len(str(logdir)))
    return compared


def sizes(case: Recorded) -> Iterator[Figure]:
    where = directory(case.logdir)
    events = sum(path.stat().st_size for path in where.glob("*tfevents*"))
    yield Figure("event tier", events / MB, "MB", BUDGET / MB)
    if case.case.archive:
        archive = sum(path.stat().st_size for path in (where / DIRECTORY).rglob("*") if path.is_file())
        yield Figure("archive", archive / MB, "MB")
        note = f"{case.cells / 1e9:.2f} billion cells"
        yield Figure("archive, a cell", archive / case.cells, "bytes", BYTES_A_CELL, note=note)


def alone(case: Recorded, logdir: Path, tiles: int, tiers: str) -> Iterator[Figure]:
    """What the reader takes in a process of its own."""
    command = [sys.executable, "-m", "bench.store.alone", str(directory(logdir)), str(tiles)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise WrongResult(f"the reader alone ended with {done.returncode}: {done.stderr[-500:]}")
    found = json.loads(done.stdout)
    (opening, opening_cpu), (first, first_cpu) = found["open"], found["first_screen"]
    yield Figure(f"{tiers}: opening", opening, "s", note=f"{opening_cpu:.2f} s of CPU")
    note = f"{opening_cpu + first_cpu:.2f} s of CPU"
    yield Figure(f"{tiers}: first heatmap, reader alone", opening + first, "s", FIRST_HEATMAP, note=note)
    share = 100 * found["end"] / case.case.steps
    yield Figure(f"{tiers}: steps that are shown", share, "%", 100.0, at_least=True)
    yield Figure(f"{tiers}: rows that show them, zoomed out", found["rows"], "rows")
    yield from quantiles(f"{tiers}: tile, reader alone, cold", *zip(*found["cold"], strict=True), TILE_MS)
    yield from quantiles(f"{tiers}: tile, reader alone, warm", *zip(*found["warm"], strict=True), TILE_MS)
    if found["full"]:
        limit = WINDOW_MS if case.case.name == "long" else None
        name = f"{tiers}: window of 1,000 steps"
        yield from quantiles(name, *zip(*found["windows"], strict=True), limit, "all nodes, cold")
    yield Figure(f"{tiers}: reader's memory, opened", found["grown_open"] / MB, "MB")
    limit = GROWTH_MB.get(case.case.name)
    yield Figure(f"{tiers}: reader's memory, looked around", found["grown"] / MB, "MB", limit)


def served(case: Recorded, logdir: Path, tiles: int, tiers: str, fast: bool) -> Iterator[Figure]:
    """What a person with TensorBoard waits for, and what its server takes."""
    server = f"{tiers}, {SERVER[fast]}"
    end = open_directory(directory(logdir)).timeline("gradients").end
    starts = []
    for _ in range(STARTS):
        with Board(logdir, fast) as board:
            starts.append((board.ready(end), board.listening))
    ready, listening = sorted(starts)[len(starts) // 2]
    limit = READY[fast] if case.case.name == "long" else None
    yield Figure(f"{server}: ready", ready, "s", limit, note=f"of it {listening:.2f} s until it listens")
    with tempfile.TemporaryDirectory() as nothing, Board(Path(nothing), fast) as board:
        board.json("runs")
        time.sleep(1.0)
        empty = board.memory
    with Board(logdir, fast) as board:
        # As a person comes to a server that runs: it has read everything, but nobody has asked for this run.
        time.sleep(2 * ready + 1)
        board.json("runs")
        (first, _), meta = timed(lambda: _first_heatmap(board))
        whole = extent(meta)
        yield Figure(f"{server}: first heatmap", first, "s", FIRST_HEATMAP)
        opened = board.memory
        sample = whole.sample(tiles, seed=0)
        for what, seconds in _tiles(board, sample, f"{case.case.name}, {server}: tiles").items():
            # The system counts a process's CPU time in ticks, too coarse for a single tile.
            cpu = [seconds.cpu / len(sample)] * len(sample)
            yield from quantiles(f"{server}: tile, {what}", seconds.clock, cpu, TILE_MS, "on average")
        yield Figure(f"{server}: memory, opened", (opened - empty) / MB, "MB")
        limit = GROWTH_MB.get(case.case.name)
        yield Figure(f"{server}: memory, looked around", (board.memory - empty) / MB, "MB", limit)


@dataclass
class _Taken:
    """Seconds: by the clock, of each; of CPU, of all."""

    clock: list[float] = field(default_factory=list)
    cpu: float = 0.0


def _tiles(board: Board, sample: Sequence[Tile], what: str) -> dict[str, _Taken]:
    """Each tile twice running."""
    taken = {"first time": _Taken(), "again": _Taken()}
    with Progress(what, len(sample)) as progress:
        for done, tile in enumerate(sample):
            for one in taken.values():
                before = board.cpu
                one.clock.append(timed(lambda tile=tile: board.tiles([tile]))[0][0])
                one.cpu += board.cpu - before
            progress.at(done + 1)
    return taken


def _first_heatmap(board: Board) -> dict[str, object]:
    meta: dict[str, object] = board.json("meta", run="run/gradhealth")
    board.tiles(extent(meta).first_screen)
    return meta


def visible(case: Recorded, logdir: Path, tiers: str) -> Iterator[Figure]:
    """Planted events that are seen at every zoom."""
    timeline = open_directory(directory(logdir)).timeline("gradients")
    events = case.case.training().events
    with Progress(f"{case.case.name}, {tiers}: planted events", finding.looks(timeline)) as progress:
        shares = finding.seen(timeline, events, progress)
    for name, share in shares.items():
        note = f"of {len(events.step):,} events, at the worst zoom"
        yield Figure(f"{tiers}: {name} visible", 100 * share, "%", 100.0, at_least=True, note=note)
