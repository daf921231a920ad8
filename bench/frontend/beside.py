"""TensorBoard's own tabs over as many tensors, in the same browser: how long until there is something to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from ..store.board import Board, fast_server
from ..store.figure import Figure, WrongResult
from .browser import PATIENCE, SIZE, Tab
from .cases import Sized

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Few, since what TensorBoard loads and draws at first depends on tags in view more than on steps.
STEPS, BINS = 4, 30
#: Charts of the first page of a group of tags.
PAGE = 12
#: TensorBoard's element of a chart, by tab.
CHARTS = {"scalars": "vz-line-chart2", "histograms": "vz-histogram-timeseries"}
#: Charts with a line in them. Each lies in shadow roots of others.
DRAWN = """(name) => {
  const all = (root, name, found = []) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.matches(name)) found.push(one);
      if (one.shadowRoot) all(one.shadowRoot, name, found);
    }
    return found;
  };
  const hasLine = (chart) => all(chart.shadowRoot ?? chart, 'path').some((path) => path.getAttribute('d'));
  return all(document, name).filter(hasLine).length;
}"""


def ours(browser: Browser, url: str, repeats: int) -> Figure:
    """From the address to the first complete picture: all steps of the rows in view."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        with Tab(browser, url):
            times.append(time.perf_counter() - began)
    note = "from the address, all steps; TensorBoard's own page is part of it"
    return Figure("time to a usable view, Grad Health", float(np.median(times)), "s", note=note)


def theirs(browser: Browser, folder: Path, case: Sized, repeats: int) -> Iterator[Figure]:
    """The same names as tags of one group, and of each a scalar and a histogram at a few steps."""
    names = case.tree.names
    _write(folder / "run", names)
    page = min(PAGE, len(names))
    with Board(folder, fast_server()) as board:
        for plugin, chart in CHARTS.items():
            _await_tags(board, plugin, len(names))
            times = [_usable(browser, f"{board.url}#{plugin}", chart, page) for _ in range(repeats)]
            note = f"until the first {page} of {len(names):,} tags are drawn, {STEPS} steps each"
            yield Figure(f"time to a usable view, TensorBoard's {plugin}", float(np.median(times)), "s", note=note)


def _write(folder: Path, names: Sequence[str]) -> None:
    generator = np.random.default_rng(0)
    with SummaryWriter(str(folder)) as writer:
        for step in range(STEPS):
            for name in names:
                values = generator.normal(size=64)
                writer.add_scalar(f"norm/{name or 'whole'}", np.abs(values).sum(), step)
                writer.add_histogram(f"gradients/{name or 'whole'}", values, step, bins=BINS)


def _await_tags(board: Board, plugin: str, count: int) -> None:
    """Until the server has read them: what is compared are pages."""
    until = time.monotonic() + PATIENCE / 1e3
    while sum(map(len, board.tags(plugin).values())) < count:
        if time.monotonic() > until:
            raise WrongResult(f"TensorBoard did not list {count} tags of {plugin} within {PATIENCE / 1e3:.0f} s")
        time.sleep(0.1)


def _usable(browser: Browser, url: str, chart: str, count: int) -> float:
    """Seconds from the address to the first page of charts."""
    context = browser.new_context(viewport=SIZE, color_scheme="light", device_scale_factor=1)
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(f"name => ({DRAWN})(name) >= {count}", arg=chart, polling=50, timeout=PATIENCE)
    taken = time.perf_counter() - began
    context.close()
    return taken
