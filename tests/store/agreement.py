"""Our reader and the one made from ``docs/format.md`` agree, for tests that read with both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tb_gradhealth.notes import Note
from tb_gradhealth.rows import NEVER
from tb_gradhealth.store.format import Schema
from tb_gradhealth.store.rowgroup import RowGroup
from tb_gradhealth.store.scalars import Scalar

from .v2_decoder import Row
from .written import Written, rows_of


def same(groups: list[RowGroup], schema: Schema, rows: list[Row]) -> None:
    """Our reader and the document agree on all rows, whatever their order."""
    found = [row for group in groups for row in rows_of(group, schema)]
    assert len(found) == len(rows)
    for ours, theirs in zip(sorted(found, key=place), sorted(rows, key=place), strict=True):
        assert (ours.level, ours.start, ours.stop, ours.recorded) == (
            theirs.level,
            theirs.start,
            theirs.stop,
            theirs.recorded,
        )
        assert np.array_equal(np.where(ours.steps == NEVER, -1, ours.steps), theirs.steps)
        assert np.array_equal(ours.counts, [theirs.counts[name] for name in schema.counts])
        for name, planes in ours.metrics.items():
            np.testing.assert_allclose(planes, theirs.metrics[name], rtol=1e-12, atol=0)
        agree(ours.scalars, ours.notes, theirs)


def place(row: Written | Row) -> tuple[int, int, int]:
    return row.level, row.start, row.stop


def agree(scalars: Mapping[str, Scalar], notes: Sequence[Note], theirs: Row) -> None:
    figures = {name: (one.count, one.sum, one.min, one.max) for name, one in scalars.items()}
    assert repr(figures) == repr(theirs.scalars)  # NaN included
    assert list(map(plain, notes)) == theirs.notes


def plain(note: Note) -> dict[str, Any]:
    tensors = [[fault.name, fault.nan, fault.pos_inf, fault.neg_inf] for fault in note.tensors]
    return {"step": note.step, "kind": note.kind, "tensors": tensors, "more": note.more, "values": dict(note.values)}
