"""The TIME merge: rows of any grouping say what the single steps say, computed from their elements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import COUNTS, merge
from tb_gradhealth import rows as interval
from tb_gradhealth.rows import NEVER, Rows

from . import directly
from .synthetic import measure, measured

VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda i: i / 1000), st.sampled_from([0.0, 1e-9, math.nan, math.inf, -math.inf])
)
#: A tensor without gradient has no element.
STEPS = st.integers(1, 3).flatmap(
    lambda tensors: st.lists(
        st.lists(st.lists(VALUES, max_size=3).map(np.array), min_size=tensors, max_size=tensors), min_size=1, max_size=9
    )
)


def single(steps: Sequence[Sequence[directly.Elements]], first_step: int = 0) -> Rows:
    """One row a step; nodes are the tensors, then all of them together."""
    entries = np.array([[measure(tensor)[0] for tensor in step] for step in steps])
    count = entries.shape[1]
    starts, stops = [*range(count), 0], [*range(1, count + 1), count]
    return interval.from_steps(first_step, merge(entries, np.array(starts), np.array(stops)))


def node(steps: Sequence[Sequence[directly.Elements]], index: int) -> list[directly.Elements]:
    """Elements of node ``index`` of :func:`single`, step by step."""
    return [directly.of_node(step if index == len(step) else [step[index]]) for step in steps]


def same(one: Rows, other: Rows) -> bool:
    return all(
        np.allclose(value, getattr(other, name), rtol=1e-12, atol=0, equal_nan=True)
        if value.dtype.kind == "f"
        else np.array_equal(value, getattr(other, name))
        for name, value in vars(one).items()
    )


@given(STEPS, st.sets(st.integers(1, 8)), st.integers(0, 10**12))
def test_rows_of_any_grouping_are_what_the_steps_say(
    steps: list[list[directly.Elements]], cuts: set[int], first_step: int
) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(steps)), len(steps)]
    merged = interval.merge(single(steps, first_step), bounds[:-1])
    assert merged.start.tolist() == [first_step + a for a in bounds[:-1]]
    assert merged.stop.tolist() == [first_step + b for b in bounds[1:]]
    for index in range(len(steps[0]) + 1):
        for row, (a, b) in enumerate(itertools.pairwise(bounds)):
            elements = node(steps, index)[a:b]
            bad = [first_step + a + i for i, x in enumerate(elements) if not np.isfinite(x).all()]
            assert merged.steps[row, index] == sum(len(x) > 0 for x in elements)
            assert merged.finite_steps[row, index] == sum(np.isfinite(x).any() for x in elements)
            assert merged.first_bad[row, index] == min(bad, default=NEVER)
            everything = np.concatenate(elements)
            expected = {"count": len(everything), "zero": (everything == 0).sum(), "nan": np.isnan(everything).sum()}
            assert {name: merged.counts[COUNTS.index(name), row, index] for name in expected} == expected
            for position, metric in enumerate(METRICS):
                values = [v for v in map(directly.METRICS[metric.name], elements) if not math.isnan(v)]
                # See test_metrics: a deviation from sums is as exact as the largest element allows.
                slack = (
                    1e-7 * np.abs(everything[np.isfinite(everything)]).max(initial=0.0) if metric.kind != "count" else 0
                )
                got = [getattr(merged, name)[position, row, index] for name in ("sum", "min", "max")]
                direct = [math.fsum(values), min(values, default=math.inf), max(values, default=-math.inf)]
                assert got == pytest.approx(direct, rel=1e-9, abs=slack), metric.name


@given(STEPS.filter(lambda steps: len(steps) > 2), st.data())
def test_merging_is_associative(steps: list[list[directly.Elements]], data: st.DataObject) -> None:
    rows = single(steps)
    split = data.draw(st.integers(1, len(steps) - 1))
    parts = [interval.take(rows, i) for i in range(len(rows))]

    def joined(some: list[Rows]) -> Rows:
        return interval.merge(interval.concatenate(some), [0])

    assert same(joined([joined(parts[:split]), joined(parts[split:])]), joined(parts))


@given(STEPS)
def test_all_but_the_steps_is_commutative(steps: list[list[directly.Elements]]) -> None:
    forth, back = (interval.merge(single(s), [0]) for s in (steps, steps[::-1]))
    for name in ("steps", "finite_steps", "counts", "min", "max"):
        assert np.array_equal(getattr(forth, name), getattr(back, name)), name


def test_a_step_without_gradient_adds_nothing() -> None:
    full, empty = np.array([[1.0, -2.0]]), np.array([np.zeros(0)])
    alone = interval.merge(single([list(full)], 4), [0])
    with_empty = interval.merge(single([list(full), list(empty), list(empty)], 4), [0])
    for name in ("steps", "finite_steps", "first_bad", "counts", "sum", "min", "max"):
        assert np.array_equal(getattr(alone, name), getattr(with_empty, name)), name
    assert with_empty.stop.tolist() == [7]


def test_counts_of_a_long_interval_are_exact() -> None:
    rows = single([[np.zeros(1)]] * 3)
    rows.counts[...] = 2**53
    rows.counts[..., -1, :] = 1
    assert (interval.merge(rows, [0]).counts == 2**54 + 1).all()


def test_means_run_over_the_steps_that_have_the_metric() -> None:
    rows = interval.merge(single([[np.array([3.0])], [np.array([np.nan])], [np.zeros(0)]]), [0])
    assert rows.steps_of("all").tolist() == [[2, 2]]
    assert rows.steps_of("finite").tolist() == [[1, 1]]


@pytest.mark.parametrize("groups", [[], [1], [1, 0]])
def test_groups_that_do_not_begin_at_the_first_row_are_refused(groups: list[int]) -> None:
    with pytest.raises(ValueError, match="expected group starts that begin at row 0 of 2 rows"):
        interval.merge(single([[np.zeros(1)]] * 2), groups)


def test_concatenate_keeps_rows_and_order() -> None:
    whole = interval.from_steps(0, measured(np.arange(12.0).reshape(4, 3, 1)))
    parts = [interval.take(whole, i) for i in range(4)]
    assert same(interval.concatenate(parts), whole)


@given(STEPS.filter(lambda steps: len(steps) > 1), st.data())
def test_joining_two_rows_is_merging_them(steps: list[list[directly.Elements]], data: st.DataObject) -> None:
    rows = single(steps, 7)
    split = data.draw(st.integers(1, len(steps) - 1))
    one, other = interval.merge(rows, [0, split]), interval.merge(rows, [0])
    assert same(interval.join(interval.take(one, 0), interval.take(one, 1)), other)
    assert other.recorded.tolist() == [len(steps)]


@given(STEPS)
def test_a_row_of_no_data_is_neutral_but_for_its_steps(steps: list[list[directly.Elements]]) -> None:
    row = interval.merge(single(steps), [0])
    nothing = interval.merge(single([[np.zeros(0) for _ in steps[0]]] * 3, len(steps)), [0])
    joined = interval.join(row, nothing)
    for name in ("steps", "finite_steps", "first_bad", "counts", "sum", "min", "max"):
        assert np.array_equal(getattr(joined, name), getattr(row, name)), name
    assert (joined.start[0], joined.stop[0], joined.recorded[0]) == (0, len(steps) + 3, len(steps) + 3)
    for name, _, neutral in interval.AGGREGATES:
        assert (getattr(nothing, name) == neutral).all(), name


def test_rows_over_a_gap_say_how_many_steps_they_have() -> None:
    one, other = single([[np.ones(1)]] * 3, 0), single([[np.ones(1)]] * 2, 10)
    joined = interval.merge(interval.concatenate([one, other]), [0])
    assert (joined.start[0], joined.stop[0], joined.recorded[0]) == (0, 12, 5)
    assert joined.steps.tolist() == [[5, 5]]
