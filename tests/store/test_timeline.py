"""Cells of any width, over any sessions, are what the rows that they touch say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradhealth_kernels import metrics
from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import Entries, merge
from tb_gradhealth.nodes import Index
from tb_gradhealth.rows import NEVER
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.cover import Cover
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.sessions import Session
from tb_gradhealth.store.timeline import Timeline, View

from ..synthetic import Recording, history, recorded

Floats = npt.NDArray[np.float64]

POOL = ("a.w", "a.b", "b.c.w", "d")
STEPS = recorded(500, len(POOL))
CHOSEN = select(["norm", "near_zero_fraction"])


@st.composite
def recordings(draw: st.DrawFn) -> list[Recording]:
    """One to three sessions, later ones with other tensors, another ``every``, and any first step."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from(POOL), unique=True, min_size=1))
        at = draw(st.integers(0, 400))
        entries = STEPS[at : at + draw(st.integers(1, 40)), : len(names)].copy()
        generator = np.random.default_rng(at)
        entries["nan"][generator.random(entries.shape) < 0.05] = 1
        entries[generator.random(entries.shape) < 0.1] = 0  # no gradient
        found.append(
            Recording(
                entries,
                names=tuple(names),
                start=draw(st.integers(0, 50)),
                every=draw(st.integers(1, 9)),
                session=f"{number:016x}",
                wall_time=1e9 + number,
                chosen=CHOSEN,
            )
        )
    return found


class Direct:
    """The same history, step by step, with nothing but loops."""

    def __init__(self, sessions: list[Recording]) -> None:
        self.rows: list[tuple[Recording, int, int, int]] = []  # recording, start, stop, surviving until
        until = 2**60
        for one in reversed(sessions):
            bounds = [(int(row.rows.start[0]), int(row.rows.stop[0])) for row in one.rows()]
            self.rows += [(one, start, stop, until) for start, stop in bounds if start < until]
            until = min(until, one.start)
        self.nodes: dict[int, dict[tuple[str, str], tuple[Entries, Floats]]] = {}
        for one in sessions:
            tree = one.tree
            entries = merge(one.entries[:, tree.leaf_order], tree.start, tree.stop)
            values = metrics.compute(entries, CHOSEN)
            self.nodes[id(one)] = {
                key: (entries[:, i], values[:, :, i]) for i, key in enumerate(zip(tree.names, tree.kinds, strict=True))
            }

    def touched(self, a: int, b: int, key: tuple[str, str]) -> Iterator[tuple[Entries, Floats, int, int]]:
        """Entries ``[step]`` and metrics ``[metric, step]`` of one node in each row that the cell [a, b) touches."""
        for one, start, stop, until in self.rows:
            if start < min(b, until) and min(stop, until) > a:
                entries, values = self.nodes[id(one)].get(key, (one.entries[:0, 0], np.zeros((len(CHOSEN), 0))))
                steps = slice(start - one.start, stop - one.start)
                yield entries[steps], values[:, steps], start, stop


