"""What a frame costs while somebody pans, zooms, scrolls or points, beside frames in which nothing happens."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..store.figure import Figure, WrongResult
from .browser import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DRAW_MS, FRAMES, HOVER_MS = 2.0, 1.1, 1.0
#: A round of the motion in probe.js: in, there and back, out.
ROUND = 240
#: In Chromium's trace: what a thread does in one go, and the events of the motions.
TASK, TOLD = "ThreadControllerImpl::RunTask", ("wheel", "pointermove")
MOTIONS = {"move": "panning and zooming", "scroll": "scrolling rows", "hover": "hovering"}


@dataclass
class Taken:
    """Milliseconds by the clock, and of the main thread's CPU time."""

    intervals: list[float] = field(default_factory=list)
    draws: list[float] = field(default_factory=list)
    handled: list[float] = field(default_factory=list)
    draws_cpu: list[float] = field(default_factory=list)
    handled_cpu: list[float] = field(default_factory=list)


def frames(browser: Browser, url: str, rounds: int) -> Iterator[Figure]:
    """All rows unfolded, 1400×900. Motions and the empty loop take turns, so that a busy machine meets all alike."""
    taken: dict[str, Taken] = defaultdict(Taken)
    with Tab(browser, url, {"open": "all~"}) as tab:
        tab.rest()
        for _ in range(rounds):
            for motion in ("none", *MOTIONS):
                _add(taken[motion], browser, tab, motion)
                tab.rest()
    empty = _p95(taken["none"].intervals)
    move = taken["move"]
    note = f"{_p95(move.draws_cpu):.2f} of CPU; median {np.median(move.draws):.2f}, {np.median(move.draws_cpu):.2f}"
    yield Figure("panning and zooming: draw p95", _p95(move.draws), "ms", DRAW_MS, note=note)
    note = f"{_p95(move.handled_cpu):.2f} of CPU; median {np.median(move.handled):.2f}"
    yield Figure("  listeners and views p95", _p95(move.handled), "ms", note=note)
    note = f"{_p95(move.intervals):.1f} and {empty:.1f} ms; medians {np.median(move.intervals):.1f} and "
    note += f"{np.median(taken['none'].intervals):.1f}"
    yield Figure("  frame p95 × empty loop", _p95(move.intervals) / empty, "×", FRAMES, note=note)
    scroll = taken["scroll"]
    note = f"{_p95(scroll.draws_cpu):.2f} of CPU; frame {_p95(scroll.intervals) / empty:.2f} × empty loop"
    yield Figure("scrolling rows: draw p95", _p95(scroll.draws), "ms", note=note)
    hover = taken["hover"]
    note = f"{np.median(hover.handled_cpu):.2f} of CPU; p95 {_p95(hover.handled):.1f}, {_p95(hover.handled_cpu):.2f}"
    yield Figure("hover, median", float(np.median(hover.handled)), "ms", HOVER_MS, note=note)


def _add(taken: Taken, browser: Browser, tab: Tab, motion: str) -> None:
    browser.start_tracing(page=tab.page, categories=["devtools.timeline", "toplevel"])
    try:
        found = tab.ask("probe.frames(given[0], given[1])", [ROUND, motion])
    finally:
        trace = json.loads(browser.stop_tracing())
    if motion in ("move", "scroll") and found["drawings"] < ROUND / 2:
        raise WrongResult(f"{MOTIONS[motion]} for {ROUND} frames, the heatmap was drawn {found['drawings']} times")
    taken.intervals += found["intervals"]
    taken.draws += found["draws"]
    taken.handled += found["handled"]
    draws, handled = _cpu(trace["traceEvents"])
    taken.draws_cpu += draws
    taken.handled_cpu += handled


def _cpu(events: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU of each frame's callbacks, and of each task that told the page of a wheel or a pointer."""
    main = {(one["pid"], one["tid"]) for one in events if one["name"] == "FireAnimationFrame"}
    told = [one for one in events if (one["pid"], one["tid"]) in main and "tdur" in one]
    told.sort(key=lambda one: (one["ts"], -one["dur"]))
    draws: list[float] = []
    handled: list[float] = []
    task, end, drawn = None, 0.0, False
    for one in told:
        if one["ts"] >= end and one["name"] == TASK:
            task, end, drawn = one, one["ts"] + one["dur"], False
        elif one["name"] == "FireAnimationFrame":
            if not drawn:
                draws.append(0.0)
            draws[-1] += one["tdur"] / 1e3
            drawn = True
        elif one["name"] == "EventDispatch" and one["args"]["data"]["type"] in TOLD and task is not None:
            handled.append(task["tdur"] / 1e3)
            task = None
    return draws, handled


def _p95(values: list[float]) -> float:
    if not values:
        raise WrongResult("expected frames, got none")
    return float(np.percentile(values, 95))
