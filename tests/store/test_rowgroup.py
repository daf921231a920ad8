"""Row groups read back what was written, by any reader that follows their tables."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradhealth.notes import Fault, Note
from tb_gradhealth.rows import NEVER, Rows, from_steps
from tb_gradhealth.store.cache import Cache
from tb_gradhealth.store.codes import CODES, ESCAPED
from tb_gradhealth.store.columns import ALL_KINDS, PREDICTED_KINDS, SPARSE_KINDS, columns
from tb_gradhealth.store.format import FormatError, NodeInfo, Schema
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.rowgroup import CHUNK_CELLS, CodedRow, RowGroup, check_rows, code, encode
from tb_gradhealth.store.rowgroup import ROW as TABLE
from tb_gradhealth.store.scalars import Scalar

from ..synthetic import Recording, gradients, measured, recorded
from .written import rows_of

SCHEMA = Recording(recorded(1)).schema
KINDS = [metric.kind for metric in SCHEMA.metrics]
KINDS_OF_COLUMNS = st.sampled_from(ALL_KINDS)
LEVELS = st.integers(0, 15)


def of_nodes(count: int) -> Schema:
    return replace(SCHEMA, nodes=(NodeInfo("", "total"), *(NodeInfo(f"t{i}", "tensor") for i in range(1, count))))


def coded(schema: Schema, rows: int, seed: int, wild: bool, level: int = 0) -> list[CodedRow]:
    """Random codes, of all bits or of few, some of them escaped; texts in some rows."""
    generator, nodes, found = np.random.default_rng(seed), len(schema.nodes), []
    start = int(generator.integers(0, 2**40))
    for number in range(rows):
        start += int(generator.integers(0, 3)) * 1000
        stop = start + int(generator.integers(1, 1000))
        planes, exact = [], {}
        for index, column in enumerate(columns(schema)):
            most = np.iinfo(column.dtype).max if wild else 200
            plane = generator.integers(0, most, (column.planes, nodes), column.dtype, endpoint=True)
            if column.escapes and generator.random() < 0.3:
                plane[generator.random(plane.shape) < 0.2] = ESCAPED
            if column.escapes and (plane == ESCAPED).any():
                exact[index] = np.where(plane == ESCAPED, generator.uniform(1e200, 1e300, plane.shape), 0)
            planes.append(plane)
        scalars, notes = (b"", b"") if number % 3 else (b"\x01\0a" + struct.pack("<Qddd", 1, 2.0, 2.0, 2.0), b"")
        if number % 4 == 1:
            notes = b'[{"step":%d,"kind":"skipped"}]' % start
        steps = stop - start - number % 2 * (stop - start > 1)
        found.append(CodedRow(level, start, stop, steps, planes, exact, scalars, notes))
        start = stop
    return found


def check_same(group: RowGroup, rows: list[CodedRow], schema: Schema) -> None:
    assert group.table[["start", "stop", "recorded"]].tolist() == [(r.start, r.stop, r.recorded) for r in rows]
    group.check()
    for index, column in enumerate(columns(schema)):
        for first in range(0, len(schema.nodes), group.width):
            chunk = group.chunk(index, first // group.width)
            for plane, read in enumerate(chunk.planes):
                true = np.stack([row.columns[index][plane, first : first + group.width] for row in rows])
                if read is None:
                    assert not true.any()
                elif read.dtype == np.float64:
                    assert column.escapes
                    some = [row.exact.get(index, np.zeros((3, len(schema.nodes)))) for row in rows]
                    exact = np.stack([own[plane, first : first + group.width] for own in some])
                    values = np.where(true == ESCAPED, exact, CODES["magnitude"].values(true))
                    assert np.array_equal(read, values, equal_nan=True)
                else:
                    assert np.array_equal(read, true), column.name
    for number, row in enumerate(rows):
        assert (group.scalars(number) != {}) == bool(row.scalars)
        assert [note.step for note in group.notes(number)] == ([row.start] if row.notes else [])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), st.booleans(), st.sets(KINDS_OF_COLUMNS), LEVELS)
def test_row_groups_read_back(
    rows: int, nodes: int, seed: int, wild: bool, deflated: set[str | None], level: int
) -> None:
    schema = of_nodes(nodes)
    made = coded(schema, rows, seed, wild, level)
    group = RowGroup.of(encode(made, schema, deflated), schema)
    assert group.level == level
    check_same(group, made, schema)


@pytest.mark.parametrize("kinds", [(), SPARSE_KINDS, PREDICTED_KINDS, ALL_KINDS])
def test_the_kinds_that_are_asked_for_are_deflated(kinds: tuple[str | None, ...]) -> None:
    schema = of_nodes(500)
    made = coded(schema, 2, 1, wild=False)
    data = encode(made, schema, kinds)
    sizes = np.frombuffer(data, "<u4", 2 * (len(columns(schema)) + 2), 28 + 24 * 2)[::2]
    small = dict(zip([column.kind for column in columns(schema)], sizes >> 31, strict=False))
    assert {kind for kind, flag in small.items() if flag} == set(kinds)


@pytest.mark.parametrize("level", [0, 1])
def test_a_row_alone_is_the_same_however_often_it_is_encoded(level: int) -> None:
    schema = of_nodes(100)
    (row,) = coded(schema, 1, 3, wild=False, level=level)
    raw, small = encode([row], schema, ()), encode([row], schema)
    assert bool(row.alone) == (level == 0)
    fresh = replace(row)
    assert not fresh.alone
    assert (encode([fresh], schema), encode([fresh], schema, ())) == (small, raw)
    check_same(RowGroup.of(small, schema), [row], schema)


@pytest.mark.parametrize(("rows", "nodes"), [(1, 1), (300, 1), (1, 2000), (300, 130), (17, 2000)])
def test_row_groups_of_any_shape(rows: int, nodes: int) -> None:
    schema = of_nodes(nodes)
    made = coded(schema, rows, 5, wild=False)
    group = RowGroup.of(encode(made, schema), schema)
    assert rows * group.width <= max(CHUNK_CELLS, 64 * rows)
    check_same(group, made, schema)


def test_a_chunk_is_read_without_the_others() -> None:
    schema = of_nodes(2000)
    data = encode(coded(schema, 64, 0, wild=True), schema)
    reads: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        reads.append((offset, size))
        return data[offset : offset + size]

    group = RowGroup(read, len(data), schema)
    assert sum(size for _, size in reads) < len(data) / 20
    reads.clear()
    group.chunk(5, 3)
    assert len(reads) == 1
    assert reads[0][1] < len(data) / 40
    reads.clear()
    assert group.notes(0) == []
    assert reads == [], "flags tell that there is nothing"


def pending(row: Rows) -> PendingRow:
    notes = [Note(int(row.start[0]), "skipped", (Fault("embed", 1, 0, 0),), values={"loss_scale": 2.0})]
    return PendingRow(row, {"loss": Scalar(3, 6.0, 1.0, 3.0)}, notes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(width=64), min_size=12, max_size=12), st.integers(0, 2**50), st.booleans())
def test_a_row_is_what_was_measured_within_the_error_of_its_codes(
    elements: list[float], start: int, gone: bool
) -> None:
    """Whatever the gradients are; the bounds are those of ``docs/format.md``."""
    with np.errstate(all="ignore"):
        entries = measured(np.array(elements).reshape(1, 2, 6))
        if gone:
            entries[0, 1] = 0
        row = from_steps(start, entries)
    schema = of_nodes(2)
    (back,) = rows_of(RowGroup.of(encode([code(pending(row), 0, schema)], schema), schema), schema)
    assert (back.start, back.stop, back.recorded) == (start, start + 1, 1)
    assert np.array_equal(back.steps[:2], [row.steps[0], row.finite_steps[0]])
    assert np.array_equal(back.steps[2], row.first_bad[0])
    assert np.array_equal(back.counts, row.counts[:, 0])
    assert (back.scalars, back.notes) == (pending(row).scalars, pending(row).notes)
    for position, metric in enumerate(schema.metrics):
        over = row.steps_of(metric.over)[0]
        planes = (row.sum[position, 0], row.min[position, 0], row.max[position, 0])
        for node in np.flatnonzero(over):
            check_near(metric.kind, np.stack(planes)[:, node].tolist(), back.metrics[metric.name][:, node].tolist())
        assert np.array_equal(np.isnan(back.metrics[metric.name]).all(axis=0), over == 0)


def check_near(kind: str, true: list[float], got: list[float]) -> None:
    for one, other in zip(true, got, strict=True):
        if not np.isfinite(one):
            assert str(other) == str(one)
        elif kind == "fraction":
            assert abs(other - one) <= 0.0005 * min(one, 1 - one)
        elif kind == "signed":
            assert abs(other - one) <= max(0.000123 * abs(one), 2.0**-138) or abs(one) > 3.4e38
        else:
            assert abs(other - one) <= {"magnitude": 0.0018, "count": 0.0}[kind] * abs(one)


def test_the_first_bad_step_of_a_long_row_is_exact() -> None:
    recording = Recording(measured(gradients(40, 2)), names=("a", "b"), every=40, start=40)
    recording.entries["nan"][27, 1] = 1
    (data,) = recording.payloads()
    (row,) = rows_of(RowGroup.of(data, recording.schema), recording.schema)
    assert row.steps[2].tolist() == [67, NEVER, 67]


def test_no_flipped_bit_goes_unnoticed() -> None:
    """TensorBoard's data server does not look at the checksums of records."""
    schema = of_nodes(3)
    data = bytearray(encode(coded(schema, 2, 1, wild=False), schema))
    for place in range(len(data)):
        data[place] ^= 1 << place % 8
        with pytest.raises(FormatError):
            RowGroup.of(bytes(data), schema).check()
        data[place] ^= 1 << place % 8
    RowGroup.of(bytes(data), schema).check()


