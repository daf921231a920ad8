"""What the reader takes without a server: ``python -m bench.store.alone DIRECTORY TILES`` prints it as JSON.

A process of its own, without torch, so that its memory is the reader's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tb_gradhealth.plugin import tiles
from tb_gradhealth.store import cache
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import Timeline

from .memory import resident
from .screen import Extent, Tile

WINDOW = 1000  # steps
WINDOWS = 100

T = TypeVar("T")
Taken = tuple[float, float]  # by the clock, of CPU


@dataclass(frozen=True)
class Alone:
    """Times in seconds, memory in bytes. ``rows``: what shows the steps [0, ``end``) at the coarsest zoom."""

    open: Taken
    first_screen: Taken
    cold: list[Taken]
    warm: list[Taken]
    windows: list[Taken]
    grown_open: int
    grown: int
    end: int
    rows: int
    full: bool


def extent(timeline: Timeline) -> Extent:
    return Extent(
        timeline.end,
        timeline.cell,
        tiles.levels(timeline),
        len(timeline.tree),
        list(timeline.metrics),
        list(tiles.VIEWS),
    )


def shown(timeline: Timeline, tile: Tile) -> bytes:
    view: tiles.View = tile.view  # type: ignore[assignment]
    return tiles.tile(timeline, tile.metric, view, tile.level, tile.row, tile.column, 0)


def measure(directory: Path, count: int) -> Alone:
    before = resident()
    opening, run = timed(lambda: open_directory(directory))
    timeline = run.timeline("gradients")
    grown_open = resident() - before
    whole = extent(timeline)
    first_screen, _ = timed(lambda: [shown(timeline, tile) for tile in whole.first_screen])
    cold, warm = [], []
    for tile in whole.sample(count, seed=0):
        empty()
        cold.append(timed(lambda tile=tile: shown(timeline, tile))[0])
        warm.append(timed(lambda tile=tile: shown(timeline, tile))[0])
    windows = _windows(timeline, whole)
    for tile in whole.sample(count, seed=1):  # as one looks around: the cache fills up
        shown(timeline, tile)
    rows = sum(map(len, timeline.rows(timeline.first, timeline.end, timeline.cell << (whole.levels - 1))))
    return Alone(
        opening, first_screen, cold, warm, windows, grown_open, resident() - before, timeline.end, rows, timeline.full
    )


def _windows(timeline: Timeline, whole: Extent) -> list[Taken]:
    """All nodes of one metric and view over a short interval, each time from the files."""
    generator = np.random.default_rng(2)
    nodes = np.arange(whole.nodes)
    found = []
    for _ in range(WINDOWS):
        metric, view = generator.choice(whole.metrics), generator.choice(whole.views)
        begin = int(generator.integers(max(1, whole.stop - WINDOW)))
        empty()
        found.append(timed(lambda m=metric, v=view, b=begin: timeline.read(m, nodes, b, b + WINDOW, WINDOW, v))[0])
    return found


def empty() -> None:
    """Forgets what was read and decoded; the system still has the files in memory."""
    cache.CACHE.clear()


def timed(call: Callable[[], T]) -> tuple[Taken, T]:
    clock, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - clock, time.process_time() - cpu), result


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), int(sys.argv[2])))))
