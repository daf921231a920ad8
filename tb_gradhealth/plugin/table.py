"""What a heatmap shows as a CSV file (RFC 4180), a piece at a time."""

from __future__ import annotations

import csv
import io
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
MAX_VALUES, PIECE, PIECE_CHARACTERS = 4_000_000, 4096, 1 << 18
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
    return _pieces(timeline, nodes, grid.edges.tolist(), values, flags)


def _pieces(
    timeline: Timeline, nodes: Index, edges: list[int], values: Floats, flags: npt.NDArray[np.uint8]
) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["node", "begin", "end", "value", "flags"])
    for line, node in enumerate(nodes.tolist()):
        name = harmless(timeline.tree.names[node])
        for first in range(0, values.shape[1], PIECE):
            some = slice(first, first + PIECE)
            shown, seen = listed(values[line, some]), flags[line, some].tolist()
            begins, ends = edges[first : first + len(shown)], edges[first + 1 : first + 1 + len(shown)]
            writer.writerows(zip(itertools.repeat(name), begins, ends, shown, seen))
        if text.tell() >= PIECE_CHARACTERS or line == len(nodes) - 1:
            yield text.getvalue().encode("utf-8", "replace")
            text.seek(0)
            text.truncate()


def file_name(run: str, metric: str, view: str) -> str:
    """What a browser saves the file as: letters, digits and a few signs that mean nothing to any system."""
    parts = (re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_")[-NAME:] for part in (run, metric, view))
    return "-".join(part or "run" for part in parts) + ".csv"
