"""What a heatmap shows as a CSV file (RFC 4180), a piece at a time."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..cli.formats import harmless
from ..nodes import Index
from ..rows import Floats, Ints
from ..store.timeline import Timeline, View
from . import tiles
from .figures import listed

#: Values of a file, and those of tensors that the worst ones are chosen from.
MAX_VALUES, MAX_INSIDE = 4_000_000, 16_000_000
#: Lines that are written at once, and what their names may take; characters that are sent together, about.
AT_ONCE, NAMES_AT_ONCE, PIECE = 4096, 1 << 20, 1 << 18
#: So many times as many cells are kept in writing for the next node.
KEPT = 16
NAME = 60


class TooLarge(ValueError):
    """More was asked for than a file may hold; the text says what to do."""


def lines(
    timeline: Timeline, metric: str, view: View, which: Index | None, begin: int, end: int, cells: int
) -> Iterator[bytes]:
    """One line for each node and cell, node by node. Raises TooLarge."""
    nodes = np.arange(len(timeline.tree), dtype=np.intp) if which is None else which
    grid = timeline.fitting(begin, end, cells)
    if len(nodes) * grid.count > MAX_VALUES:
        many = f"{len(nodes)} nodes in {grid.count} cells are more than {MAX_VALUES} values"
        raise TooLarge(f"{many}: ask for fewer nodes or cells, or use `gradhealth export`")
    inside = int(timeline.tree.stop[nodes].max() - timeline.tree.start[nodes].min())
    if view == "worst" and inside * grid.count > MAX_INSIDE:
        many = f"{inside} tensors in {grid.count} cells are more than {MAX_INSIDE} values to find the worst of"
        raise TooLarge(f"{many}: ask for fewer cells, or for smaller modules")
    values, flags = timeline.settled(
        lambda: (tiles.shown_in(timeline, metric, view, nodes, grid), tiles.flags(timeline, nodes, grid))
    )
    # Each once: a request may name a node again and again, and a name may be long.
    names = {node: _quoted(timeline.tree.names[node]) for node in dict.fromkeys(nodes.tolist())}
    return _pieces([names[node] for node in nodes.tolist()], grid.edges, values, flags)


def _pieces(names: list[str], edges: Ints, values: Floats, flags: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """Some hundred kilobytes each, the header first; a line that is longer is one by itself."""

    @functools.lru_cache(maxsize=KEPT)
    def cells(first: int, end: int) -> list[str]:
        return [f",{begin},{stop}," for begin, stop in itertools.pairwise(edges[first : end + 1].tolist())]

    piece, size = ["node,begin,end,value,flags\r\n"], 0
    for name, shown, seen in zip(names, values, flags, strict=True):
        at_once = max(1, min(AT_ONCE, NAMES_AT_ONCE // (1 + len(name))))
        for first in range(0, len(shown), at_once):
            end = min(first + at_once, len(shown))
            some = slice(first, end)
            figures = ("" if value is None else value for value in listed(shown[some]))
            lines = zip(cells(first, end), figures, seen[some].tolist(), strict=True)
            piece.append("".join([f"{name}{cell}{value},{flag}\r\n" for cell, value, flag in lines]))
            size += len(piece[-1])
            if size >= PIECE:
                yield "".join(piece).encode("utf-8", "replace")
                piece, size = [], 0
    yield "".join(piece).encode("utf-8", "replace")


def _quoted(name: str) -> str:
    """A name from a file as a field, on which no spreadsheet acts."""
    shown = harmless(name)
    return '"' + shown.replace('"', '""') + '"' if any(sign in shown for sign in '",\r\n') else shown


def file_name(run: str, metric: str, view: str) -> str:
    """What a browser saves the file as: letters, digits and a few signs that mean nothing to any system."""
    parts = (re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_")[-NAME:] for part in (run, metric, view))
    return "-".join(part or "run" for part in parts) + ".csv"
