"""Blocks of any size become rows that end at multiples of ``every``, and lose nothing on the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.metrics import METRICS
from tb_gradhealth import nodes
from tb_gradhealth import rows as interval
from tb_gradhealth.notes import MAX_NAME_BYTES, Note
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.scalars import Scalar

from .. import directly
from ..synthetic import NAMES, Recording, gradients, history, measured, recorded


@given(
    first=st.integers(0, 10**9),
    every=st.integers(1, 12),
    sizes=st.lists(st.integers(1, 15), min_size=1, max_size=6),
)
def test_rows_end_at_multiples_of_every_and_cover_each_step_once(first: int, every: int, sizes: list[int]) -> None:
    tree = nodes.build(["a", "b"])
    builder = RowBuilder(tree, METRICS, every)
    elements = gradients(sum(sizes), 2, seed=sum(sizes))
    entries = measured(elements)
    done: list[PendingRow] = []
    at = 0
    for size in sizes:
        fresh = builder.add(Block(first + at, Ready(entries[at : at + size])))
        assert all(row.rows.stop[0] % every == 0 for row in fresh), "only a cut ends a row early"
        done += fresh
        at += size
    done += builder.cut()
    bounds = [(row.start, row.stop) for row in done]
    assert [row.rows.recorded.tolist() for row in done] == [[stop - start] for start, stop in bounds]
    stops = [step + 1 for step in range(first, first + at) if (step + 1) % every == 0 or step + 1 == first + at]
    assert bounds == list(zip([first, *stops[:-1]], stops, strict=True))
    norm = [metric.name for metric in METRICS].index("norm")
    for row, (start, stop) in zip(done, bounds, strict=True):
        steps = elements[start - first : stop - first].reshape(stop - start, -1)
        norms = [math.hypot(*step) for step in steps]
        aggregates = [getattr(row.rows, name)[norm, 0, 0] for name in ("sum", "min", "max")]
        assert aggregates == pytest.approx([math.fsum(norms), min(norms), max(norms)], rel=1e-12)


def test_modules_are_merged_over_space_before_time() -> None:
    elements = gradients(30, len(NAMES), seed=3)
    recording = Recording(measured(elements), every=30)
    row = recording.rows()[0].rows
    tree = recording.tree
    for index in range(len(tree)):
        inside = recording.tree.leaf_order[tree.start[index] : tree.stop[index]]
        steps = [[elements[step, tensor] for tensor in inside] for step in range(30)]
        for position, metric in enumerate(METRICS):
            values = directly.per_step(metric.name, steps)
            assert row.max[position, 0, index] == pytest.approx(max(values), rel=1e-6, abs=1e-300), metric.name
            assert row.min[position, 0, index] == pytest.approx(min(values), rel=1e-6, abs=1e-300), metric.name


def test_steps_that_are_missing_do_not_stretch_a_row() -> None:
    builder = RowBuilder(nodes.build(["a"]), METRICS, 10)
    entries = recorded(7, 1)
    assert builder.add(Block(0, Ready(entries))) == []
    rows = [*builder.add(Block(13, Ready(entries))), *builder.cut()]
    assert [(row.start, row.stop) for row in rows] == [(0, 7), (13, 20)]


def test_notes_behind_a_gap_stay_with_their_own_row() -> None:
    builder = RowBuilder(nodes.build(["a"]), METRICS, 10)
    entries = recorded(20, 1)
    builder.add(Block(0, Ready(entries[:3])))
    noted = Block(20, Ready(entries), notes=[Note(25, "skipped"), Note(35, "skipped")])
    found = {(row.start, row.stop): [note.step for note in row.notes] for row in builder.add(noted)}
    assert found == {(0, 3): [], (20, 30): [25], (30, 40): [35]}
    assert builder.cut() == []


@pytest.mark.parametrize(
    ("steps", "late", "expected"),
    [
        (10, [10], [((0, 10), 10, []), ((10, 11), 0, [10])]),
        (7, [7], [((0, 7), 7, [7])]),
        (7, [7, 9], [((0, 7), 7, [7]), ((9, 10), 0, [9])]),
        (0, [0, 0], [((0, 1), 0, [0, 0])]),
    ],
)
def test_notes_behind_the_last_step_make_none(
    steps: int, late: list[int], expected: list[tuple[tuple[int, int], int, list[int]]]
) -> None:
    tree = nodes.build(["a", "b.c"])
    builder = RowBuilder(tree, METRICS, 10)
    rows = builder.add(Block(0, Ready(recorded(steps, 2)))) if steps else []
    for step in late:
        rows += builder.add(Block(step, Ready(recorded(1, 2)), dropped=True, notes=[Note(step, "not_stepped")]))
    rows += builder.cut()
    found = [((row.start, row.stop), int(row.rows.recorded[0]), [note.step for note in row.notes]) for row in rows]
    assert found == expected
    for row in rows[len(rows) - (expected[-1][1] == 0) :]:
        assert row.rows.steps.tolist() == [[0] * len(tree)]
        assert not row.rows.counts.any()
    assert builder.cut() == []


def test_what_was_logged_in_the_blocks_of_a_row_adds_up() -> None:
    builder = RowBuilder(nodes.build(["a"]), METRICS, 10)
    entries = recorded(5, 1)
    builder.add(Block(0, Ready(entries), [("loss", 3.0), ("lr", 1.0), ("loss", lambda: -1.0)]))
    (row,) = builder.add(Block(5, Ready(entries), [("loss", 10.0)]))
    assert row.scalars == {"loss": Scalar(3, 12.0, -1.0, 10.0), "lr": Scalar(1, 1.0, 1.0, 1.0)}


def test_a_name_that_is_no_text_does_not_cost_the_row() -> None:
    builder = RowBuilder(nodes.build(["a"]), METRICS, 5)
    (row,) = builder.add(Block(0, Ready(recorded(5, 1)), [("\ud800", 1.0), ("é" * 70_000, 2.0)]))
    assert list(row.scalars) == ["?", "é" * (MAX_NAME_BYTES // 2)]
    assert interval.merge(row.rows, [0]).steps.tolist() == [[5, 5]]
    assert np.isfinite(row.rows.max).all()


def test_a_session_ends_with_its_last_step_not_with_its_last_note() -> None:
    class Noted(Recording):
        def blocks(self) -> list[Block]:
            late = Block(30, Ready(recorded(1)), dropped=True)
            return [*super().blocks(), late]

    timeline = history(Noted(recorded(30)))
    assert (timeline.first, timeline.end) == (0, 30)
    assert timeline.sessions[0].cover(0).recorded.tolist() == [10, 10, 10, 0]
    notes, complete = timeline.notes(0, 31, 10)
    assert ([(note.step, note.kind) for note in notes], complete) == ([(30, "not_stepped")], True)
    resumed = history(Noted(recorded(30)), Recording(recorded(10), start=30, session="f" * 16, wall_time=1.8e9))
    assert resumed.sessions[0].stop == resumed.sessions[1].start == 30
