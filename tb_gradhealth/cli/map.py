"""A small heatmap in characters: the gradient norm of the layers at fault over the steps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from ..diagnosis import Diagnosis
from ..reading.opened import OpenRun
from ..store.cells import BAD, NO_GRADIENT
from .terminal import Colour, coloured, printable

#: Layers shown; cells of a line at most; characters of a name.
LAYERS, CELLS, NAME = 12, 64, 28
SHADES = " ░▒▓█"
#: A cell with what is not finite, and one without gradient.
NOT_FINITE, NOTHING = "!", "·"


def heatmap(run: OpenRun, diagnosis: Diagnosis, stream: TextIO) -> Sequence[str]:
    """Lines; none where no finding is of a layer. Cells of the steps of a finding stand out in yellow, or in red where
    something is not finite."""
    alarms = [one for one in diagnosis.findings if one.severity != "notice"]
    timeline = run.timeline() if run.streams else None
    if timeline is None or not alarms:
        return []
    known = set(timeline.tree.names)
    nodes = list(dict.fromkeys(one.node for one in alarms if one.node in known))[:LAYERS]
    metric = "norm" if "norm" in timeline.metrics else next(iter(timeline.metrics))
    if not nodes:
        return []
    room = min(CELLS, max(8, shutil.get_terminal_size().columns - NAME - 3))
    found = run.read(None, metric, [""] if nodes == [""] else nodes, None, room, "max")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(found.values)
    finite = logs[np.isfinite(logs)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    first, end = int(found.steps[0, 0]), int(found.steps[-1, 1])
    lines = [
        "",
        f"{printable(metric)} of the layers at fault, steps {first} to {end - 1}, log {10**low:.2g} to {10**high:.2g}",
    ]
    for node, values, flags in zip(found.nodes, logs, found.flags, strict=True):
        spans = [(one.start, one.stop) for one in alarms if one.node == node]
        cells = [
            _cell(value, int(flag), low, high, any(a < stop and start < b for a, b in spans))
            for value, flag, (start, stop) in zip(values, flags, found.steps, strict=True)
        ]
        name = printable(node) or "the whole model"
        shown = name if len(name) <= NAME else "…" + name[1 - NAME :]
        lines.append(f"{shown:>{NAME}} {_joined(cells, stream)}")
    return lines


def _cell(value: float, flag: int, low: float, high: float, marked: bool) -> tuple[str, Colour | None]:
    if flag & sum(BAD.values()):
        return NOT_FINITE, "red"
    if not np.isfinite(value):
        return (NOTHING if flag & NO_GRADIENT or np.isnan(value) else SHADES[0]), "yellow" if marked else None
    share = (value - low) / (high - low) if high > low else 1.0
    return SHADES[1 + min(3, int(4 * share))], "yellow" if marked else None


def _joined(cells: Sequence[tuple[str, Colour | None]], stream: TextIO) -> str:
    """Runs of a colour share its codes."""
    text, run, before = "", "", None
    for shade, colour in (*cells, ("", None)):
        if colour != before or not shade:
            text += coloured(run, before, stream) if before is not None and run else run
            run, before = "", colour
        run += shade
    return text + run
