"""The demo's last screen: what the event files say of each run. Needs no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..store.cells import Grid
from ..store.files import FileSource
from ..store.reader import Run
from ..store.timeline import Timeline

SEGMENTS, WORST = 10, 4
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-~=*#@"


@dataclass(frozen=True)
class Trend:
    """Mean near-zero fraction of one tensor in each tenth of the run, NaN where it had no gradient."""

    name: str
    tenths: tuple[float, ...]


def read_run(directory: Path, stream: str = "gradients") -> Timeline:
    """A stream recorded in ``directory``. Raises FileNotFoundError when there is none."""
    run = Run()
    run.update(FileSource(directory))
    if stream not in run.streams():
        raise FileNotFoundError(
            f"expected event files with {stream} in {directory}, found none: did the run end early?"
        )
    return run.timeline(stream)


def worst_near_zero(timeline: Timeline, count: int = WORST) -> list[Trend]:
    """The ``count`` tensors whose gradients end up nearest to nothing."""
    leaves = timeline.tree.leaf_nodes
    grid = Grid(0, -(-timeline.end // SEGMENTS), SEGMENTS)
    means = timeline.cells("near_zero_fraction", leaves, grid).mean
    last = np.nan_to_num(means[:, -1], nan=-1.0)
    order = np.argsort(-last, kind="stable")[:count]
    return [Trend(timeline.tree.names[leaves[i]], tuple(means[i].tolist())) for i in order]


def nonfinite(timeline: Timeline) -> int:
    """Gradient elements that were NaN or infinite, over the whole run."""
    counts = timeline.tally(np.array([0]), Grid(0, timeline.end, 1)).counts
    return sum(int(counts[name].sum()) for name in ("nan", "pos_inf", "neg_inf"))


def verdict(runs: dict[str, Timeline], name: str, metric: str, what: str) -> str:
    """A share of one tensor in each run: its largest value at any step, and its mean in the last tenth."""
    parts = []
    for run, timeline in runs.items():
        node = np.array([timeline.tree.names.index(name)])
        largest = timeline.cells(metric, node, Grid(0, timeline.end, 1)).max[0, 0]
        last = timeline.cells(metric, node, Grid(0, -(-timeline.end // SEGMENTS), SEGMENTS)).mean[0, -1]
        parts.append(f"{run} at most {100 * largest:.2f}%, {100 * last:.2f}% in the last tenth")
    return f"{name}, {what}: " + "; ".join(parts)


def first_step(timeline: Timeline, name: str, metric: str, share: float) -> int | None:
    """Where the first row begins in which ``metric`` of one tensor is ``share`` or more in the mean over its steps."""
    rows = Grid(0, timeline.cell, -(-timeline.end // timeline.cell))
    means = timeline.cells(metric, np.array([timeline.tree.names.index(name)]), rows).mean[0]
    reached = np.flatnonzero(np.nan_to_num(means) >= share)
    return int(reached[0]) * timeline.cell if len(reached) else None


def screen(runs: dict[str, Path]) -> str:
    """One screen for ``runs`` (name → directory of event files)."""
    lines = []
    for name, directory in runs.items():
        timeline = read_run(directory)
        lines += [
            "",
            f"{name}: {timeline.end} steps, {len(timeline.tensors)} tensors, {nonfinite(timeline)} non-finite elements",
            "  near-zero share of the gradient       begin                 end",
        ]
        for trend in worst_near_zero(timeline):
            begin, end = trend.tenths[0], trend.tenths[-1]
            lines.append(f"  {trend.name:36s} {_percent(begin)}  {_sparkline(trend)}  {_percent(end)}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "   -   " if np.isnan(share) else f"{100 * share:6.2f}%"


def _sparkline(trend: Trend) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    bars = BARS if "utf" in encoding.lower() else PLAIN_BARS
    return "".join(" " if np.isnan(x) else bars[min(int(x * len(bars)), len(bars) - 1)] for x in trend.tenths)
