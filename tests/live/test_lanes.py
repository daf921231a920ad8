"""Rows that come faster than they are looked at, or without the samples that they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tb_gradhealth.diagnosis.row import MAX, Row
from tb_gradhealth.live import lanes
from tb_gradhealth.live.lanes import Lanes
from tb_gradhealth.store.pending import PendingRow

from ..synthetic import Recording, gradients, measured

WANTED = {"gradients": ("norm",), "weights": ("norm",)}


def recording(steps: int) -> Recording:
    elements = gradients(steps, 2)
    elements[steps // 3, 1] = 1e6
    return Recording(measured(elements), names=("a.b", "c"), every=1)


def rows(steps: int) -> tuple[Recording, Iterator[PendingRow]]:
    one = recording(steps)
    return one, iter(one.rows())


def sample(row: PendingRow, every: int) -> PendingRow:
    """The same, of a stream that looks once in ``every`` steps."""
    return PendingRow(replace(row.rows, stop=row.rows.start + every), {})


def test_rows_that_wait_are_merged_and_no_spike_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    most, steps = 16, 50
    monkeypatch.setattr(lanes, "MAX_ROWS", most)
    one, waiting = rows(steps)
    every = Lanes(WANTED, lambda: None)
    lane = every.begin(one.schema, one.tree)
    assert lane is not None
    for row in waiting:
        lane.add(row)
        assert len(lane.waiting) <= most
    taken = []
    while isinstance(row := every.next(), Row):
        taken.append(row)
    assert every.coarse
    assert [taken[0].start, *(row.stop for row in taken)] == [*(row.start for row in taken), steps]
    largest = [float(row.frames["gradients"].values["norm"][MAX, 1]) for row in taken]
    (place,) = np.flatnonzero(np.array(largest) > 1e6)
    assert taken[place].start <= steps // 3 < taken[place].stop


def test_a_row_waits_for_its_sample_but_for_a_silent_stream_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    one, waiting = rows(8)
    schema = replace(one.schema, stream="weights", sampled=True, every=2)
    every = Lanes(WANTED, lambda: None)
    lead, weights = every.begin(one.schema, one.tree), every.begin(schema, one.tree)
    assert lead is not None
    assert weights is not None
    given = list(waiting)

    def shown() -> list[tuple[int, bool]]:
        found = []
        while isinstance(row := every.next(), Row):
            found.append((row.start, "weights" in row.frames))
        return found

    lead.add(given[0])
    assert shown() == []
    weights.add(sample(given[0], 2))
    weights.add(sample(given[0], 2))  # more of the same
    lead.add(given[1])
    lead.add(given[2])
    assert shown() == [(0, True), (1, False)]
    now[0] += lanes.HOLD_SECONDS
    lead.add(given[3])
    assert shown() == [(2, False), (3, False)]
    weights.add(sample(given[4], 2))
    lead.add(given[4])
    assert shown() == [(4, True)]
    lead.add(given[6])
    assert shown() == []
    weights.end()
    assert shown() == [(6, False)]
