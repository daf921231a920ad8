"""Schemas, and rows of version 1, are hostile until checked: whatever they are, FormatError and nothing else, and no
memory beyond what the schema allows."""

from __future__ import annotations

import dataclasses
import itertools
import json
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
from tb_gradhealth.store.format import (
    MAX_ALIASES,
    MAX_BRACKETS,
    MAX_COMMAS,
    MAX_COUNTS,
    MAX_METADATA_BYTES,
    MAX_NODES,
    FormatError,
    Schema,
    check_metadata,
    inflate,
)
from tb_gradhealth.store.row_v1 import RowPayload

from ..synthetic import NAMES, Recording, recorded
from .v1_rows import encode_row

RECORDING = Recording(recorded(10), logged={0: [("loss", 1.0)], 7: [("loss", 2.0), ("lr", 3.0)]})
SCHEMA = RECORDING.schema
NOTES = [Note(3, "skipped", (Fault("embed", 3, 1, 0),), 12, {"loss_scale": 65536.0}), Note(10, "not_stepped")]
(PENDING,) = RECORDING.rows()
ROW = encode_row(PENDING.rows, 0, SCHEMA, PENDING.scalars, NOTES)
SECTIONS = len(SCHEMA.metrics) + 4
HEADER, SECTION = struct.Struct("<4sHHqqIHHI"), struct.Struct("<II")
BOMB = zlib.compress(bytes(64 << 20), 9)
CONTENT: dict[str, Any] = json.loads(zlib.decompress(SCHEMA.encode()))


def read_all(data: bytes) -> bytes:
    """Everything that a reader may ask of a row."""
    row = RowPayload(data, SCHEMA)
    arrays = [row.steps(), row.counts(), *(row.metric(position) for position in range(len(SCHEMA.metrics)))]
    words = repr((row.start, row.stop, row.level, row.scalars(), row.notes()))
    return words.encode() + b"".join(a.tobytes() for a in arrays)


def repaired(data: bytes) -> bytes:
    """The row with a checksum that fits, so that what it claims is looked at."""
    table = data[36 : 36 + 8 * SECTIONS]
    return data[:32] + struct.pack("<I", zlib.crc32(data[:32] + table)) + data[36:]


def raises_only_format_errors(read: Callable[[], object]) -> bool:
    try:
        read()
    except FormatError:
        return True
    return False


def test_the_untouched_row_reads() -> None:
    assert not raises_only_format_errors(lambda: read_all(ROW))


def test_rows_and_schemas_cut_anywhere_are_refused() -> None:
    assert all(raises_only_format_errors(lambda c=c: read_all(ROW[:c])) for c in range(len(ROW)))  # type: ignore[misc]
    data = SCHEMA.encode()
    assert all(raises_only_format_errors(lambda c=c: Schema.decode(data[:c])) for c in range(len(data)))  # type: ignore[misc]


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(ROW) - 1), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_of_a_row_break_nothing(flips: list[tuple[int, int]]) -> None:
    data = bytearray(ROW)
    for place, mask in flips:
        data[place] ^= mask
    raises_only_format_errors(lambda: read_all(repaired(bytes(data))))


def test_no_flipped_bit_of_a_row_changes_what_is_read() -> None:
    """TensorBoard's data server does not look at the checksums of records."""
    sound, harmless = read_all(ROW), 0
    for bit in range(8 * len(ROW)):
        data = bytearray(ROW)
        data[bit // 8] ^= 1 << bit % 8
        try:
            assert read_all(bytes(data)) == sound, bit
            harmless += 1
        except FormatError:
            pass
    assert harmless < 8 * SECTIONS, "only the bits that fill up the last byte of each section"


@settings(max_examples=200)
@given(st.integers(0), st.integers(1, 255), st.booleans())
def test_flipped_bytes_of_a_schema_break_nothing(place: int, mask: int, inside: bool) -> None:
    data = bytearray(zlib.decompress(SCHEMA.encode()) if inside else SCHEMA.encode())
    data[place % len(data)] ^= mask
    raises_only_format_errors(lambda: Schema.decode(zlib.compress(data) if inside else bytes(data)))


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    for read in (
        lambda: Schema.decode(data),
        lambda: read_all(data),
        lambda: read_all(repaired(HEADER.pack(b"GHRW", 1, 0, 0, 1, len(SCHEMA.nodes), SECTIONS, 0, 0) + data)),
    ):
        assert raises_only_format_errors(read)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, b"GHRX"),
        (1, 2),
        (3, -1),
        (3, 10),
        (3, 2**62),
        (4, 0),
        (4, -(2**63)),
        (4, 2**63 - 1),
        (5, 2**32 - 1),
        (6, 0),
        (6, 2**16 - 1),
    ],
)
def test_a_header_that_lies_is_refused(field: int, value: Any) -> None:
    fields = list(HEADER.unpack_from(ROW))
    fields[field] = value
    with pytest.raises(FormatError) as caught:
        read_all(repaired(HEADER.pack(*fields) + ROW[HEADER.size :]))
    assert "checksum" not in str(caught.value)


