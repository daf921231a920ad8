"""The chunk table covers every element of every tensor once, beyond 2^31 of them too."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.chunks import LARGEST, SMALLEST, chunk_size, chunk_table

SIZE = LARGEST
tensors = st.lists(
    st.tuples(
        st.one_of(st.just(0), st.integers(1, 5 * SIZE), st.integers(2**31, 2**31 + 3 * SIZE)), st.sampled_from("abc")
    ),
    max_size=12,
)


@given(tensors)
def test_chunks_cover_each_element_once(made: list[tuple[int, str]]) -> None:
    elements, dtypes = [count for count, _ in made], [dtype for _, dtype in made]
    table = chunk_table(elements, dtypes, SIZE)
    for tensor, count in enumerate(elements):
        chunks = slice(table.starts[tensor], table.stops[tensor])
        assert (table.tensor[chunks] == tensor).all()
        assert np.array_equal(table.index[chunks], np.arange(-(-count // SIZE)))
    assert len(table.tensor) == len(table.index) == sum(table.stops - table.starts)


@given(tensors)
def test_each_dtype_is_one_launch_of_its_own_chunks(made: list[tuple[int, str]]) -> None:
    elements, dtypes = [count for count, _ in made], [dtype for _, dtype in made]
    table = chunk_table(elements, dtypes, SIZE)
    assert {launch.dtype for launch in table.launches} == {dtype for count, dtype in made if count}
    bounds = [0, *(bound for launch in table.launches for bound in (launch.start, launch.stop)), len(table.tensor)]
    assert bounds[::2] == bounds[1::2]
    for launch in table.launches:
        launched = np.unique(table.tensor[launch.start : launch.stop])
        assert {dtypes[tensor] for tensor in launched} == {launch.dtype}


def test_places_beyond_2_to_the_31_fit_the_table() -> None:
    table = chunk_table([2**33 + 1], ["a"], SIZE)
    assert table.index.dtype == np.int32
    assert int(table.index[-1]) * SIZE == 2**33


def test_chunks_shrink_until_the_device_is_busy() -> None:
    assert chunk_size(10**10, 8448) == LARGEST
    assert chunk_size(10**8, 8448) == SMALLEST
    assert chunk_size(3 * 10**8, 8448) == 2 * SMALLEST
    assert chunk_size(0, 1) == SMALLEST
