"""Which tiles are asked for, and what their bytes say; decoded from the words of ``http_api.md``."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROWS, COLUMNS = 64, 512
#: Rows of nodes of the first screen: a window of 1,000 pixels, 8 of them for a node.
FIRST_ROWS = 128
_HEADER = struct.Struct("<4sBBHIIII")
_CELLS = ROWS * COLUMNS


@dataclass(frozen=True)
class Tile:
    metric: str
    view: str
    level: int
    row: int
    column: int


@dataclass(frozen=True)
class Extent:
    """What there is to be seen of a run; ``stop`` in steps, which begin at 0."""

    stop: int
    cell: int
    levels: int
    nodes: int
    metrics: Sequence[str]
    views: Sequence[str]

    def columns(self, level: int) -> int:
        """Tiles that show the whole run side by side."""
        return -(-self.stop // (self.cell << level) // COLUMNS)

    @property
    def first_screen(self) -> list[Tile]:
        """What the front end asks for first: the whole run, as many nodes as a window shows."""
        rows = min(-(-self.nodes // ROWS), FIRST_ROWS // ROWS)
        return [Tile(self.metrics[0], self.views[0], self.levels - 1, row, 0) for row in range(rows)]

    def sample(self, count: int, seed: int) -> list[Tile]:
        """Tiles at random places of all metrics, views and levels, each as full as its level allows."""
        generator = np.random.default_rng(seed)
        found = []
        for index in range(count):
            level = index % self.levels
            full = max(1, self.stop // (self.cell << level) // COLUMNS)
            rows = max(1, self.nodes // ROWS)
            found.append(
                Tile(
                    self.metrics[generator.integers(len(self.metrics))],
                    self.views[index // self.levels % len(self.views)],
                    level,
                    int(generator.integers(rows)),
                    int(generator.integers(full)),
                )
            )
        return [found[index] for index in generator.permutation(count)]


@dataclass(frozen=True)
class Shown:
    """``values`` and ``flags`` ``[node, cell]``; NaN for no data."""

    values: npt.NDArray[np.float64]
    flags: npt.NDArray[np.uint8]


def decoded(body: bytes) -> Shown:
    """One tile."""
    magic, folded, _, rows, _, _, columns, _ = _HEADER.unpack_from(body)
    if magic != b"GHT1" or len(body) != _HEADER.size + 3 * _CELLS:
        raise ValueError(f"expected one tile of {_HEADER.size + 3 * _CELLS} bytes, got {len(body)}")
    planes = np.frombuffer(body, np.uint8, 2 * _CELLS, _HEADER.size).reshape(2, _CELLS)
    words = np.zeros((_CELLS, 4), np.uint8)
    words[:, 2:] = planes.T
    values = words.view("<f4").astype(np.float64).reshape(ROWS, COLUMNS)
    if folded:
        values = np.where(np.signbit(values), 1 + values, values)
    flags = np.frombuffer(body, np.uint8, _CELLS, _HEADER.size + 2 * _CELLS).reshape(ROWS, COLUMNS)
    return Shown(values[:rows, :columns], flags[:rows, :columns])
