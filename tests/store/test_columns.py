"""Columns survive their bytes, whatever their codes, and what is no column is refused."""

from __future__ import annotations

import math
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradhealth.store.codes import ESCAPED
from tb_gradhealth.store.columns import Column, columns, deflate, pack, unpack
from tb_gradhealth.store.format import FormatError

from ..synthetic import Recording, recorded

SCHEMA = Recording(recorded(1)).schema
COLUMNS = columns(SCHEMA)
Codes = npt.NDArray[np.unsignedinteger]


def codes(column: Column, rows: int, nodes: int, seed: int, style: str) -> Codes:
    """``[plane, row, node]``: anything, what wraps around, what hardly changes, or zeros here and there."""
    generator, shape = np.random.default_rng(seed), (column.planes, rows, nodes)
    dtype = np.dtype(column.dtype)
    most = np.iinfo(dtype).max
    if style == "any":
        found = generator.integers(0, most, shape, dtype, endpoint=True)
    elif style == "ends":
        found = generator.choice(np.array([0, 1, most, most - 1, most // 2, most // 2 + 1], dtype), shape)
    elif style == "steady":
        found = (generator.integers(0, 300, shape) + most // 3).astype(dtype)
    elif style == "escapes":
        found = generator.choice(np.array([0, 7, ESCAPED % (int(most) + 1), 40_000], dtype), shape)
    else:
        found = np.zeros(shape, dtype)
        found[generator.integers(column.planes)] = generator.integers(0, 5, shape[1:])
    return found


def packed(column: Column, values: Codes) -> bytes:
    (raw,) = pack([column], values[None])
    return raw


def there_and_back(column: Column, values: Codes) -> tuple[Codes, list[float]]:
    exact = np.arange(np.count_nonzero(values == ESCAPED) if column.escapes else 0) * math.pi
    raw = packed(column, values) + exact.tobytes()
    assert len(raw) <= column.most_bytes(values[0].size)
    planes, escaped = unpack(column, raw, *values.shape[1:])
    for plane, own in zip(planes, values, strict=True):
        assert plane is None or (plane.dtype == np.dtype(column.dtype) and plane.shape == own.shape)
    back = np.stack([np.zeros_like(values[0]) if plane is None else plane for plane in planes])
    assert exact.tolist() == ([] if escaped is None else np.concatenate(escaped).tolist())
    return back, exact.tolist()


STYLES = st.sampled_from(["any", "ends", "steady", "escapes", "zeros"])


@settings(deadline=None)
@given(st.sampled_from(COLUMNS), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32), STYLES)
def test_columns_survive_their_bytes(column: Column, rows: int, nodes: int, seed: int, style: str) -> None:
    values = codes(column, rows, nodes, seed, style)
    back, escaped = there_and_back(column, values)
    assert np.array_equal(back, values)
    assert (escaped != []) == bool(column.escapes and (values == ESCAPED).any())


@given(st.sampled_from(COLUMNS), st.integers(0, 2**32), STYLES, st.data())
def test_some_planes_are_those_of_all(column: Column, seed: int, style: str, data: st.DataObject) -> None:
    values = codes(column, 5, 7, seed, style)
    exact = np.arange(np.count_nonzero(values == ESCAPED) if column.escapes else 0) * math.pi
    raw = packed(column, values) + exact.tobytes()
    which = data.draw(st.lists(st.integers(0, column.planes - 1), min_size=1, max_size=3))
    every, escaped = unpack(column, raw, 5, 7)
    some, own = unpack(column, raw, 5, 7, which)
    for position, plane in enumerate(which):
        assert np.array_equal(some[position], every[plane])
        assert (own is None) == (escaped is None)
        assert own is None or np.array_equal(own[position], escaped[plane])


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
@pytest.mark.parametrize(("rows", "nodes"), [(1, 1), (1, 2000), (300, 1), (300, 50)])
@pytest.mark.parametrize("style", ["any", "ends", "zeros"])
def test_columns_of_any_shape(column: Column, rows: int, nodes: int, style: str) -> None:
    values = codes(column, rows, nodes, 1, style)
    assert np.array_equal(there_and_back(column, values)[0], values)


def test_what_is_always_zero_costs_a_mask_alone() -> None:
    for column in COLUMNS:
        nothing = np.zeros((column.planes, 50, 40), column.dtype)
        raw = packed(column, nothing)
        assert raw == bytes(column.planes)
        assert unpack(column, raw, 50, 40) == ([None] * column.planes, None)


def test_what_does_not_change_costs_its_first_row_alone() -> None:
    column = next(column for column in COLUMNS if column.predict == "spread")
    steady = np.full((3, 50, 40), 12_345, column.dtype)
    data, small = deflate(packed(column, steady))
    assert small
    assert len(data) < 100


def test_prediction_is_as_documented() -> None:
    """Rows from the row before, folded so that the sign is the lowest bit; min and max from the mean."""
    rows = next(column for column in COLUMNS if column.name == "steps")
    values = np.zeros((3, 4, 1), "<u4")
    values[0, :, 0] = [5, 3, 3, 300]  # differences 5, -2, 0, 297
    assert packed(rows, values) == bytes([0b11, 0, 0]) + bytes([10, 3, 0, 594 & 0xFF]) + bytes([0, 0, 0, 594 >> 8])
    spread = next(column for column in COLUMNS if column.predict == "spread")
    values = np.array([[[100], [90]], [[98], [90]], [[103], [91]]], "<u2")
    # Mean 100, -10; mean - min 2, 0; max - mean 3, 1.
    assert packed(spread, values) == bytes([1, 1, 1]) + bytes([200, 19]) + bytes([2, 0]) + bytes([3, 1])


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_bytes_that_are_no_column_are_refused(column: Column) -> None:
    raw = packed(column, codes(column, 3, 4, 0, "steady"))
    for wrong in (b"", raw[:-1], raw + b"\0", raw[: column.planes], raw + raw):
        with pytest.raises(FormatError):
            unpack(column, wrong, 3, 4)
    item = np.dtype(column.dtype).itemsize
    if item < 8:  # a mask of bytes that the type does not have
        with pytest.raises(FormatError, match="masks"):
            unpack(column, bytes([1 << item]) + raw[1:], 3, 4)


@settings(max_examples=200)
@given(st.sampled_from(COLUMNS), st.binary(max_size=300))
def test_noise_is_a_column_or_refused(column: Column, raw: bytes) -> None:
    try:
        planes, escaped = unpack(column, raw, 2, 3)
    except FormatError:
        return
    assert len(planes) == column.planes
    assert escaped is None or column.escapes


@given(st.binary(max_size=400))
def test_deflated_data_is_no_longer_and_reads_back(raw: bytes) -> None:
    data, small = deflate(raw)
    assert (zlib.decompress(data, -15) if small else data) == raw
    assert len(data) <= len(raw)
    zeros, small = deflate(raw + bytes(1000))
    assert small
    assert zlib.decompress(zeros, -15) == raw + bytes(1000)


def test_columns_that_are_alike_are_packed_as_one_by_one() -> None:
    alike = [column for column in COLUMNS if column.predict == "spread"]
    values = np.stack([codes(column, 5, 7, seed, "any") for seed, column in enumerate(alike)])
    values[1] = 0
    assert pack(alike, values) == [packed(column, own) for column, own in zip(alike, values, strict=True)]
