"""A tab that is left open beside a training: hundreds of refreshes, in fast-forward, and what the heap holds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tb_gradhealth.store.levels import Levels

from ..store.board import Board
from ..store.figure import Figure, WrongResult
from ..store.progress import Progress
from ..store.recording import every_row
from ..store.writing import BUDGET, Tiers, directory, paced
from .browser import Tab
from .cases import sized

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS, STEPS = 310, 60_000
#: Rows of level 0 that are there at first, and that come with each refresh.
AT_FIRST, EACH = 200, 2
#: The page's waits are shorter by this: it asks for news each 0.1 s instead of each 5 s.
FASTER = 50
GROWTH_MB = 1.0
SECONDS = 20.0


def session(browser: Browser, folder: Path, refreshes: int) -> Iterator[Figure]:
    """A run that grows in its files, as the writer makes them, while the tab looks at it and is moved now and then."""
    case = sized("live", ROWS, STEPS)
    with paced() as clock:
        tiers, levels = Tiers(case, directory(folder), BUDGET), Levels(case.every)
        rows = every_row(case.training(), case.tree, case.every)
        end = 0

        def grow(count: int) -> None:
            nonlocal end
            for row in itertools.islice(rows, count):
                end = row.stop
                clock.seconds = case.pace * end
                for level, done in levels.add(row):
                    tiers.add(level, done)
            tiers.flush(at_once=True)

        grow(AT_FIRST)
        with (
            Board(folder, fast=True) as board,
            Tab(browser, board.url, alone=True, faster=FASTER) as tab,
            Progress("a live session", refreshes) as progress,
        ):
            tab.rest()
            sizes, nodes, listeners = [], [], []
            for refresh in range(refreshes):
                _refreshed(tab, grow)
                if refresh % 8 == 0:
                    tab.ask("probe.frames(30, given)", ("move", "scroll", "hover")[refresh // 8 % 3])
                if refresh % max(1, refreshes // 20) == 0:
                    sizes.append(tab.heap())
                    nodes.append(tab.metric("Nodes"))
                    listeners.append(tab.metric("JSEventListeners"))
                progress.at(refresh + 1)
            seen = board.json("meta", run="run/gradhealth")["steps"][1]
        tiers.close()
    if seen != end:
        raise WrongResult(f"expected a run of {end} steps at the end, TensorBoard has {seen}")
    yield Figure(
        "heap's growth in a live session",
        _growth(sizes) / 1e6,
        "MB",
        GROWTH_MB,
        note=f"{refreshes} refreshes, {AT_FIRST * case.every:,} to {end:,} steps; {sizes[0] / 1e6:.1f} MB at first, "
        f"{sizes[-1] / 1e6:.1f} at last",
    )
    yield Figure("  growth of the document", _growth(nodes), "nodes")
    yield Figure("  growth of listeners", _growth(listeners), "")


def _refreshed(tab: Tab, grow: object) -> None:
    """Lets the run grow until the page has taken it in."""
    assert callable(grow)
    before = tab.ask("probe.answered.meta ?? 0")
    grow(EACH)
    until = time.monotonic() + SECONDS
    while tab.ask("probe.answered.meta ?? 0") == before:
        if time.monotonic() > until:
            raise WrongResult(f"the page did not ask for a run that had grown within {SECONDS:.0f} s")
        tab.page.wait_for_timeout(20)
    tab.wait("health.state().complete")


def _growth(samples: list[float]) -> float:
    """From the second quarter, when caches are warm, to the last."""
    quarter = max(1, len(samples) // 4)
    return float(np.median(samples[-quarter:]) - np.median(samples[quarter : 2 * quarter]))
