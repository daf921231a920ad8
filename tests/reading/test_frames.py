"""Rows of many nodes, one after the other, are what the heatmap's arrays have."""

from __future__ import annotations

import numpy as np
import pytest

from tb_gradhealth.reading import frames
from tb_gradhealth.reading.frames import rows_of_nodes
from tb_gradhealth.reading.opened import OpenRun
from tests.planted import MISSING, ROWS
from tests.synthetic import NAMES


def test_rows_have_what_the_heatmap_has(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = run.timeline()
    which = timeline.tree.leaf_nodes[::-1]
    monkeypatch.setattr(frames, "BATCH_VALUES", 100)  # a few rows at a time
    rows = list(rows_of_nodes(timeline, ["norm", "mean"], which, 20, timeline.end))
    assert [(row.start, row.stop) for row in rows] == ROWS[2:]
    names = [timeline.tree.names[node] for node in which]
    for plane, view in enumerate(("mean", "min", "max")):
        shown = run.read(metric="norm", view=view, steps=(20, None))
        expected = shown.values[[shown.nodes.index(name) for name in names]]
        np.testing.assert_array_equal(np.stack([row.values["norm"][plane] for row in rows], axis=1), expected)
    head = names.index("head.weight")
    lacking = [sum(row.start <= step < row.stop for step in range(*MISSING)) for row in rows]
    assert [int(row.with_data[head]) for row in rows] == [
        row.stop - row.start - missing for row, missing in zip(rows, lacking, strict=True)
    ]
    assert rows[2].first_bad[names.index("embed")] == 41
    assert rows[1].logged["loss"].count == 1
    assert set(names) == set(NAMES)