def section(index: int, stored: bytes, raw: int) -> bytes:
    """The row with section ``index`` replaced, its table saying ``raw``."""
    count = SECTIONS
    table = [list(SECTION.unpack_from(ROW, HEADER.size + 8 * i)) for i in range(count)]
    at = HEADER.size + 8 * count + sum(size for size, _ in table[:index])
    behind = ROW[at + table[index][0] :]
    before = ROW[HEADER.size + 8 * count : at]
    table[index] = [len(stored), raw]
    return repaired(b"".join([ROW[: HEADER.size], *(SECTION.pack(*one) for one in table), before, stored, behind]))


def too_much(index: int) -> None:
    """Reads rows whose section ``index`` claims or holds too much."""
    for raw in (64 << 20, 2**32 - 1, 100, 0 if index < SECTIONS - 1 else 1):  # of notes, 0 says that there are none
        assert raises_only_format_errors(lambda raw=raw: read_all(section(index, BOMB, raw)))  # type: ignore[misc]


def without_end() -> None:
    with pytest.raises(FormatError, match="does not end within"):
        inflate(BOMB, 1 << 20)


PEAKS = """
import tracemalloc
from tests.store.test_hostile import SECTIONS, too_much, without_end
for read in [*(lambda i=i: too_much(i) for i in range(SECTIONS)), without_end]:
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
    assert len(peaks) == SECTIONS + 1
    assert max(peaks) < 4 << 20


@pytest.mark.parametrize("index", range(SECTIONS))
def test_a_section_of_a_wrong_size_or_with_something_behind_it_is_refused(index: int) -> None:
    raw = zlib.decompressobj().decompress(sections()[index])
    for wrong in (raw[:-1], raw + b"\0"):
        assert raises_only_format_errors(lambda w=wrong: read_all(section(index, zlib.compress(w), len(w))))  # type: ignore[misc]
    assert raises_only_format_errors(lambda: read_all(section(index, zlib.compress(raw) + b"x", len(raw))))
    read_all(section(index, zlib.compress(raw, 9), len(raw)))


def sections() -> list[bytes]:
    count = SECTIONS
    sizes = [SECTION.unpack_from(ROW, HEADER.size + 8 * i)[0] for i in range(count)]
    ends = np.cumsum([HEADER.size + 8 * count, *sizes]).tolist()
    return [ROW[a:b] for a, b in itertools.pairwise(ends)]


def node(name: str, kind: str = "tensor", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, **fields}


TOTAL = node("", "total")


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": []},
        {"nodes": [TOTAL, *(node(str(i)) for i in range(MAX_NODES))]},
        {"nodes": [node("w")]},  # no total
        {"nodes": [TOTAL, TOTAL]},
        {"nodes": [TOTAL, node("w"), node("w")]},
        {"nodes": [TOTAL, node("a.w")]},  # a module that is no node: a few names could imply millions
        {"nodes": [TOTAL, node("w", kind="forest")]},
        {"nodes": [TOTAL, node("w", shape=[2**40, 2**40])]},
        {"nodes": [TOTAL, node("w", shape=[-1])]},
        {"nodes": [TOTAL, node("w", shape=[1] * 65)]},
        {"nodes": [TOTAL, node("w", shape=7)]},
        {"nodes": [TOTAL, node("w", aliases="v")]},
        {"nodes": [TOTAL, node("w", aliases=["v"] * (MAX_ALIASES + 1))]},
        {"nodes": [TOTAL, node("w", aliases=["é" * 513])]},
        {"nodes": {"name": "w"}},
        {"metrics": []},
        {"metrics": CONTENT["metrics"] * 2},
        {"metrics": [{"name": "norm"}]},
        {"metrics": [{**CONTENT["metrics"][0], "kind": "complex"}]},
        {"metrics": [{**CONTENT["metrics"][0], "over": "none"}]},
        {"metrics": [{**CONTENT["metrics"][0], "scale": "javascript:"}]},
        {"counts": [f"c{i}" for i in range(MAX_COUNTS + 1)]},
        {"what": "w" * 65},
        {"counts": ["nan", "nan"]},
        {"session": "../../etc"},
        {"stream": "Gradients"},
        {"every": 0},
        {"every": 2**31},
        {"every": float("inf")},
        {"start_step": -1},
        {"start_step": 10**300},
        {"wall_time": float("nan")},
        {"near_zero": None},
    ],
    ids=lambda change: json.dumps(change)[:50],
)
def test_a_schema_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        Schema.decode(zlib.compress(json.dumps({**CONTENT, **change}).encode()))


def packed(nodes: str) -> bytes:
    text = json.dumps({**CONTENT, "nodes": "NODES"}).replace('"NODES"', f"[{nodes}]")
    return zlib.compress(text.encode(), 9)


@pytest.mark.parametrize(
    "many", ["{}," * MAX_BRACKETS, "[]," * MAX_BRACKETS, "0," * MAX_COMMAS, '{"a":[]},' * (MAX_BRACKETS // 2)]
)
def test_json_of_too_many_objects_is_not_parsed(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(many + "0")
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("each may take hundreds of bytes"))
    with pytest.raises(FormatError, match=r"objects and arrays and .* commas, got"):
        Schema.decode(data)


def test_the_largest_schema_is_parsed() -> None:
    about = {"shape": [256, 128, 3, 3], "dtype": "bfloat16", "aliases": ["tied.weight"]}
    nodes = [node("", "total"), *(node(f"{i:0100}", **about) for i in range(MAX_NODES - 1))]
    found = Schema.decode(packed(json.dumps(nodes)[1:-1])).nodes
    assert len(found) == MAX_NODES
    assert (found[-1].shape, found[-1].aliases) == ((256, 128, 3, 3), ("tied.weight",))


def test_long_metadata_is_refused() -> None:
    content = b'{"format": 2, "x": "' + b"x" * MAX_METADATA_BYTES + b'"}'
    with pytest.raises(FormatError, match=f"at most {MAX_METADATA_BYTES} bytes of metadata"):
        check_metadata(content)


#: Files from before there were other streams than the gradients do not have them.
LATER = {"what": "gradient", "sampled": False}


def test_a_schema_from_before_there_were_other_streams_is_of_gradients() -> None:
    content = {k: v for k, v in CONTENT.items() if k not in LATER}
    schema = Schema.decode(zlib.compress(json.dumps(content).encode()))
    assert {name: getattr(schema, name) for name in LATER} == LATER
    other = dataclasses.replace(schema, what="weight", sampled=True)
    assert Schema.decode(other.encode()) == other


@pytest.mark.parametrize("missing", [name for name in CONTENT if name not in LATER])
def test_a_schema_without_one_of_its_fields_is_refused(missing: str) -> None:
    with pytest.raises(FormatError):
        Schema.decode(zlib.compress(json.dumps({k: v for k, v in CONTENT.items() if k != missing}).encode()))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "7", '"x"', "{", "[" * 100_000, '{"format":' * 50_000, "\xff\xfe\xfd"]
)
def test_json_of_any_other_shape_is_refused(text: str) -> None:
    assert raises_only_format_errors(lambda: Schema.decode(zlib.compress(text.encode("latin-1"))))
    assert raises_only_format_errors(lambda: check_metadata(text.encode("latin-1")))


def test_names_are_the_ones_of_the_model() -> None:
    assert {node.name for node in SCHEMA.nodes if node.kind == "tensor"} == set(NAMES)
