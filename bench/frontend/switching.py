"""How soon a choice is on the screen: another metric, other colours, all rows, the line behind a cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..store.figure import Figure, WrongResult
from .browser import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .cases import Sized

METRIC_MS, RECOLOUR_MS, EXPAND_MS, DRILL_MS = 100.0, 30.0, 30.0, 100.0
METRICS = ("abs_max", "norm")
#: Each choice and the one that takes it back.
COLOURS, SCALES = ("viridis", "cividis"), ("linear", "log")


def switches(browser: Browser, url: str, case: Sized, repeats: int) -> Iterator[Figure]:
    """Times from the event to the end of the drawing with everything in it: up to a frame's 17 ms are waiting."""
    with Tab(browser, url, {"open": "top~"}) as tab:
        tab.rest()
        cold = _changed(tab, "probe.chosen('metric', given)", METRICS[0])
        _changed(tab, "probe.chosen('metric', given)", METRICS[1])
        metric = [_changed(tab, "probe.chosen('metric', given)", METRICS[i % 2]) for i in range(2 * repeats)]
        yield _figure("metric switch, warm", metric, METRIC_MS, f"cold {cold:.0f}")
        colours = [_changed(tab, "probe.chosen('colours', given)", COLOURS[i % 2]) for i in range(2 * repeats)]
        scales = [_changed(tab, "probe.scaled(given)", SCALES[i % 2]) for i in range(2 * repeats)]
        yield _figure("recolour, colour map", colours, RECOLOUR_MS)
        yield _figure("recolour, scale", scales, RECOLOUR_MS)
        cold = tab.ask("probe.folded('expand-all', given, given, true)", case.rows)
        expand, collapse = [], []
        for _ in range(repeats):
            tab.rest()
            collapse.append(tab.ask("probe.folded('collapse-all', 0, given - 1, true)", case.rows))
            tab.rest()
            expand.append(tab.ask("probe.folded('expand-all', given, given, true)", case.rows))
        yield _figure("expand all", expand, EXPAND_MS, f"with tiles to be fetched {cold:.0f}")
        yield _figure("  collapse all", collapse, None)


def drills(browser: Browser, url: str, case: Sized, repeats: int) -> Iterator[Figure]:
    """From a click on a cell to its line over the whole run, each time of another row."""
    with Tab(browser, url, {"open": "all~"}) as tab:
        tab.rest()
        nodes = tab.ask("health.state().visibleNodes")[: repeats + 1]
        times = [tab.ask("probe.drilled(given[0], given[1])", [node, case.steps // 2]) for node in nodes]
        note = f"the first, which loads the chart, {times[0]:.0f}"
        yield _figure("drill-down over the whole run", times[1:] or times, DRILL_MS, note)


def _figure(name: str, times: Sequence[float], limit: float | None, note: str = "") -> Figure:
    scatter = f"{min(times):.0f} to {max(times):.0f}"
    return Figure(
        f"{name}, median", float(np.median(times)), "ms", limit, note=f"{scatter}; {note}" if note else scatter
    )


def _changed(tab: Tab, act: str, choice: str) -> float:
    """Milliseconds that ``act`` took. Raises WrongResult if the picture is the same as before."""
    before = tab.ask("probe.fingerprint()")
    taken = float(tab.ask(act, choice))
    if tab.ask("probe.fingerprint()") == before:
        raise WrongResult(f"expected another picture once {choice} is chosen, got the same")
    return taken
