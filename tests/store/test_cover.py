"""Whatever rows of whatever levels are there: what is shown is disjoint, complete, and as coarse as asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradhealth.store.cover import Cover, by_level, cover, surviving
from tb_gradhealth.store.format import FACTOR
from tb_gradhealth.store.part import Part
from tb_gradhealth.store.rowgroup import ROW, RowGroup

Bounds = tuple[int, int]


@dataclass(frozen=True)
class Session:
    """Steps that were recorded, and the rows of each level that can be read."""

    steps: frozenset[int]
    rows: dict[int, list[Bounds]]

    def recorded(self, bounds: Bounds) -> set[int]:
        return {step for step in self.steps if bounds[0] <= step < bounds[1]}

    def parts(self, sizes: Sequence[int]) -> list[Part]:
        """The rows in parts of these sizes, in turn."""
        found = []
        for level, rows in self.rows.items():
            lengths, at = itertools.cycle(sizes), 0
            while at < len(rows):
                some = rows[at : at + next(lengths)]
                found.append(part(level, [(*own, len(self.recorded(own))) for own in some]))
                at += len(some)
        return found


def part(level: int, rows: Sequence[tuple[int, int, int]]) -> Part:
    def unopened() -> RowGroup:
        raise AssertionError("which rows there are is known without opening any")

    return Part(level, np.array([(*row, 0) for row in rows], ROW), unopened)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """As a writer makes them, of which some are missing: deleted, unreadable, not yet made, or no room for them."""
    every = draw(st.sampled_from([1, 2, 5]))
    at, steps = draw(st.integers(0, 2000)), list[int]()
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 150))
        steps += range(at, at + count)
        at += count + draw(st.sampled_from([0, 1, 40, 700]))
    rows: dict[int, list[Bounds]] = {}
    for level in range(4):
        width = every * FACTOR**level
        cells = [list(own) for _, own in itertools.groupby(steps, lambda step: step // width)]  # noqa: B023
        rows[level] = [(own[0], own[-1] + 1) for own in cells]
    short = tails(draw, rows)
    for level in rows:
        kept = draw(st.sampled_from(["all", "all", "none", "first", "some"]))
        if kept == "none":
            rows[level] = []
        elif kept == "first":
            rows[level] = rows[level][: draw(st.integers(0, len(rows[level])))]
        elif kept == "some":
            chosen = draw(st.sets(st.integers(0, len(rows[level]) - 1)))
            rows[level] = [row for number, row in enumerate(rows[level]) if number in chosen]
    rows[1] += short
    if not any(rows.values()):
        rows[3] = [(steps[0], steps[-1] + 1)]
    return Session(frozenset(steps), rows)


def tails(draw: st.DrawFn, rows: dict[int, list[Bounds]]) -> list[Bounds]:
    """Short rows of level 1 that were to show its last one before it was complete."""
    last = rows[1][-1]
    inside = [stop for start, stop in rows[0] if last[0] <= start]
    ends = sorted(draw(st.sets(st.sampled_from(inside), max_size=3)))
    return list(itertools.pairwise([last[0], *ends]))


def bounds(rows: Cover) -> list[Bounds]:
    return list(zip(rows.start.tolist(), rows.stop.tolist(), strict=True))


def touching(one: Bounds, others: Sequence[Bounds]) -> bool:
    return any(start < one[1] and one[0] < stop for start, stop in others)


@settings(max_examples=150, deadline=None)
@given(sessions(), st.lists(st.integers(1, 70), min_size=1, max_size=4), st.integers(0, 4), st.randoms())
def test_a_cover_is_disjoint_complete_and_no_coarser_than_needed(
    session: Session, sizes: list[int], wanted: int, random: object
) -> None:
    parts = session.parts(sizes)
    random.shuffle(parts)  # type: ignore[attr-defined]
    shown = cover(by_level(parts), wanted)
    found = bounds(shown)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found)), "in step order, disjoint"
    there = {step for rows in session.rows.values() for row in rows for step in session.recorded(row)}
    assert {step for row in found for step in session.recorded(row)} == there
    whole = (shown.begin == shown.start) & (shown.end == shown.stop)
    exact = np.array([len(session.recorded(row)) for row in found], np.int64)
    assert (shown.recorded == exact)[whole].all()
    assert shown.recorded.sum() == len(there)
    wholes = zip(shown.begin.tolist(), shown.end.tolist(), strict=True)
    for row, whole_row, level in zip(found, wholes, shown.level.tolist(), strict=True):
        below = [own for number, rows in session.rows.items() if number < level for own in rows]
        if level > wanted:
            had = {step for own in below for step in session.recorded(own)}
            assert session.recorded(whole_row) - had, "finer rows show all of it"
        for coarser in range(level + 1, wanted + 1):
            assert not touching(row, session.rows.get(coarser, [])), "a coarser row would have done"


@settings(max_examples=150, deadline=None)
@given(sessions(), st.integers(0, 4), st.integers(0, 2600))
def test_what_was_replaced_is_left_out_and_nothing_before_it(session: Session, wanted: int, until: int) -> None:
    levels = by_level(session.parts([7]))
    shown = surviving(levels, wanted, until)
    found = bounds(shown)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found)), "in step order, disjoint"
    assert all(start < until for start, _ in found)
    assert all(stop <= until for _, stop in found[:-1])
    there = {step for row in bounds(cover(levels, wanted)) for step in session.recorded(row) if step < until}
    assert {step for row in found for step in session.recorded(row) if step < until} == there
    if found and found[-1][1] > until:
        finer = [row for level, rows in session.rows.items() if level < shown.level[-1] for row in rows]
        assert not touching((found[-1][0], until), finer), "finer rows show it"


@settings(max_examples=50, deadline=None)
@given(sessions(), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_the_rows_that_are_chosen_are_where_they_say(session: Session, sizes: list[int], data: st.DataObject) -> None:
    """Without the parts that are lost, and with some rows there twice."""
    parts = session.parts(sizes) + session.parts(sizes[::-1])
    lost = {part for part in parts if data.draw(st.booleans())} if data.draw(st.booleans()) else set()
    for wanted in range(4):
        shown = cover(by_level(parts, lost), wanted)
        for i, row in enumerate(bounds(shown)):
            source = parts[shown.part[i]]
            assert source not in lost
            start, stop, recorded, _ = source.table[shown.row[i]].tolist()
            assert (source.level, start, stop) == (shown.level[i], shown.begin[i], shown.end[i])
            assert start <= row[0] < row[1] <= stop
            assert recorded == shown.recorded[i] if (start, stop) == row else 0 <= shown.recorded[i] < recorded


def test_of_rows_that_overlap_the_first_the_longest_and_the_earlier_part_count() -> None:
    parts = [
        part(0, [(0, 10, 10), (20, 30, 10)]),
        part(0, [(5, 15, 10), (20, 35, 15), (40, 50, 10)]),
        part(0, [(40, 50, 10), (50, 60, 10)]),
    ]
    (rows,) = by_level(parts).values()
    assert bounds(rows) == [(0, 10), (20, 35), (40, 50), (50, 60)]
    assert rows.part.tolist() == [0, 1, 1, 2]
    assert rows.row.tolist() == [0, 1, 2, 1]
    (rows,) = by_level(parts, {parts[1]}).values()
    assert bounds(rows) == [(0, 10), (20, 30), (40, 50), (50, 60)]


def test_of_an_unfinished_level_the_finer_rows_show_the_rest() -> None:
    levels = by_level([part(1, [(0, 16, 16)]), part(0, [(a, a + 1, 1) for a in range(20)])])
    assert bounds(cover(levels, 1)) == [(0, 16), (16, 17), (17, 18), (18, 19), (19, 20)]
    assert bounds(cover(levels, 0)) == [(a, a + 1) for a in range(20)]


def test_of_a_row_that_is_missing_the_coarser_one_shows_its_steps_alone() -> None:
    finest = [(a, a + 1, 1) for a in range(32) if a not in (3, 20, 21)]
    levels = by_level([part(1, [(0, 16, 15), (16, 32, 16)]), part(0, finest)])
    # Step 3 was not recorded at all, steps 20 and 21 were.
    shown = cover(levels, 0)
    assert bounds(shown) == [*((a, a + 1) for a in range(20) if a != 3), (20, 22), *((a, a + 1) for a in range(22, 32))]
    (at,) = np.flatnonzero(shown.level)
    assert (shown.begin[at], shown.end[at], shown.recorded[at]) == (16, 32, 2)


def test_rows_that_no_writer_makes_are_disjoint_all_the_same() -> None:
    """A damaged file: rows of different levels over each other's edges."""
    rows = [[(0, 10, 10), (14, 20, 6)], [(5, 18, 13), (18, 30, 12)], [(1, 40, 39)]]
    levels = by_level([part(level, own) for level, own in enumerate(rows)])
    for wanted in range(4):
        found = bounds(cover(levels, wanted))
        assert found
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


def test_nothing_is_shown_of_nothing() -> None:
    assert by_level([]) == {}
    assert len(cover({}, 3)) == 0
