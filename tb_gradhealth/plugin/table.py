"""What a heatmap shows as a CSV file (RFC 4180), a piece at a time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..cli.formats import harmless
from ..nodes import Index
from ..rows import Floats
from ..store.timeline import Timeline, View
from . import tiles
from .figures import listed

#: Values of a file; lines that are written at once, and characters that are sent together, about.
MAX_VALUES, AT_ONCE, PIECE = 4_000_000, 4096, 1 << 18
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
    values, flags = timeline.settled(
        lambda: (tiles.shown_in(timeline, metric, view, nodes, grid), tiles.flags(timeline, nodes, grid))
    )
    names = [_quoted(timeline.tree.names[node]) for node in nodes]
    return _pieces(names, grid.edges.tolist(), values, flags)


def _pieces(names: list[str], edges: list[int], values: Floats, flags: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """Some hundred kilobytes each, the header first."""
    cells = [f",{begin},{end}," for begin, end in itertools.pairwise(edges)]
    piece, size = ["node,begin,end,value,flags\r\n"], 0
    for name, shown, seen in zip(names, values, flags, strict=True):
        for first in range(0, len(cells), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            figures = ("" if value is None else value for value in listed(shown[some]))
            lines = zip(cells[some], figures, seen[some].tolist(), strict=True)
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
