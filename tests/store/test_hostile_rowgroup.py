"""Row groups are hostile until checked: whatever their bytes, FormatError and nothing else, and no memory beyond what
the schema allows."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradhealth.notes import Fault, Note
from tb_gradhealth.store import scalars
from tb_gradhealth.store.format import FormatError
from tb_gradhealth.store.rowgroup import MAX_CHUNK_CELLS, MAX_ROWS, ROW, RowGroup, code, encode

from ..synthetic import Recording, recorded
from .written import rows_of

RECORDING = Recording(recorded(40), every=10, block=10, logged={0: [("loss", 1.0)], 20: [("loss", 2.0), ("lr", 3.0)]})
SCHEMA = RECORDING.schema
PENDING = RECORDING.rows()
PENDING[1].notes = [Note(13, "skipped", (Fault("embed", 3, 1, 0),), 12, {"loss_scale": 65536.0})]
GROUP = encode([code(row, 0, SCHEMA) for row in PENDING], SCHEMA)
HEADER, CHUNK = struct.Struct("<4sHHIIII"), struct.Struct("<II")
ROWS, NODES = len(PENDING), len(SCHEMA.nodes)
CHUNKS = 2 + len(SCHEMA.metrics) + 2
TABLES = HEADER.size + 4
DATA = TABLES + ROWS * ROW.itemsize + CHUNKS * CHUNK.size
DEFLATED = 1 << 31


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


BOMB = raw_deflate(bytes(64 << 20))


def read_all(data: bytes) -> None:
    group = RowGroup.of(data, SCHEMA)
    group.check()
    rows_of(group, SCHEMA)


def built(header: tuple[Any, ...], table: bytes, chunks: list[tuple[bytes, bool]], sizes: bytes | None = None) -> bytes:
    """A row group whose checksums fit, so that what it claims is looked at."""
    made = b"".join(CHUNK.pack(len(data) | DEFLATED * small, zlib.crc32(data)) for data, small in chunks)
    tables = table + (made if sizes is None else sizes)
    head = HEADER.pack(*header)
    check = struct.pack("<I", zlib.crc32(head + tables))
    return b"".join([head, check, tables, *(data for data, _ in chunks)])


def parts() -> tuple[tuple[Any, ...], bytes, list[tuple[bytes, bool]]]:
    """Header, table of rows, and the chunks as they are stored."""
    chunks, at = [], DATA
    for index in range(CHUNKS):
        size, _ = CHUNK.unpack_from(GROUP, TABLES + ROWS * ROW.itemsize + index * CHUNK.size)
        length = size & ~DEFLATED
        chunks.append((GROUP[at : at + length], bool(size & DEFLATED)))
        at += length
    return HEADER.unpack_from(GROUP), GROUP[TABLES : TABLES + ROWS * ROW.itemsize], chunks


def inflated(index: int) -> bytes:
    data, small = parts()[2][index]
    return zlib.decompress(data, -15) if small else data


def with_chunk(index: int, stored: bytes, small: bool) -> bytes:
    header, table, chunks = parts()
    chunks[index] = stored, small
    return built(header, table, chunks)


def refused(data: bytes) -> bool:
    try:
        read_all(data)
    except FormatError:
        return True
    return False


def test_the_untouched_group_reads_and_is_what_is_taken_apart_here() -> None:
    read_all(GROUP)
    assert built(*parts()) == GROUP


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, b"GHRW"),
        (1, 1),
        (1, 3),
        (3, 0),
        (3, ROWS - 1),
        (3, ROWS + 1),
        (3, MAX_ROWS + 1),
        (3, 2**32 - 1),
        (4, 0),
        (4, NODES - 1),
        (4, 2**32 - 1),
        (5, 0),
        (5, 1),
        (5, MAX_CHUNK_CELLS // ROWS + 1),
        (5, 2**32 - 1),
        (6, 0),
        (6, CHUNKS - 1),
        (6, CHUNKS + 1),
        (6, 2**32 - 1),
    ],
)
def test_a_header_that_lies_is_refused(field: int, value: Any) -> None:
    header, table, chunks = parts()
    lying = list(header)
    lying[field] = value
    assert refused(built(tuple(lying), table, chunks))
    assert refused(HEADER.pack(*lying) + GROUP[HEADER.size :])


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 10, 10), (5, 20, 10), (20, 30, 10), (30, 40, 10)],  # over each other
        [(10, 20, 10), (0, 10, 10), (20, 30, 10), (30, 40, 10)],  # not in order
        [(0, 10, 10), (10, 20, 10), (20, 20, 0), (30, 40, 10)],
        [(-10, 10, 10), (10, 20, 10), (20, 30, 10), (30, 40, 10)],
        [(0, 10, 11), (10, 20, 10), (20, 30, 10), (30, 40, 10)],
        [(0, 10, 10), (10, 20, 10), (20, 30, 10), (30, 2**62, 10)],
        [(0, 10, 10), (10, 20, 10), (20, 30, 10), (30, 30 + 2**32, 10)],
        [(0, 10, 10), (10, 20, 10), (20, 30, 10), (-(2**63), 2**63 - 1, 10)],
    ],
)
def test_rows_that_no_writer_makes_are_refused(rows: list[tuple[int, int, int]]) -> None:
    header, _, chunks = parts()
    assert refused(built(header, np.array([(*row, 0) for row in rows], ROW).tobytes(), chunks))


@pytest.mark.parametrize("index", range(CHUNKS))
def test_a_chunk_of_a_wrong_size_or_with_something_behind_it_is_refused(index: int) -> None:
    raw = inflated(index)
    for wrong in ([raw[:-1]] if raw else []) + [raw + b"\0", raw + raw + b"\1"]:
        assert refused(with_chunk(index, wrong, False))
        assert refused(with_chunk(index, raw_deflate(wrong), True))
    assert refused(with_chunk(index, raw_deflate(raw) + b"x", True))
    assert refused(with_chunk(index, raw_deflate(raw)[:-1], True))
    assert not refused(with_chunk(index, raw_deflate(raw), True)), "however it is stored, it is the same"


@pytest.mark.parametrize("index", range(CHUNKS - 2))
def test_masks_of_bytes_that_there_are_not_are_refused(index: int) -> None:
    raw = inflated(index)
    planes = len(SCHEMA.counts) if index == 1 else 3
    for plane in range(planes):
        for mask in (raw[plane] ^ bit for bit in (1 << b for b in range(8))):
            assert refused(with_chunk(index, raw[:plane] + bytes([mask]) + raw[plane + 1 :], False))


@pytest.mark.parametrize("index", [CHUNKS - 2, CHUNKS - 1])
def test_texts_that_do_not_add_up_are_refused(index: int) -> None:
    raw = inflated(index)
    sizes = list(struct.unpack_from(f"<{ROWS}I", raw))
    behind = raw[4 * ROWS :]
    for row in range(ROWS):
        for size in (sizes[row] + 1, 2**32 - 1, 2**31, len(raw)):
            lying = [*sizes[:row], size, *sizes[row + 1 :]]
            assert refused(with_chunk(index, struct.pack(f"<{ROWS}I", *lying) + behind, False))
    assert refused(with_chunk(index, b"", False)), "flags say that there is something"
    assert refused(with_chunk(index, raw[: 4 * ROWS] + b"\xff" * len(behind), False))


def too_much(index: int) -> None:
    """Reads groups whose chunk ``index`` claims or holds too much."""
    assert refused(with_chunk(index, BOMB, True))
    assert refused(with_chunk(index, BOMB, False))
    header, table, chunks = parts()
    for claimed in (2**31 - 1, 2**32 - 1, 64 << 20):
        packed = [CHUNK.pack(len(data) | DEFLATED * small, zlib.crc32(data)) for data, small in chunks]
        packed[index] = CHUNK.pack(claimed, 0)
        assert refused(built(header, table, chunks, b"".join(packed)))


def sparse(index: int) -> None:
    """As in the archive, where what a table tells of may be far more than is read: nothing is, but what fits."""
    header, table, chunks = parts()
    packed = [CHUNK.pack(len(data) | DEFLATED * small, zlib.crc32(data)) for data, small in chunks]
    packed[index] = CHUNK.pack(2**31 - 1, 0)
    data = built(header, table, chunks, b"".join(packed))
    size = len(data) - len(chunks[index][0]) + 2**31 - 1

    def read(offset: int, count: int) -> bytes:
        assert count < 1 << 24, "as much as a schema allows is read, and no more"
        return data[offset : offset + count]

    with pytest.raises(FormatError):
        RowGroup(read, size, SCHEMA).check()


def absurd_tables() -> None:
    header, table, chunks = parts()
    for rows, nodes, width, count in ((MAX_ROWS, NODES, NODES, CHUNKS), (ROWS, NODES, NODES, 2**32 - 1)):
        assert refused(built((*header[:3], rows, nodes, width, count), table, chunks))


PEAKS = """
import tracemalloc
from tests.store.test_hostile_rowgroup import CHUNKS, absurd_tables, sparse, too_much
reads = [lambda i=i, each=each: each(i) for each in (too_much, sparse) for i in range(CHUNKS)]
for read in [*reads, absurd_tables]:
    tracemalloc.start()
    read()
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_what_claims_or_holds_too_much_costs_no_memory() -> None:
    # In a process of its own: servers of other tests may read megabytes here, in their threads.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr
    peaks = list(map(int, done.stdout.split()))
    assert len(peaks) == 2 * CHUNKS + 1
    texts = [CHUNKS - 2, CHUNKS - 1]
    assert max(peak for index, peak in enumerate(peaks) if index not in texts) < 4 << 20
    # Scalars may have a mebibyte a row.
    assert max(peaks) < 4 * ROWS * scalars.MAX_BYTES


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GROUP) - 1), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_break_nothing_even_where_checksums_fit(flips: list[tuple[int, int]]) -> None:
    data = bytearray(GROUP)
    for place, mask in flips:
        data[place] ^= mask
    refused(bytes(data))
    head, tables = bytes(data[: HEADER.size]), bytearray(data[TABLES:DATA])
    at = DATA
    for index in range(CHUNKS):
        offset = ROWS * ROW.itemsize + index * CHUNK.size
        length = CHUNK.unpack_from(tables, offset)[0] & ~DEFLATED
        CHUNK.pack_into(tables, offset, CHUNK.unpack_from(tables, offset)[0], zlib.crc32(data[at : at + length]))
        at += length
    check = struct.pack("<I", zlib.crc32(head + bytes(tables)))
    refused(head + check + bytes(tables) + bytes(data[DATA:]))


@given(st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    calls: list[Callable[[], bool]] = [
        lambda: refused(data),
        lambda: refused(GROUP[:TABLES] + data),
        lambda: refused(GROUP[: HEADER.size] + struct.pack("<I", zlib.crc32(GROUP[: HEADER.size] + data)) + data),
    ]
    assert all(call() for call in calls)
