"""Rows on their way to the files."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import rows as interval
from ..notes import Note, bounded
from ..rows import Rows
from . import scalars as logged
from .scalars import Scalar


@dataclass
class PendingRow:
    """One row, with what the loop logged and what happened meanwhile."""

    rows: Rows
    scalars: dict[str, Scalar]
    notes: list[Note] = field(default_factory=list)

    @property
    def start(self) -> int:
        return int(self.rows.start[0])

    @property
    def stop(self) -> int:
        return int(self.rows.stop[0])

    def merged(self, later: PendingRow) -> PendingRow:
        """The TIME merge with the row behind it."""
        scalars = dict(self.scalars)
        for name, scalar in later.scalars.items():
            scalars[name] = logged.add(scalars.get(name), scalar)
        return PendingRow(interval.join(self.rows, later.rows), scalars, bounded([*self.notes, *later.notes]))
