"""What rules remember, against the same looked up in all that there was."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tb_gradhealth.diagnosis.memory import KEPT, Memory, Past, middle, rows


@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize("often", [0.02, 0.5, 0.95])
def test_held_is_that_of_the_last_rows(share: float, often: float) -> None:
    """Also after long stretches in which nothing held, which are not counted."""
    generator = np.random.default_rng(0)
    seen = generator.random((400, 3)) < often
    seen[50:120] = False
    memory = Memory()
    memory.spacing = 2
    window = rows(10, 2)
    for row, holds in enumerate(seen):
        held = memory.held("any", holds, 2 * row, 10, share)
        last = seen[max(0, row + 1 - window) : row + 1]
        expected = holds & (last.sum(axis=0) >= math.ceil(share * window))
        assert np.array_equal(held.now, expected)
        assert held.anywhere == expected.any()
        assert held.places() == np.flatnonzero(expected).tolist()
        for node in held.places():
            assert held.since[node] == 2 * (row + 1 - len(last) + int(last[:, node].argmax()))


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_middle_is_the_median_of_what_is_known(count: int) -> None:
    generator = np.random.default_rng(count)
    for _ in range(20):
        values = np.concatenate([generator.normal(size=count), np.full(generator.integers(0, 3), np.nan)])
        generator.shuffle(values)
        assert math.isnan(middle(values)) if not count else middle(values) == np.nanmedian(values)


def test_past_has_the_lower_median_of_what_it_keeps() -> None:
    generator = np.random.default_rng(0)
    past, values = Past(), generator.normal(size=1000)
    assert math.isnan(past.median())
    for taken, value in enumerate(values, 1):
        past.add(value)
        every = 2 ** max(0, math.ceil(math.log2(taken / KEPT)))
        kept = values[:taken:every]
        assert past.median() == np.sort(kept)[(len(kept) - 1) // 2]
