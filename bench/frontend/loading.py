"""From the click on the tab to its first complete picture: how long, how many bytes, and how that grows the heap."""

from __future__ import annotations

import gzip
import importlib.resources
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..store.figure import Figure, WrongResult
from .browser import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: ms from ``render()`` to the first complete picture, by case.
PAINT_MS = {"wide": 200.0, "huge": 500.0}
WIRE_KB, BUNDLE_KB, HEAP_MB = 300.0, 60.0, 60.0


def first_views(browser: Browser, url: str, case: str, loads: int) -> Iterator[Figure]:
    """Each load has a cold cache; of the server the first one is cold, too."""
    times, before, wire = [], [], {}
    for _ in range(loads):
        with Tab(browser, url) as tab:
            rendered, seen = tab.ask("probe.rendered"), tab.ask("probe.firstSeen")
            if not 0 < rendered < seen:
                raise WrongResult(f"expected render() before the first picture, got {rendered} and {seen} ms")
            times.append(seen - rendered)
            before.append(rendered)
            at_once = sum(tab.traffic.ours().values())
            tab.rest()
            wire = tab.traffic.ours()
    note = f"of {loads} loads: {min(times):.0f} to {max(times):.0f}; the first {times[0]:.0f}"
    yield Figure("first complete paint after render()", float(np.median(times)), "ms", PAINT_MS.get(case), note=note)
    yield Figure("  until render(), the frame's own", float(np.median(before)), "ms")
    everything = sum(wire.values()) / 1e3
    yield Figure("on the wire for the first view", everything, "KB", WIRE_KB, note=f"{at_once / 1e3:.0f} at that paint")
    scripts = wire.pop("static", 0.0) / 1e3
    yield Figure("  scripts", scripts, "KB", note=f"bundle {bundle_kb():.1f} KB gz, with all that is loaded later")
    parts = ", ".join(f"{route} {size / 1e3:.0f}" for route, size in sorted(wire.items(), key=lambda one: -one[1]))
    yield Figure("  data", everything - scripts, "KB", note=parts)


def bundle_kb() -> float:
    """All scripts of the tab, each with gzip -9."""
    return sum(_scripts().values()) / 1e3


def bundle() -> Figure:
    note = ", ".join(f"{name} {size / 1e3:.1f}" for name, size in _scripts().items())
    return Figure("bundle, gz", bundle_kb(), "KB", BUNDLE_KB, note=note)


def _scripts() -> dict[str, int]:
    static = importlib.resources.files("tb_gradhealth.plugin") / "static"
    folders = [static, static / "assets"]
    files = [file for folder in folders if folder.is_dir() for file in folder.iterdir() if file.name.endswith(".js")]
    return {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in files}


def heap(browser: Browser, url: str) -> Figure:
    """Looked around a little: everything unfolded, scrolled and zoomed. Without TensorBoard's own heap around it."""
    with Tab(browser, url, alone=True) as tab:
        tab.rest()
        first = tab.heap()
        tab.ask("probe.folded('expand-all', 0, 1e9, true)")
        for motion in ("scroll", "move", "hover"):
            tab.ask("probe.frames(240, given)", motion)
        tab.rest()
        return Figure(
            "JS heap without array buffers", tab.heap() / 1e6, "MB", HEAP_MB, note=f"{first / 1e6:.1f} at first"
        )
