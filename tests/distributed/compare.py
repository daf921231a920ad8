"""Recorded rows against the oracle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .oracle import Oracle
from .record import Arrays

#: What float32 gradients, added up in any order, may differ by.
ROUNDING = 2e-6


def check_rows(rows: Arrays, oracle: Oracle) -> None:
    """Each row holds what ``oracle`` says of its steps: counts to the unit, metrics within :data:`ROUNDING`."""
    assert oracle.nodes() <= set(rows["nodes"].tolist())
    for r, n, name, start, stop in _cells(rows):
        where = f"{name or 'total'} of steps {start} to {stop}"
        for k, kind in enumerate(rows["kinds"].tolist()):
            assert rows["counts"][r, k, n] == oracle.over(name, kind, start, stop).sum(), f"{kind} of {where}"
        assert rows["steps"][r, n] == len(oracle.over(name, "count", start, stop)), where
        assert rows["first_bad"][r, n] == oracle.first_bad(name, start, stop), where
        for m, metric in enumerate(rows["metrics"].tolist()):
            expected = oracle.over(name, metric, start, stop)
            if len(expected) == 0:
                assert np.isneginf(rows["max"][r, m, n]), f"{metric} of {where}"
                continue
            # A mean cancels: its rounding is that of the elements that it is of.
            slack = oracle.over(name, "mean_abs", start, stop).max() if metric in ("mean", "std") else 0.0
            for plane, reduce in (("sum", np.sum), ("min", np.min), ("max", np.max)):
                what = f"{plane} of {metric} of {where}"
                np.testing.assert_allclose(
                    rows[plane][r, m, n], reduce(expected), ROUNDING, ROUNDING * slack, err_msg=what
                )


def _cells(rows: Arrays) -> Iterator[tuple[int, int, str, int, int]]:
    for r, (start, stop) in enumerate(zip(rows["start"].tolist(), rows["stop"].tolist(), strict=True)):
        for n, name in enumerate(rows["nodes"].tolist()):
            yield r, n, name, start, stop


def check_whole(rows: Arrays, steps: int, every: int) -> None:
    """No step is missing, and none is there twice."""
    assert rows["start"].tolist() == list(range(0, steps, every))
    assert rows["stop"].tolist() == [*range(every, steps, every), steps]