@settings(max_examples=40, deadline=None)
@given(recordings(), st.integers(1, 23), st.integers(0, 4))
def test_cells_are_the_merge_of_all_steps_of_the_rows_they_touch(
    sessions: list[Recording], width: int, first: int
) -> None:
    timeline, direct = history(*sessions), Direct(sessions)
    grid = Grid(first * width, width, max(0, -(-timeline.end // width) - first))
    everything = np.arange(len(timeline.tree))
    shown = [timeline.cells(metric.name, everything, grid) for metric in CHOSEN]
    tally = timeline.tally(everything, grid)
    for node, key in enumerate(zip(timeline.tree.names, timeline.tree.kinds, strict=True)):
        for cell in range(grid.count):
            a = grid.begin + cell * width
            rows = list(direct.touched(a, a + width, key))
            assert tally.recorded[cell] == sum(stop - start for *_, start, stop in rows)
            assert tally.with_data[node, cell] == sum(int((entries["count"] > 0).sum()) for entries, *_ in rows)
            assert tally.counts["nan"][node, cell] == sum(int(entries["nan"].sum()) for entries, *_ in rows)
            bad = [start + i for entries, _, start, _ in rows for i in np.flatnonzero(entries["nan"])]
            assert tally.first_bad[node, cell] == min(bad, default=NEVER)
            for position, found in enumerate(shown):
                values = [v for _, per_step, _, _ in rows for v in per_step[position] if not math.isnan(v)]
                values = values or [math.nan]
                got = [plane[node, cell] for plane in (found.mean, found.min, found.max)]
                expected = [math.fsum(values) / len(values), min(values), max(values)]
                assert got == pytest.approx(expected, rel=0.002, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(recordings(), st.integers(3, 23))
def test_worst_is_the_largest_in_any_tensor_inside_and_names_it(sessions: list[Recording], width: int) -> None:
    timeline = history(*sessions)
    tree = timeline.tree
    grid = Grid(0, width, -(-timeline.end // width))
    everything = np.arange(len(tree))
    worst, per_node = timeline.worst("norm", everything, grid), timeline.cells("norm", everything, grid).max
    for node in everything:
        leaves = [n for n in everything if tree.kinds[n] == "tensor"]
        inside = [n for n in leaves if tree.start[node] <= tree.start[n] < tree.stop[node]]
        expected = np.fmax.reduce(per_node[inside], axis=0)
        assert np.array_equal(worst[node], expected, equal_nan=True)
        for cell in range(grid.count):
            one = Grid(cell * width, width, 1)
            named = timeline.worst_row("norm", int(node), one)
            assert (named is None) == np.isnan(expected[cell])
            if named is not None:
                tensor, start, stop = named
                assert tensor in inside
                assert start < one.end
                assert stop > one.begin
                assert per_node[tensor, cell] == expected[cell]


def test_many_leaves_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"m{i % 5}.t{i}" for i in range(23))
    whole = history(Recording(recorded(30, 23), names=names))
    grid, everything = Grid(0, 10, 3), np.arange(len(whole.tree))
    expected = whole.worst("norm", everything, grid)
    monkeypatch.setattr("tb_gradhealth.store.timeline.LEAVES_AT_ONCE", 4)
    assert np.array_equal(whole.worst("norm", everything, grid), expected)


def named(timeline: Timeline, node: str) -> int:
    return timeline.tree.names.index(node)


def test_a_restart_replaces_everything_from_its_first_step_on() -> None:
    first = Recording(recorded(100, 2), names=("a", "b"))
    second = first.again(entries=recorded(30, 2, seed=5), start=60, session="f" * 16, wall_time=2e9)
    timeline = history(first, second)
    assert (timeline.first, timeline.end) == (0, 90), "steps 90 to 100 of the first session are history that was undone"
    alone, restarted = history(first), history(second)
    which = np.arange(3)
    before, after = Grid(0, 10, 6), Grid(60, 10, 3)
    assert np.array_equal(timeline.cells("norm", which, before).max, alone.cells("norm", which, before).max)
    assert np.array_equal(timeline.cells("norm", which, after).max, restarted.cells("norm", which, after).max)
    assert timeline.covered(Grid(90, 10, 1)) is None


def test_zoomed_in_behind_a_restart_in_the_middle_of_a_row_only_the_restart_shows() -> None:
    first = Recording(recorded(60, 1), names=("w",))
    second = first.again(entries=recorded(30, 1, seed=5), start=55, session="f" * 16, wall_time=2e9, every=1, block=1)
    timeline, restarted = history(first, second), history(second)
    which = np.arange(2)
    for step in range(55, 60):
        cell = Grid(step, 1, 1)
        assert timeline.cells("norm", which, cell).max.tolist() == restarted.cells("norm", which, cell).max.tolist()
        assert timeline.tally(which, cell).recorded.tolist() == [1]
        assert timeline.covered(cell) == (step, step + 1)
        assert timeline.worst_row("norm", 0, cell) == (1, step, step + 1)
    straddled = timeline.cells("norm", which, Grid(54, 1, 1)).max
    assert straddled.tolist() == history(first).cells("norm", which, Grid(54, 1, 1)).max.tolist()


@pytest.mark.parametrize("until", [1, 256, 420])
def test_what_a_restart_replaced_shows_at_no_level(tmp_path: Path, until: int) -> None:
    """The training diverged and was rewound: NaN and a spike at every step from there on."""
    sound = np.repeat(recorded(1, 2), 800, axis=0)
    diverged = sound.copy()
    diverged["nan"][until:, 0] = 1
    for figure in ("sum_sq", "abs_max"):
        diverged[figure][until:, 1] *= 1e6
    first = Recording(diverged, names=("a", "b"), every=1, block=100)
    first.write(tmp_path, archive=True, together=64)
    first.again(entries=sound, start=until, session="f" * 16, wall_time=2e9).write(tmp_path, archive=True, together=64)
    timeline, which = open_directory(tmp_path).timeline("gradients"), np.arange(3)
    norm = timeline.cells("norm", which, Grid(0, 1, 1)).max
    end = until + 800
    for width in (1, 4, 16, 100, 256, 512, 4096):
        grid = Grid(0, width, -(-end // width))
        assert not timeline.flags(which, grid).any()
        shown = timeline.cells("norm", which, grid)
        for plane in (shown.mean, shown.min, shown.max, timeline.worst("norm", which, grid)[1:]):
            np.testing.assert_allclose(plane, np.broadcast_to(norm[-len(plane) :], plane.shape), rtol=1e-12)
        tally = timeline.tally(which, grid)
        assert (tally.first_bad == NEVER).all()
        assert not tally.counts["nan"].any()
        if width in (1, 16, 256, 4096):  # rows touch a cell alone
            inside = [min(end, a + width) - a for a in range(0, end, width)]
            assert tally.recorded.sum() >= end
            over = tally.recorded - inside
            assert (over == 0).all() or until % width
            assert over.sum() <= 2 * width * bool(until % width)
            assert (tally.recorded == tally.with_data).all()
        spans = list(timeline.rows(0, end, width))
        assert sum(int(span.recorded.sum()) for span in spans) == end
        assert all((span.stop - span.start == span.recorded).all() for span in spans)
    whole = timeline.worst_row("norm", 0, Grid(0, 4096, 1))
    assert whole is not None
    assert whole[1:] == (0, 1)


def test_only_the_finest_row_that_reaches_over_a_restart_remains(tmp_path: Path) -> None:
    entries = np.repeat(recorded(1, 1), 600, axis=0)
    entries["nan"][425:, 0] = 1
    first = Recording(entries, names=("w",), every=10, block=100)
    first.write(tmp_path, archive=True, together=64)
    first.again(entries=entries[:50], start=423, session="f" * 16, wall_time=2e9).write(tmp_path, archive=True)
    timeline = open_directory(tmp_path).timeline("gradients")
    for width in (10, 160, 2560):
        spans = [span for span in timeline.rows(0, 423, width) if len(span)]
        assert (spans[-1].start[-1], spans[-1].stop[-1], spans[-1].recorded[-1]) == (420, 423, 10)
    assert timeline.tally(np.arange(1), Grid(0, 420, 1)).first_bad.tolist() == [[NEVER]]
    assert timeline.tally(np.arange(1), Grid(0, 423, 1)).first_bad.tolist() == [[425]]


def test_a_session_of_which_nothing_survives_leaves_no_tensors_behind() -> None:
    first = Recording(recorded(20, 2), names=("old.w", "old.b"), every=1)
    timeline = history(first, Recording(recorded(5, 1), names=("new",), session="f" * 16, wall_time=2e9))
    assert timeline.tree.names == ("", "new")
    assert [session.schema.session for session in timeline.sessions] == ["f" * 16]
    assert timeline.cell == 10


def test_tensors_come_and_go_with_sessions_in_model_order() -> None:
    first = Recording(recorded(20, 3), names=("wte.w", "h.0.w", "head"))
    second = first.again(names=("wte.w", "h.1.w", "head"), start=20, session="f" * 16, wall_time=2e9)
    timeline = history(first, second)
    assert [name for name in timeline.tree.names if "." not in name] == ["", "wte", "h", "head"]
    values = timeline.cells("norm", np.arange(len(timeline.tree)), Grid(0, 20, 2)).max
    assert np.isnan(values[named(timeline, "h.0.w")]).tolist() == [False, True]
    assert np.isnan(values[named(timeline, "h.1.w")]).tolist() == [True, False]
    assert np.isfinite(values[named(timeline, "head")]).all()


def test_a_metric_that_only_one_session_recorded_is_shown_where_it_was() -> None:
    first = Recording(recorded(10, 1), names=("w",), chosen=select(["norm", "std"]))
    second = first.again(start=10, session="f" * 16, wall_time=2e9, chosen=select(["norm"]))
    timeline = history(first, second)
    assert list(timeline.metrics) == ["norm", "std"]
    assert np.isnan(timeline.cells("std", np.array([0]), Grid(0, 10, 2)).max).tolist() == [[False, True]]


def test_what_is_decoded_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = history(Recording(recorded(200, 3), names=("a", "b", "c"), every=1))
    spans: list[int] = []
    metric = Session.metric

    def counted(session: Session, name: str, which: Sequence[int], rows: Cover, nodes: Index) -> list[Floats]:
        spans.append(len(rows) * len(nodes))
        return metric(session, name, which, rows, nodes)

    grids = (Grid(0, 1, 200), Grid(3, 17, 12), Grid(0, 500, 1))
    ones = [timeline.cells("norm", np.arange(4), grid) for grid in grids]
    monkeypatch.setattr("tb_gradhealth.store.timeline.SPAN_CELLS", 40)
    monkeypatch.setattr(Session, "metric", counted)
    for one, grid in zip(ones, grids, strict=True):
        other = timeline.cells("norm", np.arange(4), grid)
        for plane in ("min", "max", "mean"):
            np.testing.assert_allclose(getattr(other, plane), getattr(one, plane), rtol=1e-12)
    assert max(spans) <= 40
    assert len(spans) > 60


@settings(max_examples=10, deadline=None)
@given(recordings(), st.integers(0, 2))
def test_coarser_rows_say_the_same_of_the_cells_that_they_fill(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[Recording], level: int
) -> None:
    """Where no session replaced the end of a row."""
    directory = tmp_path_factory.mktemp("levels")
    sessions = [one.again(every=1, start=512 * number) for number, one in enumerate(sessions)]
    for one in sessions:
        one.write(directory)
    run = open_directory(directory)
    assert run.problems == []
    timeline, finest = run.timeline("gradients"), history(*sessions)
    assert (timeline.first, timeline.end, timeline.full) == (finest.first, finest.end, True)
    width = 16**level
    grid, everything = Grid(0, width, -(-timeline.end // width)), np.arange(len(timeline.tree))
    for metric in CHOSEN:
        ours, theirs = (one.cells(metric.name, everything, grid) for one in (timeline, finest))
        assert np.array_equal(ours.min, theirs.min, equal_nan=True)
        assert np.array_equal(ours.max, theirs.max, equal_nan=True)
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=0.004)  # both are of codes
    assert np.array_equal(timeline.flags(everything, grid), finest.flags(everything, grid))
    ours, theirs = (one.tally(everything, grid) for one in (timeline, finest))
    assert np.array_equal(ours.recorded, theirs.recorded)
    assert np.array_equal(ours.with_data, theirs.with_data)
    assert np.array_equal(ours.first_bad, theirs.first_bad)
    assert all(np.array_equal(ours.counts[name], theirs.counts[name]) for name in theirs.counts)
    whole = Grid(0, timeline.end, 1)
    assert timeline.worst_row("norm", 0, whole) == finest.worst_row("norm", 0, whole)


@pytest.fixture(scope="module")
def whole() -> Timeline:
    return history(Recording(STEPS, names=POOL, every=1, chosen=CHOSEN))


@pytest.mark.parametrize("asked", [(0, 500, 500), (0, 500, 32), (3, 499, 31), (100, 260, 5), (0, 1, 1)])
@pytest.mark.parametrize("view", ["mean", "min", "max", "worst"])
def test_a_reading_is_of_whole_rows_and_no_more_cells_than_asked_for(
    whole: Timeline, view: View, asked: tuple[int, int, int]
) -> None:
    (begin, end, cells), timeline = asked, whole
    tree, which = timeline.tree, np.arange(len(timeline.tree))
    reading = timeline.read("norm", which, begin, end, cells, view)
    assert len(reading.edges) == reading.values.shape[1] + 1 == reading.flags.shape[1] + 1 <= cells + 1
    assert reading.edges[0] <= begin
    assert reading.edges[-1] >= end
    (step,) = set(np.diff(reading.edges).tolist())
    assert step <= 16 * -(-(end - begin) // cells), "the finest level that fits"
    norms = metrics.compute(merge(STEPS[:, tree.leaf_order], tree.start, tree.stop), CHOSEN)[0]
    if view == "worst":
        assert np.array_equal(reading.values, timeline.worst("norm", which, reading.grid))
    else:
        for cell, (a, b) in enumerate(itertools.pairwise(reading.edges.tolist())):
            assert reading.values[:, cell] == pytest.approx(getattr(np, view)(norms[a:b], axis=0), rel=0.004)
    assert np.array_equal(reading.flags, timeline.flags(which, reading.grid))


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    """Rows of levels 0 to 2 for all of its steps."""
    directory = tmp_path_factory.mktemp("levels")
    Recording(STEPS, names=POOL, every=1, chosen=CHOSEN).write(directory, together=100)
    return open_directory(directory).timeline("gradients")


@given(st.tuples(st.integers(0, 500), st.integers(0, 500)).filter(lambda ends: ends[0] != ends[1]), st.integers(1, 600))
@settings(max_examples=200, deadline=None)
def test_cells_hold_the_steps_asked_for_and_the_rows_that_they_are_of(
    levelled: Timeline, ends: tuple[int, int], cells: int
) -> None:
    begin, end = sorted(ends)
    grid = levelled.fitting(begin, end, cells)
    assert grid.count <= cells
    assert grid.begin <= begin < grid.begin + grid.width
    assert grid.end - grid.width < end <= grid.end
    rows = [width for width in (1, 16, 256) if width <= grid.width]
    assert grid.begin % rows[-1] == grid.width % rows[-1] == 0, "no row of the level shown reaches over an edge"
    covered = levelled.covered(grid)
    assert covered is not None
    assert grid.begin <= covered[0] <= begin
    assert end <= covered[1] <= grid.end


def test_a_reading_of_nothing_is_refused() -> None:
    timeline = history(Recording(STEPS[:20], names=POOL))
    for begin, end, cells in ((5, 5, 10), (7, 3, 10), (0, 10, 0)):
        with pytest.raises(ValueError, match="expected steps"):
            timeline.read("norm", np.arange(1), begin, end, cells, "max")
