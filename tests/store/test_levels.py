"""Rows of every level are the TIME merge of their steps, lie within each other, and are all there after a cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import COUNTS, Entries
from tb_gradhealth import nodes
from tb_gradhealth.notes import Note
from tb_gradhealth.rows import NEVER, from_steps
from tb_gradhealth.store.blocks import Block, Ready
from tb_gradhealth.store.builder import RowBuilder
from tb_gradhealth.store.format import FACTOR, MAX_EVERY
from tb_gradhealth.store.levels import Levels, top, width
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.scalars import Scalar

from ..synthetic import gradients, measured

CHOSEN = select(["norm", "near_zero_fraction", "mean", "nonfinite"])
Done = list[tuple[int, PendingRow]]


def pool() -> Entries:
    """Entries ``[step, tensor]`` of all kinds: sound, bad, without any finite element, absent."""
    elements = gradients(64, 1)
    elements[5, 0, 1], elements[9, 0, 2], elements[20] = np.nan, np.inf, -np.inf
    entries = measured(elements)
    entries[13] = 0
    return entries


POOL = pool()


def of_steps(steps: Sequence[int]) -> Entries:
    return POOL[np.array(steps) * 7 % len(POOL)]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[int, list[int]]:
    """``every``, and the steps that were recorded: runs with gaps between, from anywhere on."""
    every = draw(st.sampled_from([1, 2, 3, 10, 1000]))
    at, steps = draw(st.integers(0, 10**6)), list[int]()
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 120))
        steps += range(at, at + count)
        at += count + draw(st.sampled_from([0, 1, 5, every, 16 * every, 300 * every, 5000 * every]))
    return every, steps


def finest(every: int, steps: Sequence[int], sizes: Iterable[int]) -> list[PendingRow]:
    """Rows of level 0, from blocks of these sizes."""
    builder = RowBuilder(nodes.build(["w"]), CHOSEN, every)
    rows, at = [], 0
    sizes = itertools.cycle(sizes)
    while at < len(steps):
        end = at + 1
        most = at + next(sizes)
        while end < min(most, len(steps)) and steps[end] == steps[end - 1] + 1:
            end += 1
        rows += builder.add(Block(steps[at], Ready(of_steps(steps[at:end]))))
        at = end
    return rows + builder.cut()


def leveled(every: int, rows: Iterable[PendingRow]) -> Done:
    levels = Levels(every)
    return [*itertools.chain.from_iterable(map(levels.add, rows)), *levels.cut()]


def check_is_the_merge_of_its_steps(row: PendingRow, steps: Sequence[int]) -> None:
    inside = [step for step in steps if row.start <= step < row.stop]
    assert row.rows.recorded.tolist() == [len(inside)]
    entries = of_steps(inside)
    for node in range(2):  # the whole stream is the one tensor
        bad = [step for step, own in zip(inside, entries, strict=True) if own["nan"] + own["pos_inf"] + own["neg_inf"]]
        assert row.rows.first_bad[0, node] == min(bad, default=NEVER)
        assert row.rows.steps[0, node] == (entries["count"] > 0).sum()
        for position, name in enumerate(COUNTS):
            assert row.rows.counts[position, 0, node] == entries[name].sum()
    single = from_steps(0, entries, CHOSEN)
    assert row.rows.finite_steps[0, 0] == single.finite_steps.sum()
    assert np.array_equal(row.rows.min[:, 0, 0], single.min[:, :, 0].min(axis=1))
    assert np.array_equal(row.rows.max[:, 0, 0], single.max[:, :, 0].max(axis=1))
    exact = [float(sum(map(float, values))) for values in single.sum[:, :, 0]]
    assert row.rows.sum[:, 0, 0].tolist() == pytest.approx(exact, rel=1e-12, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(recordings(), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_rows_of_any_level_are_the_merge_of_their_steps(recording: tuple[int, list[int]], sizes: list[int]) -> None:
    every, steps = recording
    done = leveled(every, finest(every, steps, sizes))
    highest = max(level for level, _ in done)
    for level in range(highest + 1):
        rows = [row for own, row in done if own == level]
        # All steps, and those of one row are those of one cell.
        cells = [list(own) for _, own in itertools.groupby(steps, lambda step: step // width(every, level))]  # noqa: B023
        assert [(row.start, row.stop) for row in rows] == [(own[0], own[-1] + 1) for own in cells]
        for row in rows:
            check_is_the_merge_of_its_steps(row, steps)


@settings(max_examples=40, deadline=None)
@given(recordings(), st.lists(st.integers(1, 40), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_rows_merged_before_lie_within_each_other_all_the_same(
    recording: tuple[int, list[int]], sizes: list[int], random: object
) -> None:
    """As the encoder merges those that wait, of any length, over the edges of cells."""
    every, steps = recording
    rows = finest(every, steps, sizes)
    for _ in range(len(rows) // 2):
        at = random.randrange(len(rows))  # type: ignore[attr-defined]
        if at + 1 < len(rows):
            rows[at : at + 2] = [rows[at].merged(rows[at + 1])]
    done = leveled(every, rows)
    inside = [(row.start, row.stop) for row in rows]
    for level in range(max(level for level, _ in done) + 1):
        own = [row for number, row in done if number == level]
        bounds = [(row.start, row.stop) for row in own]
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(bounds)), "in step order, disjoint"
        assert all(sum(a <= start and stop <= b for a, b in bounds) == 1 for start, stop in inside), "nested"
        for row in own:
            check_is_the_merge_of_its_steps(row, steps)
        inside = bounds


@settings(max_examples=40, deadline=None)
@given(recordings())
def test_a_coarser_row_comes_right_behind_the_last_one_in_it(recording: tuple[int, list[int]]) -> None:
    """A reader that follows a live run must not see it before them, nor long after."""
    every, steps = recording
    levels = Levels(every)
    ends: dict[int, int] = {}
    for row in finest(every, steps, [10]):
        done = levels.add(row)
        assert done[-1 if len(done) == 1 else [level for level, _ in done].index(0)] == (0, row)
        for level, one in done:
            assert one.start >= ends.get(level, 0)
            ends[level] = one.stop
        for level in ends:
            if level:
                assert ends[level] <= ends[level - 1]
        complete = [level for level, one in done if one.stop == row.stop and level]
        expected = [k for k in range(1, top(every) + 1) if row.stop % width(every, k) == 0]
        assert complete == expected


def test_a_cut_ends_what_is_open_and_the_next_rows_begin_anew() -> None:
    levels = Levels(1)
    rows = finest(1, range(300), [10])
    first = [pair for row in rows[:280] for pair in levels.add(row)]
    assert [(level, row.start, row.stop) for level, row in first if level > 1] == [(2, 0, 256)]
    assert [(level, row.start, row.stop) for level, row in levels.cut()] == [(1, 272, 280), (2, 256, 280), (3, 0, 280)]
    assert levels.cut() == []
    rest = [pair for row in rows[280:] for pair in levels.add(row)]
    assert [(level, row.start, row.stop) for level, row in [*rest, *levels.cut()] if level] == [
        (1, 280, 288),
        (1, 288, 300),
        (2, 280, 300),
    ]


def test_a_cut_reaches_as_far_as_what_it_closes() -> None:
    """The second step is in another row of level 2, so there is one of level 3 for the first, and for the second."""
    done = leveled(1, finest(1, [0, 5001], [1]))
    assert [(level, row.start, row.stop) for level, row in done] == [
        (0, 0, 1),
        (0, 5001, 5002),
        (1, 0, 1),
        (1, 5001, 5002),
        (2, 0, 1),
        (2, 5001, 5002),
        (3, 0, 1),
        (3, 5001, 5002),
        (4, 0, 5002),
    ]


def test_a_session_of_one_row_has_no_more_than_one_coarser_one() -> None:
    done = leveled(10, finest(10, range(7), [7]))
    assert [(level, row.start, row.stop) for level, row in done] == [(0, 0, 7), (1, 0, 7)]
    assert Levels(10).cut() == []


@given(st.integers(1, MAX_EVERY - 1))
def test_the_coarsest_level_is_the_last_one_of_bounded_rows(every: int) -> None:
    assert all(width(every, level) < MAX_EVERY for level in range(top(every) + 1))
    assert width(every, top(every) + 1) >= MAX_EVERY
    assert [width(every, level + 1) // width(every, level) for level in range(3)] == [FACTOR] * 3


def test_what_was_logged_and_noted_goes_up_too() -> None:
    rows = finest(1, range(48), [1])
    for row in rows:
        row.scalars = {"loss": Scalar(1, float(row.start), float(row.start), float(row.start))}
    rows[3].notes, rows[20].notes = [Note(3, "skipped")], [Note(20, "diverged")]
    done = leveled(1, rows)
    first, second, third, whole = (row for level, row in done if level)
    assert [row.scalars["loss"] for row in (first, second, third)] == [
        Scalar(16, 120.0, 0.0, 15.0),
        Scalar(16, 376.0, 16.0, 31.0),
        Scalar(16, 632.0, 32.0, 47.0),
    ]
    assert whole.scalars == {"loss": Scalar(48, 1128.0, 0.0, 47.0)}
    assert [note.step for note in whole.notes] == [3, 20]
    assert (first.notes, second.notes, third.notes) == (rows[3].notes, rows[20].notes, [])
