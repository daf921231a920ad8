"""The SPACE merge: a commutative monoid, exact for counts, and first in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import metrics
from gradhealth_kernels.statistics import COUNTS, ENTRIES, ENTRY_DTYPE, SIGNED_DTYPE, Entries, merge, neutral, table

from .synthetic import measured


@st.composite
def entries(draw: st.DrawFn, most: int = 12) -> Entries:
    """Entries ``[step, tensor]`` whose sums are whole numbers, so that any order of adding is exact."""
    shape = draw(st.integers(1, 3)), draw(st.integers(1, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = neutral(shape)
    for entry in ENTRIES:
        made[entry.name] = generator.integers(0, 2**40, shape)
    return made


@st.composite
def signed_entries(draw: st.DrawFn) -> Entries:
    """The same with what a stream has whose tensors' sign matters; a tensor of no finite element has no extremes."""
    plain = draw(entries())
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = neutral(plain.shape, signed=True)
    for entry in ENTRIES:
        made[entry.name] = plain[entry.name]
    some = generator.random(plain.shape) < 0.8
    low = generator.uniform(-1e6, 1e6, plain.shape) * 10.0 ** generator.integers(-300, 300, plain.shape)
    made["minimum"][some] = low[some]
    made["maximum"][some] = (low + generator.uniform(0, 1e6, plain.shape))[some]
    return made


def one_node(tensors: Entries) -> Entries:
    return merge(tensors, np.array([0]), np.array([tensors.shape[-1]]))


@given(entries(), st.randoms())
def test_any_grouping_and_any_order_give_the_same_node(tensors: Entries, random: object) -> None:
    count = tensors.shape[-1]
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    cuts = np.unique([0, count, *generator.integers(0, count + 1, 3)])
    parts = merge(tensors, cuts[:-1], cuts[1:])
    assert (one_node(parts) == one_node(tensors)).all()
    assert (one_node(tensors[:, generator.permutation(count)]) == one_node(tensors)).all()


@given(entries())
def test_nothing_measured_changes_nothing(tensors: Entries) -> None:
    padded = np.concatenate([neutral((len(tensors), 2)), tensors, neutral((len(tensors), 1))], axis=1)
    assert (one_node(padded) == one_node(tensors)).all()


@given(entries(), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=8))
def test_each_node_is_its_own_range_empty_and_overlapping_ones_included(
    tensors: Entries, ranges: list[tuple[int, int]]
) -> None:
    count = tensors.shape[-1]
    bounds = np.array([sorted((min(a, count), min(b, count))) for a, b in ranges])
    nodes = merge(tensors, bounds[:, 0], bounds[:, 1])
    for position, (start, stop) in enumerate(bounds):
        inside = tensors[:, start:stop]
        for entry in ENTRIES:
            combine = np.add if entry.combine == "+" else np.maximum
            expected = combine.reduce(inside[entry.name], axis=1) if stop > start else np.full(len(tensors), 0)
            assert nodes[entry.name][:, position].tolist() == expected.tolist()


@given(signed_entries(), st.randoms(use_true_random=False))
def test_signed_entries_merge_alike_and_their_extremes_are_those_of_all(tensors: Entries, random: object) -> None:
    count = tensors.shape[-1]
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    whole = one_node(tensors)
    assert whole.dtype == SIGNED_DTYPE
    assert np.array_equal(whole["minimum"][:, 0], np.min(tensors["minimum"], axis=1))
    assert np.array_equal(whole["maximum"][:, 0], np.max(tensors["maximum"], axis=1))
    for entry in ENTRIES:
        combine = {"+": np.sum, "max": np.max, "min": np.min}[entry.combine]
        assert np.array_equal(whole[entry.name][:, 0], combine(tensors[entry.name], axis=1))
    cuts = np.unique([0, count, *generator.integers(0, count + 1, 3)])
    assert (one_node(merge(tensors, cuts[:-1], cuts[1:])) == whole).all(), "associative"
    assert (one_node(tensors[:, generator.permutation(count)]) == whole).all(), "commutative"
    padded = np.concatenate([neutral((len(tensors), 2), signed=True), tensors], axis=1)
    assert (one_node(padded) == whole).all(), "neutral"


def test_nothing_measured_has_no_extremes() -> None:
    nothing = merge(neutral((1, 3), signed=True), np.array([0, 2, 1]), np.array([3, 2, 2]))
    assert nothing["minimum"].tolist() == [[np.inf] * 3]
    assert nothing["maximum"].tolist() == [[-np.inf] * 3]
    assert [entry.name for entry in table(signed=True)] == list(SIGNED_DTYPE.names or ())


def test_counts_stay_exact_beyond_what_float64_can_hold() -> None:
    tensors = neutral((1, 2))
    for name in COUNTS:
        tensors[name] = [[2**53, 1]]
    assert all(one_node(tensors)[name][0, 0] == 2**53 + 1 for name in COUNTS)


def test_a_record_is_eight_byte_fields_in_the_tables_order() -> None:
    """What the kernels write into raw memory."""
    assert [ENTRY_DTYPE.fields[entry.name][1] for entry in ENTRIES] == [8 * i for i in range(len(ENTRIES))]  # type: ignore[index]
    assert ENTRY_DTYPE.itemsize == 8 * len(ENTRIES)


def test_space_comes_before_time() -> None:
    """The reason for the order of merges: a module's largest norm is not to be had from its tensors' largest norms."""
    generator = np.random.default_rng(1)
    elements = generator.standard_normal((16, 50, 4)) * 10.0 ** generator.uniform(-1, 1, (16, 50, 1))
    tensors = measured(elements)
    norm = metrics.select(["norm"])
    true = np.linalg.norm(elements.reshape(16, -1), axis=1).max()
    per_tensor = np.linalg.norm(elements, axis=2).max(axis=0)
    assert metrics.compute(one_node(tensors), norm).max() == pytest.approx(true, rel=1e-12)
    assert np.linalg.norm(per_tensor) > 1.2 * true
    assert per_tensor.max() < 0.8 * true
