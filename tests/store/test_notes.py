"""Notes survive the file, fit into their room, and cost only themselves when they are not what they should be."""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradhealth.notes import MAX_BYTES, MAX_NOTES, MAX_TENSORS, Fault, Note, bounded, decode, encode
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.format import Schema, Tag
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.reader import Run
from tb_gradhealth.store.row_v1 import RowPayload
from tb_gradhealth.store.rowgroup import HAS_NOTES, RowGroup, code
from tb_gradhealth.store.rowgroup import encode as encode_group

from ..synthetic import SESSION, Memory, Recording, recorded
from . import v1_decoder
from .v1_rows import encode_row

SKIPPED = Note(12, "skipped", (Fault("blocks.0.norm", 3, 1, 0),), 4, {"loss_scale": 65536.0})
OTHER = "f" * 16

texts = st.text(st.characters(), max_size=2000)
notes = st.builds(
    Note,
    step=st.integers(0, 40),
    kind=st.sampled_from(["skipped", "not_stepped", "diverged", "something_new"]),
    tensors=st.lists(
        st.builds(Fault, texts, st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 9)), max_size=20
    ).map(tuple),
    more=st.integers(0, 1000),
    values=st.dictionaries(st.sampled_from(["norm", "loss_scale"]), st.floats(allow_nan=False)),
)


def noted(recording: Recording, found: Sequence[Note]) -> list[PendingRow]:
    """The recording's rows with the notes of their steps; one of the end stands in the last row."""
    rows = recording.rows()
    ends = [row.stop for row in rows]
    ends[-1] += 1
    for row, a, b in zip(rows, [0, *ends[:-1]], ends, strict=True):
        row.notes = [note for note in found if a <= note.step < b]
    return rows


def payloads(recording: Recording, found: Sequence[Note], together: int = 1) -> list[bytes]:
    """Row groups of so many rows."""
    schema = recording.schema
    rows = [code(row, 0, schema) for row in noted(recording, found)]
    return [encode_group(rows[at : at + together], schema) for at in range(0, len(rows), together)]


def old_payloads(recording: Recording, found: Sequence[Note]) -> list[bytes]:
    """The same in version 1, whose schema says so."""
    return [encode_row(row.rows, 0, recording.schema, row.scalars, row.notes) for row in noted(recording, found)]


def old_schema(recording: Recording) -> dict[str, Any]:
    content = json.loads(zlib.decompress(recording.schema.encode()))
    return v1_decoder.schema(zlib.compress(json.dumps({**content, "format": 1}).encode()))


def put(source: Memory, recording: Recording, found: Sequence[Note]) -> None:
    one = recording.schema
    source.add(Tag(one.session, one.stream), [one.encode()])
    source.add(Tag(one.session, one.stream, 0, 0), payloads(recording, found))


def run_of(*parts: tuple[Recording, Sequence[Note]]) -> Run:
    source, run = Memory(), Run()
    for recording, found in parts:
        put(source, recording, found)
    run.update(source)
    return run


def small(start: int = 0, steps: int = 30, session: str = SESSION) -> Recording:
    return Recording(recorded(steps, 2), names=("a", "b"), start=start, session=session, wall_time=1.7e9 + start)


@given(st.lists(notes, max_size=70))
def test_what_fits_reads_back_and_what_does_not_is_counted(found: list[Note]) -> None:
    kept = bounded(found)
    data = encode(kept)
    assert len(data) <= MAX_BYTES
    assert decode(data, 0, 40) == kept
    assert bounded(kept) == kept
    named = [note for note in kept if note.kind != "omitted"]
    assert len(kept) <= MAX_NOTES
    assert len(named) + sum(note.values["count"] for note in kept if note.kind == "omitted") == len(found)
    assert [note.step for note in named] == sorted(note.step for note in found)[: len(named)]
    for short, whole in zip(named, sorted(found, key=lambda note: note.step), strict=False):
        assert len(short.tensors) <= MAX_TENSORS
        assert len(short.tensors) + short.more == len(whole.tensors) + whole.more


@given(st.lists(notes, max_size=70), st.lists(notes, max_size=70))
def test_merging_two_rows_forgets_no_note(first: list[Note], second: list[Note]) -> None:
    merged = bounded([*bounded(first), *bounded(second)])
    counted = sum(note.values["count"] if note.kind == "omitted" else 1 for note in merged)
    assert (counted, sum(note.kind == "omitted" for note in merged) <= 1) == (len(first) + len(second), True)
    assert decode(encode(merged), 0, 40) == merged


def test_seventy_notes_keep_the_first_63_and_name_the_step_from_which_some_are_missing() -> None:
    kept = bounded(Note(step, "skipped") for step in reversed(range(70)))
    assert [note.step for note in kept] == list(range(64))
    assert kept[-1] == Note(63, "omitted", values={"count": 7.0})