def test_what_is_cut_anywhere_is_refused() -> None:
    schema = of_nodes(3)
    data = encode(coded(schema, 2, 1, wild=False), schema)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            RowGroup.of(data[:size], schema).check()
    with pytest.raises(FormatError):
        RowGroup.of(data + b"\0", schema)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(5, 5, 0)],
        [(6, 5, 0)],
        [(-1, 5, 1)],
        [(0, 10, 10), (9, 20, 5)],
        [(10, 20, 5), (0, 5, 5)],
        [(0, 10, 11)],
        [(0, 2**33, 5)],
        [(0, 5, 5), (2**62, 2**62 + 1, 1)],
        [(-(2**63), 2**62, 1)],
    ],
)
def test_rows_that_no_writer_makes_are_refused(rows: list[tuple[int, int, int]]) -> None:
    with pytest.raises(FormatError):
        check_rows(np.array([(*row, 0) for row in rows], TABLE))


def test_the_documented_bytes() -> None:
    """The header and the tables, from their description alone."""
    schema = of_nodes(3)
    made = coded(schema, 2, 1, wild=False, level=3)
    data = encode(made, schema)
    magic, version, level, rows, nodes, width, chunks, check = struct.unpack_from("<4sHHIIIII", data)
    assert (magic, version, level, rows, nodes, width) == (b"GHRG", 2, 3, 2, 3, 3)
    assert chunks == 2 + len(schema.metrics) + 2
    tables = data[28 : 28 + 24 * rows + 8 * chunks]
    assert check == zlib.crc32(data[:24] + tables)
    for number, row in enumerate(made):
        flags = (1 if row.notes else 0) | (2 if row.scalars else 0)
        assert struct.unpack_from("<qqII", tables, 24 * number) == (row.start, row.stop, row.recorded, flags)
    at = 28 + len(tables)
    for chunk in range(chunks):
        size, crc = struct.unpack_from("<II", tables, 24 * rows + 8 * chunk)
        stored = data[at : at + (size & 0x7FFFFFFF)]
        assert zlib.crc32(stored) == crc
        if size >> 31:
            assert len(zlib.decompress(stored, -15)) > len(stored)
        at += len(stored)
    assert at == len(data)


