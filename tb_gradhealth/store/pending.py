"""Rows on their way to the files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .. import rows as interval
from ..notes import Note, bounded
from ..rows import Rows
from . import scalars as logged
from .scalars import Scalar

_OBJECT_BYTES = 300  # of a scalar, a note or a tensor that one names, with its name and figures


@dataclass
class PendingRow:
    """One row, with what the loop logged and what happened meanwhile."""

    rows: Rows
    scalars: dict[str, Scalar]
    notes: list[Note] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about."""
        faults = sum(len(note.tensors) for note in self.notes)
        arrays: int = sum(array.nbytes for array in vars(self.rows).values())
        return arrays + _OBJECT_BYTES * (len(self.scalars) + len(self.notes) + faults)

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
        rows = interval.join(self.rows, later.rows)
        if not later.rows.recorded[0]:  # notes alone, of what came before its first step
            rows = replace(rows, stop=later.rows.start)
        return PendingRow(rows, scalars, bounded([*self.notes, *later.notes]))