def test_no_notes_take_no_room_and_are_told_from_the_table_alone() -> None:
    with_notes, without = (payloads(small(), found)[1] for found in ([SKIPPED], list[Note]()))
    groups = [RowGroup.of(data, small().schema) for data in (with_notes, without)]
    assert [int(group.table["flags"][0]) & HAS_NOTES for group in groups] == [HAS_NOTES, 0]
    assert [group.notes(0) for group in groups] == [[SKIPPED], []]
    assert len(with_notes) - len(without) <= 4 + len(encode([SKIPPED]))


def test_each_row_of_a_group_has_its_own_notes() -> None:
    found = [Note(1, "skipped"), Note(25, "diverged"), Note(26, "diverged")]
    (data,) = payloads(small(), found, together=3)
    group = RowGroup.of(data, small().schema)
    assert [group.notes(row) for row in range(3)] == [found[:1], [], found[1:]]


def test_notes_of_version_1_are_told_from_the_table_alone() -> None:
    with_notes, without = (
        RowPayload(old_payloads(small(), found)[1], small().schema) for found in ([SKIPPED], list[Note]())
    )
    assert (with_notes.has_notes, without.has_notes) == (True, False)
    assert (with_notes.notes(), without.notes()) == ([SKIPPED], [])


def test_figures_that_are_not_finite_survive() -> None:
    values = {"a": math.inf, "b": -math.inf, "c": math.nan}
    (note,) = decode(encode([Note(1, "skipped", values=values)]), 0, 2)
    assert repr(note.values) == repr(values)


def test_a_row_from_before_there_were_notes_has_none() -> None:
    data = old_payloads(small(), [])[0]
    count = int.from_bytes(data[28:30], "little")
    sizes = [int.from_bytes(data[36 + 8 * i : 40 + 8 * i], "little") for i in range(count)]
    header = data[:28] + (count - 1).to_bytes(2, "little") + data[30:32]
    table, rest = data[36 : 28 + 8 * count], data[36 + 8 * count : len(data) - sizes[-1]]
    old = b"".join([header, zlib.crc32(header + table).to_bytes(4, "little"), table, rest])
    payload = RowPayload(old, small().schema)
    assert (payload.has_notes, payload.notes(), payload.scalars()) == (False, [], {})
    assert v1_decoder.row(old, old_schema(small())).notes == []


def test_the_documented_bytes_hold_the_notes() -> None:
    data = old_payloads(small(), [SKIPPED])[1]
    row = v1_decoder.row(data, old_schema(small()))
    tensors = [["blocks.0.norm", 3, 1, 0]]
    assert row.notes == [
        {"step": 12, "kind": "skipped", "tensors": tensors, "more": 4, "values": {"loss_scale": 65536.0}}
    ]


@pytest.mark.parametrize(
    "content",
    [
        7,
        {},
        [7],
        [{}],
        [{"step": 1}],
        [{"step": -1, "kind": "skipped"}],
        [{"step": 11, "kind": "skipped"}],
        [{"step": True, "kind": "skipped"}],
        [{"step": 1.0, "kind": "skipped"}],
        [{"step": 10**400, "kind": "skipped"}],
        [{"step": 1, "kind": "<b>"}],
        [{"step": 1, "kind": "x" * 65}],
        [{"step": 1, "kind": ["skipped"]}],
        [{"step": 1, "kind": "skipped"}] * (MAX_NOTES + 1),
        [{"step": 1, "kind": "skipped", "more": -1}],
        [{"step": 1, "kind": "skipped", "more": None}],
        [{"step": 1, "kind": "skipped", "tensors": {"a": 1}}],
        [{"step": 1, "kind": "skipped", "tensors": ["name"]}],
        [{"step": 1, "kind": "skipped", "tensors": [["a", 1, 1]]}],
        [{"step": 1, "kind": "skipped", "tensors": [["a", 1, 1, 2**53]]}],
        [{"step": 1, "kind": "skipped", "tensors": [["a", 1, 1, "1"]]}],
        [{"step": 1, "kind": "skipped", "tensors": [["é" * 513, 1, 1, 1]]}],
        [{"step": 1, "kind": "skipped", "tensors": [[7, 1, 1, 1]]}],
        [{"step": 1, "kind": "skipped", "tensors": [["a", 1, 1, 1]] * 17}],
        [{"step": 1, "kind": "skipped", "values": [1]}],
        [{"step": 1, "kind": "skipped", "values": {"<b>": 1}}],
        [{"step": 1, "kind": "skipped", "values": {"a": "much"}}],
        [{"step": 1, "kind": "skipped", "values": {"a": True}}],
        [{"step": 1, "kind": "skipped", "values": {"a": 10**400}}],
        [{"step": 1, "kind": "skipped", "values": {f"v{i}": 1 for i in range(17)}}],
    ],
    ids=lambda content: json.dumps(content)[:60],
)
def test_notes_out_of_bounds_are_refused(content: Any) -> None:
    refused(json.dumps(content).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"[",
        b"[" * 60_000,
        b" " * (MAX_BYTES + 1),
        b'[{"step":1,"kind":"skipped","values":{"a":NaN}}]',
        b'[{"step":1,"kind":"skipped","values":{"a":1e999}}]',
        '[{"step":1,"kind":"skipped"}]'.encode("utf-16"),
    ],
    ids=lambda data: repr(data[:50]),
)
def test_bytes_that_are_no_such_json_are_refused(data: bytes) -> None:
    refused(data)


def refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        decode(data, 0, 10)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=100))
def test_noise_is_refused_or_no_notes(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert decode(data, 0, 10) == [] or data


@pytest.mark.parametrize("version", [1, 2])
def test_unreadable_notes_cost_themselves_and_are_reported(version: int) -> None:
    recording = small()
    found = [Note(1, "skipped"), SKIPPED, Note(25, "diverged")]
    (first, second, third) = (old_payloads if version == 1 else payloads)(recording, found)
    broken = second[:-3] + bytes([second[-3] ^ 0xFF]) + second[-2:]  # in the notes, which come last, or their checksum
    source, run = Memory(), Run()
    source.add(Tag(SESSION, "gradients"), [recording.schema.encode()])
    source.add(Tag(SESSION, "gradients", 0, 0), [first, broken, third])
    run.update(source)
    timeline = run.timeline("gradients")
    assert run.problems == []
    assert timeline.notes(0, 100, 10) == ([Note(1, "skipped"), Note(25, "diverged")], True)
    (problem,) = run.problems
    what = f"1 groups of rows of session {SESSION} are damaged and left out in full or in part"
    assert problem.startswith(f"{what} (from step 10")
    assert "its notes" in problem
    assert np.isfinite(timeline.cells("norm", np.arange(3), Grid(0, 10, 3)).max).all()


def test_a_range_of_notes_in_step_order_and_no_more_than_asked_for() -> None:
    found = [Note(step, "skipped") for step in range(30)]
    timeline = run_of((small(), found)).timeline("gradients")
    assert timeline.notes(0, 30, 1000) == (found, True)
    assert timeline.notes(7, 13, 1000) == (found[7:13], True)
    assert timeline.notes(7, 13, 3) == (found[7:10], False)
    assert timeline.notes(7, 13, 6) == (found[7:13], True)
    assert timeline.notes(30, 40, 6) == ([], True)
    assert timeline.notes(0, 2**62, 1000) == (found, True)


def test_only_notes_of_steps_that_survive_are_shown() -> None:
    first, second = small(), small(start=17, steps=10, session=OTHER)
    old = [Note(step, "skipped") for step in (3, 16, 17, 25)]
    new = [Note(17, "diverged"), Note(20, "skipped")]
    timeline = run_of((first, old), (second, new)).timeline("gradients")
    assert timeline.notes(0, 100, 10) == ([*old[:2], *new], True)


def test_gradients_dropped_at_the_very_end_stay_when_the_next_session_goes_on_from_there() -> None:
    dropped = Note(30, "not_stepped", values={"norm": 3.0})
    assert run_of((small(), [dropped])).timeline("gradients").notes(30, 31, 10) == ([dropped], True)
    resumed = run_of((small(), [dropped]), (small(start=30, session=OTHER), []))
    assert resumed.timeline("gradients").notes(0, 100, 10) == ([dropped], True)
    rewound = run_of((small(), [dropped]), (small(start=29, session=OTHER), []))
    assert rewound.timeline("gradients").notes(0, 100, 10) == ([], True)


def test_rows_without_notes_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = run_of((small(), [SKIPPED])).timeline("gradients")
    looked: list[int] = []
    notes_of = RowGroup.notes

    def counted(group: RowGroup, row: int) -> list[Note]:
        looked.append(int(group.table["start"][row]))
        return notes_of(group, row)

    monkeypatch.setattr(RowGroup, "notes", counted)
    timeline.notes(0, 30, 10)
    assert looked == [10]


def test_aliases_survive_the_schema_which_has_no_trace_of_them_otherwise() -> None:
    schema = small().schema
    tied = replace(schema, nodes=(*schema.nodes[:-1], replace(schema.nodes[-1], aliases=("head.weight", "é"))))
    assert Schema.decode(tied.encode()) == tied
    assert b"aliases" not in zlib.decompress(schema.encode())


def test_aliases_that_no_reader_takes_are_not_written() -> None:
    schema = small().schema
    names = ("é" * 513, *(f"alias{i}" for i in range(100)))
    tied = replace(schema, nodes=(*schema.nodes[:-1], replace(schema.nodes[-1], aliases=names)))
    assert Schema.decode(tied.encode()).nodes[-1].aliases == names[1:65]