def noted_rows(count: int, size: int) -> tuple[Schema, list[CodedRow]]:
    """Rows with notes that are nothing but blanks."""
    schema = of_nodes(2)
    text = b"[]".ljust(size)
    return schema, [replace(row, notes=text, scalars=b"") for row in coded(schema, count, 1, wild=False)]


def test_inflated_texts_are_kept_in_the_cache_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    monkeypatch.setattr("tb_gradhealth.store.rowgroup.CACHE", cache)
    monkeypatch.setattr("tb_gradhealth.store.cache.CACHE_BYTES", 3 << 20)
    schema, rows = noted_rows(16, 1 << 16)
    data = encode(rows, schema)
    groups = [RowGroup.of(data, schema) for _ in range(4)]
    tracemalloc.start()
    try:
        assert all(group.notes(row) == [] for group in groups for row in range(16))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 2 << 20 < cache._bytes <= 3 << 20, "two of four MiB: they are counted"
    assert held < 4 << 20


def test_more_notes_than_a_writer_puts_together_are_refused_and_read_but_once() -> None:
    schema, rows = noted_rows(64, 1 << 16)
    assert RowGroup.of(encode(rows, schema), schema).notes(63) == []
    schema, rows = noted_rows(65, 1 << 16)
    data = encode(rows, schema)
    reads: list[int] = []

    def read(offset: int, size: int) -> bytes:
        reads.append(offset)
        return data[offset : offset + size]

    group = RowGroup(read, len(data), schema)
    reads.clear()
    for row in range(65):
        with pytest.raises(FormatError):
            group.notes(row)
    assert len(reads) == 1
