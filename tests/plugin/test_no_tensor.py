"""A file may tell of no tensor at all, only of the whole stream: every route has an answer even so."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from tb_gradhealth.plugin import figures, table, tiles
from tb_gradhealth.plugin.alerts import alerts
from tb_gradhealth.plugin.meta import meta
from tb_gradhealth.plugin.overview import overview
from tb_gradhealth.store.format import Schema
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.rowgroup import code, encode

from ..synthetic import Memory, Recording, recorded

STEPS, CELLS = 40, 4


class Whole(Recording):
    """Of a recording what the first node has."""

    @property
    def schema(self) -> Schema:
        return replace(super().schema, nodes=super().schema.nodes[:1])

    def payloads(self) -> list[bytes]:
        rows = [code(row, 0, super(Whole, self).schema) for row in self.rows()]
        only = [replace(row, columns=[column[:, :1] for column in row.columns]) for row in rows]
        return [encode([row], self.schema) for row in only]


@pytest.fixture(scope="module")
def run() -> Run:
    run = Run()
    run.update(Memory(Whole(recorded(STEPS, 1), names=("w",))))
    assert run.problems == []
    return run


@pytest.mark.parametrize("view", list(tiles.VIEWS))
def test_every_view_has_an_answer(run: Run, view: tiles.View) -> None:
    timeline = run.timeline("gradients")
    (value,) = figures.values(timeline, "norm", view, 0, STEPS)["values"]
    lines = list(csv.reader(b"".join(table.lines(timeline, "norm", view, None, 0, STEPS, CELLS)).decode().splitlines()))
    assert len(lines) == 1 + CELLS
    assert len(tiles.tile(timeline, "norm", view, 0, 0, 0, 1)) > 0
    if view == "worst":
        assert value is None
        assert {line[3] for line in lines[1:]} == {""}
    else:
        assert value > 0


def test_every_other_route_has_an_answer(run: Run) -> None:
    timeline, whole = run.timeline("gradients"), np.array([0])
    assert alerts(timeline) == {"alerts": [], "complete": True}
    assert meta("x", run, run.timelines(), None)["nodes"]["size"] == [0]
    assert len(overview(run.timelines(), 0, STEPS, CELLS)["series"][0]["mean"]) == CELLS
    assert len(figures.lines(timeline, "norm", whole, 0, STEPS, CELLS)["lines"][0]["max"]) == CELLS
    assert len(figures.rows(timeline, 0, 0, STEPS)["rows"]) == CELLS
    cell = tiles.cell(timeline, 0, 0, 0)
    assert (cell["recorded"], cell["metrics"]["norm"]["worst_node"]) == (10, None)
    assert json.dumps(cell)
