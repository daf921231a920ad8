"""What a small file does not have, our code and the reader made from ``docs/format.md`` take alike, too."""

from __future__ import annotations

import json
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.metrics import METRICS
from tb_gradhealth.store.columns import ALL_KINDS
from tb_gradhealth.store.cover import by_level, cover, surviving
from tb_gradhealth.store.part import Part
from tb_gradhealth.store.rowgroup import ROW, RowGroup, code, encode

from ..synthetic import Recording, gradients, measured
from . import v2_decoder
from .agreement import same
from .v2_decoder import Row, Session


@pytest.mark.parametrize("deflated", [ALL_KINDS, ()])
def test_row_groups_of_several_chunks_are_as_documented(deflated: tuple[str | None, ...]) -> None:
    tensors = [f"a.{i}" for i in range(70)]
    elements = gradients(8, len(tensors))
    elements[5, 65, 2] = np.nan
    elements[6, 3] = 1e-70
    chosen = [metric for metric in METRICS if metric.name in ("norm", "zero_fraction", "mean", "nonfinite")]
    recording = Recording(np.tile(measured(elements), (33, 1)), names=tensors, every=1, chosen=chosen)
    schema = recording.schema
    data = encode([code(row, 0, schema) for row in recording.rows()], schema, deflated)
    group = RowGroup.of(data, schema)
    assert group.width < len(schema.nodes)
    about = json.loads(zlib.decompress(schema.encode()))
    same([group], schema, v2_decoder.row_group(data, about))


@st.composite
def row_lists(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Rows of four levels, as an archive and as events have them, whether a writer would make them or not."""
    steps = st.integers(0, 30)
    made = []
    for a, length, level in draw(st.lists(st.tuples(steps, st.integers(1, 16), st.integers(0, 3)), max_size=24)):
        start = a - a % length if draw(st.booleans()) else a
        recorded = length - draw(st.integers(0, length))
        made.append(Row(level, start, start + length, recorded, [], {}, {}, {}, []))
    cut = draw(st.integers(0, len(made)))
    return made[:cut], made[cut:]


@given(row_lists(), st.integers(0, 3), st.integers(0, 40))
def test_the_rows_that_count_are_those_of_the_document(
    rows: tuple[list[Row], list[Row]], level: int, until: int
) -> None:
    session = Session({}, archive=rows[0], events=rows[1])
    parts = [
        Part(row.level, np.array([(row.start, row.stop, row.recorded, 0)], ROW), unopened)
        for row in [*rows[0], *rows[1]]
    ]
    found = cover(by_level(parts), level) if parts else None
    ours = [] if found is None else list(zip(found.level, found.start, found.stop, found.recorded, strict=True))
    theirs = [(row.level, row.start, row.stop, row.recorded) for row in v2_decoder.counting(session, level)]
    assert ours == theirs
    assert all(one[2] <= other[1] for one, other in pairwise(ours))
    if found is not None:
        left = surviving(by_level(parts), level, until)
        kept = list(zip(left.level, left.start, left.stop, left.recorded, strict=True))
        theirs = [(row.level, row.start, row.stop, row.recorded) for row in v2_decoder.surviving(session, level, until)]
        assert kept == theirs


def unopened() -> RowGroup:
    raise AssertionError
