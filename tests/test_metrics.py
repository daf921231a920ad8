"""Metrics of merged entries are those of all the elements together, and undefined is never a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels import metrics
from gradhealth_kernels.metrics import METRICS
from gradhealth_kernels.statistics import merge

from . import directly
from .synthetic import measure

VALUES = st.one_of(
    st.floats(-100, 100),
    st.sampled_from([0.0, -0.0, 1e-9, -9.9e-9, 1e-8, 1e30, -4.3e37, 6e37, np.nan, np.inf, -np.inf]),
)
TENSOR = st.lists(VALUES, max_size=6).map(np.array)


@given(st.lists(TENSOR, min_size=1, max_size=5))
def test_a_modules_metrics_are_those_of_all_its_elements(tensors: list[directly.Elements]) -> None:
    entries = np.concatenate([measure(tensor) for tensor in tensors])
    module = merge(entries, np.array([0]), np.array([len(tensors)]))
    everything = directly.of_node(tensors)
    finite = everything[np.isfinite(everything)]
    # A standard deviation from sums is exact to the rounding of the sums, which the largest element sets.
    slack = {"std": 1e-7 * np.abs(finite).max(initial=0.0), "mean": 1e-12 * np.abs(finite).max(initial=0.0)}
    for metric, value in zip(METRICS, metrics.compute(module)[:, 0], strict=True):
        expected = directly.METRICS[metric.name](everything)
        assert value == pytest.approx(expected, rel=1e-9, abs=slack.get(metric.name, 0.0), nan_ok=True), metric.name


def test_every_metric_of_the_table_has_its_oracle() -> None:
    assert [metric.name for metric in METRICS] == list(directly.METRICS)


@pytest.mark.parametrize(
    ("elements", "without_value"),
    [
        ([], {metric.name for metric in METRICS}),
        ([np.nan, np.inf], {metric.name for metric in METRICS if metric.over == "finite"}),
        ([0.0], set()),
    ],
)
def test_what_a_step_cannot_have_is_nan_and_all_else_is_not(elements: list[float], without_value: set[str]) -> None:
    values = metrics.compute(measure(np.array(elements)))[:, 0]
    assert {metric.name for metric, value in zip(METRICS, values, strict=True) if np.isnan(value)} == without_value


def test_norms_neither_overflow_nor_vanish_over_the_whole_of_float64() -> None:
    for size in (5e-324, 1e-310, 1e-160, 1e-40, 1.0, 1e40, 1e160, 1e307):
        norm, std = metrics.compute(measure(np.array([size, -size])), metrics.select(["norm", "std"]))[:, 0]
        assert norm == pytest.approx(np.sqrt(2) * size, rel=1e-12)
        assert std == pytest.approx(size, rel=1e-12)


def test_select_keeps_the_tables_order_and_drops_repeats() -> None:
    assert [metric.name for metric in metrics.select(["std", "norm", "std"])] == ["norm", "std"]
    assert metrics.select(None) is METRICS


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["norm", "nrom"], "no metric is called 'nrom': drop it or correct its spelling"),
        ([], "an empty list came"),
    ],
)
def test_select_says_what_it_knows_and_what_came(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        metrics.select(names)
    assert "norm, rms, near_zero_fraction" in str(caught.value)


def test_select_takes_no_single_string() -> None:
    with pytest.raises(TypeError, match=r"write \['norm'\]"):
        metrics.select("norm")
