"""Rows of level 0 → the rows of every level, by the TIME merge.

A row of level k covers ``every * 16**k`` steps and ends at a multiple of them, or earlier where it is cut. What a
coarser row covers is exactly what the finer ones in it do.
"""

from __future__ import annotations

from .format import FACTOR, MAX_EVERY
from .pending import PendingRow


def width(every: int, level: int) -> int:
    """Steps that a full row of ``level`` covers."""
    steps: int = every * FACTOR**level
    return steps


def top(every: int) -> int:
    """The coarsest level: its rows are still shorter than :data:`MAX_EVERY`."""
    level = 0
    while width(every, level + 1) < MAX_EVERY:
        level += 1
    return level


class Levels:
    """Holds one open row for each level above 0."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._open: list[PendingRow | None] = [None] * (top(every) + 1)

    def add(self, row: PendingRow) -> list[tuple[int, PendingRow]]:
        """``row`` of level 0, and the coarser ones that are complete with it: ``(level, row)``."""
        done = [(0, row)]
        self._carry(1, row, done)
        return done

    def cut(self) -> list[tuple[int, PendingRow]]:
        """The open rows, ended early, finest first; none that would only repeat the one below."""
        done: list[tuple[int, PendingRow]] = []
        for level in range(1, len(self._open)):
            self._close(level, done)
            left = [row for row in self._open if row is not None]
            if not left or (len(left) == 1 and done and left[0] is done[-1][1]):
                break
        self._open = [None] * len(self._open)
        return done

    def _carry(self, level: int, row: PendingRow, done: list[tuple[int, PendingRow]]) -> None:
        if level >= len(self._open):
            return
        steps, one = width(self._every, level), self._open[level]
        if one is not None and one.start // steps != row.start // steps:  # steps are missing up to its end
            self._close(level, done)
            one = None
        self._open[level] = one = row if one is None else one.merged(row)
        if one.stop % steps == 0:
            self._close(level, done)

    def _close(self, level: int, done: list[tuple[int, PendingRow]]) -> None:
        row, self._open[level] = self._open[level], None
        if row is not None:
            done.append((level, row))
            self._carry(level + 1, row, done)
