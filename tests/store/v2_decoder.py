"""A reader of format version 2 made from ``docs/format.md`` alone: nothing of tb_gradhealth, numpy or TensorBoard.

What versions 1 and 2 have in common is in ``v1_decoder``. The reader of a sound file: what is damaged fails an
assertion, and a record that is not whole ends its file.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from .v1_decoder import crc32c, fraction, magnitude, masked, note, scalars, values

ESCAPE = 0xFFFD
NOTES, SCALARS = 1, 2
#: Of the codes: bytes, and whether the mean is stored as a difference from the row before, min and max from the mean.
KINDS = {"magnitude": (2, True), "fraction": (2, True), "signed": (4, False), "count": (8, False)}

Planes = list[list[list[int]]]  # [plane][row][node]
Key = tuple[str, str]  # session, stream


@dataclass
class Row:
    level: int
    start: int
    stop: int
    recorded: int
    steps: list[list[int]]  # [with data, finite, first bad (-1 if none)][node]
    counts: dict[str, list[int]]  # name → [node]
    metrics: dict[str, list[list[float]]]  # name → [mean min max][node]
    scalars: dict[str, tuple[int, float, float, float]]
    notes: list[dict[str, Any]]


@dataclass
class Session:
    """One stream of one session."""

    about: dict[str, Any]
    events: list[Row] = field(default_factory=list)  # in the order of the file
    archive: list[Row] = field(default_factory=list)  # that the index tells of, in its order
    journal: list[Row] = field(default_factory=list)  # behind those


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole records: where the data of each begin, and the data."""
    at = 0
    while at + 12 <= len(data):
        size, check = struct.unpack_from("<QI", data, at)
        assert check == masked(crc32c(data[at : at + 8]))
        if at + 16 + size > len(data):
            return
        record = data[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size) == (masked(crc32c(record)),)
        yield at + 12, record
        at += size + 16


def schema(payload: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(zlib.decompress(payload))
    assert fields["format"] == 2
    return fields


def row_table(data: bytes) -> list[tuple[int, int, int, int]]:
    """Start, stop, recorded and flags of each row."""
    table = list(struct.iter_unpack("<qqII", data))
    assert all(0 <= start < stop and recorded <= stop - start for start, stop, recorded, _ in table)
    assert all(before[1] <= after[0] for before, after in pairwise(table))
    return table


def row_group(data: bytes, about: dict[str, Any]) -> list[Row]:
    magic, version, level, rows, nodes, width, count, check = struct.unpack_from("<4sHHIIIII", data)
    assert (magic, version, nodes) == (b"GHRG", 2, len(about["nodes"]))
    assert rows >= 1
    groups = -(-nodes // width)
    assert count == (len(about["metrics"]) + 2) * groups + 2
    chunks_from = 28 + 24 * rows
    at = chunks_from + 8 * count
    assert check == zlib.crc32(data[:24] + data[28:at])
    table = row_table(data[28:chunks_from])
    chunks = []
    for stored, crc in struct.iter_unpack("<II", data[chunks_from:at]):
        size = stored & 0x7FFFFFFF
        chunk = data[at : at + size]
        assert zlib.crc32(chunk) == crc
        chunks.append(zlib.decompress(chunk, -15) if stored >> 31 else chunk)
        at += size
    assert at == len(data)

    def column(position: int, planes: int, width_bytes: int, kind: str) -> list[list[list[Any]]]:
        """``[plane][row][node]``"""
        parts = []
        for group in range(groups):
            some = min(width, nodes - group * width)
            parts.append(_chunk(chunks[position * groups + group], planes, rows, some, width_bytes, kind))
        return [[[x for part in parts for x in part[p][row]] for row in range(rows)] for p in range(planes)]

    steps = column(0, 3, 4, "steps")
    counts = column(1, len(about["counts"]), 8, "counts")
    metrics = {
        metric["name"]: column(2 + i, 3, KINDS[metric["kind"]][0], metric["kind"])
        for i, metric in enumerate(about["metrics"])
    }
    logged, noted = texts(chunks[-2], rows), texts(chunks[-1], rows)
    found = []
    for i, (start, stop, recorded, flags) in enumerate(table):
        assert (bool(logged[i]), bool(noted[i])) == (bool(flags & SCALARS), bool(flags & NOTES))
        with_data, without_finite, late = (plane[i] for plane in steps)
        found.append(
            Row(
                level=level,
                start=start,
                stop=stop,
                recorded=recorded,
                steps=[
                    with_data,
                    [n - bad for n, bad in zip(with_data, without_finite, strict=True)],
                    [start + 0xFFFFFFFF - n if n else -1 for n in late],
                ],
                counts={name: plane[i] for name, plane in zip(about["counts"], counts, strict=True)},
                metrics={name: [plane[i] for plane in planes] for name, planes in metrics.items()},
                scalars=dict(scalars(logged[i])),
                notes=[note(each) for each in json.loads(noted[i] or b"[]")],
            )
        )
    return found


def _chunk(raw: bytes, planes: int, rows: int, nodes: int, width: int, kind: str) -> list[list[list[Any]]]:
    """``[plane][row][node]`` of one chunk: numbers of steps and counts, values of a metric."""
    cells = rows * nodes
    at = planes
    stored: Planes = []
    for mask in raw[:planes]:
        assert mask < 1 << width
        numbers = [0] * cells
        for byte in range(width):
            if mask >> byte & 1:
                numbers = [n | raw[at + i] << 8 * byte for i, n in enumerate(numbers)]
                at += cells
        stored.append([numbers[row * nodes : (row + 1) * nodes] for row in range(rows)])
    modulus = 1 << 8 * width
    if kind in ("steps", "counts"):
        stored = [_sums(plane, modulus) for plane in stored]
    elif KINDS[kind][1]:
        mean, low, high = _sums(stored[0], modulus), *stored[1:]
        stored = [mean, _combined(mean, low, -1, modulus), _combined(mean, high, 1, modulus)]
    escapes = iter(struct.unpack_from(f"<{(len(raw) - at) // 8}d", raw, at))
    found = [[[_value(code, kind, escapes) for code in row] for row in plane] for plane in stored]
    assert next(escapes, None) is None
    assert (len(raw) - at) % 8 == 0
    return found


def _sums(plane: list[list[int]], modulus: int) -> list[list[int]]:
    """From zigzag differences between the rows."""
    found = []
    last = [0] * len(plane[0])
    for row in plane:
        differences = [-(n + 1) // 2 if n & 1 else n // 2 for n in row]
        last = [(a + b) % modulus for a, b in zip(last, differences, strict=True)]
        found.append(last)
    return found


def _combined(plane: list[list[int]], other: list[list[int]], sign: int, modulus: int) -> list[list[int]]:
    return [
        [(a + sign * b) % modulus for a, b in zip(one, two, strict=True)] for one, two in zip(plane, other, strict=True)
    ]


def _value(code: int, kind: str, escapes: Iterator[float]) -> float:
    if kind in ("steps", "counts"):
        return code
    if kind == "signed":
        return float(struct.unpack("<f", struct.pack("<I", code))[0])
    if kind == "count":
        return float(struct.unpack("<d", struct.pack("<Q", code))[0])
    if kind == "fraction":
        return fraction(code)
    return next(escapes) if code == ESCAPE else magnitude(code)


def texts(chunk: bytes, rows: int) -> list[bytes]:
    """One for each row."""
    if not chunk:
        return [b""] * rows
    at = 4 * rows
    found = []
    for size in struct.unpack_from(f"<{rows}I", chunk):
        found.append(chunk[at : at + size])
        at += size
    assert at == len(chunk)
    return found


def read_events(data: bytes) -> dict[Key, Session]:
    """All sessions of an event file."""
    found: dict[Key, Session] = {}
    for _, record in records(data):
        for value in values(record):
            parts = value.tag.split("/")
            if parts[0] != "gradhealth":
                continue
            assert (value.plugin, value.data_class, value.dtype, value.size) == ("gradhealth", 2, 4, len(value.payload))
            if parts[2:] == ["findings"]:
                continue
            key = parts[1], parts[2]
            about = json.loads(value.about)
            assert about["format"] == 2
            if parts[3] == "schema":
                found[key] = Session(schema(value.payload))
                assert value.step == found[key].about["start_step"]
            else:
                rows = row_group(value.payload, found[key].about)
                assert value.step == rows[-1].stop - 1
                assert {row.level for row in rows} == {int(parts[3][1:])}
                found[key].events += rows
            assert (about["start_step"], about["wall_time"]) == tuple(
                found[key].about[name] for name in ("start_step", "wall_time")
            )
    return found


def read_archive(folder: Path, found: dict[Key, Session]) -> None:
    """Adds what the archive in ``folder`` has to ``found``."""
    for path in sorted(folder.glob("*/*.index")):
        index = [data for _, data in records(path.read_bytes())]
        assert index[0] == index[1]
        assert index[0][:4] == b"GHAS"
        about = schema(index[0][4:])
        key = path.parent.name, path.stem
        assert key == (about["session"], about["stream"])
        session = found.setdefault(key, Session(about))
        assert session.about == about
        for entry in index[2:]:
            session.archive += _indexed(entry, path, about)
        last = max((row.stop for row in session.archive if row.level == 0), default=0)
        for journal in sorted(path.parent.glob(f"{path.stem}.journal-*"), key=lambda path: int(path.name[-6:])):
            for _, data in records(journal.read_bytes()):
                (row,) = row_group(data, about)
                assert row.level == 0
                if row.start >= last:
                    session.journal.append(row)
                    last = row.stop


def _indexed(entry: bytes, index: Path, about: dict[str, Any]) -> list[Row]:
    """The rows that an entry tells of; none where their segment was deleted."""
    magic, level, count, number, size, offset = struct.unpack_from("<4sHHIIQ", entry)
    assert magic == b"GHAE"
    assert len(entry) == 24 + 24 * count
    segment = index.with_name(f"{index.stem}.L{level}-{number:06}")
    if not segment.exists():
        return []
    data = segment.read_bytes()
    assert dict(records(data))[offset] == data[offset : offset + size]
    rows = row_group(data[offset : offset + size], about)
    table = [(row.start, row.stop, row.recorded) for row in rows]
    assert table == [entry[:3] for entry in row_table(entry[24:])]
    assert {row.level for row in rows} == {level}
    return rows


def counting(session: Session, level: int) -> list[Row]:
    """The rows that show ``level``, in step order: section "Which row counts"."""
    everything = [*session.archive, *session.journal, *session.events]
    levels: dict[int, list[Row]] = {}
    ends: dict[int, int] = {}
    for row in sorted(everything, key=lambda row: (row.start, -row.stop)):  # stable: the archive's first
        if row.start >= ends.get(row.level, 0):
            levels.setdefault(row.level, []).append(row)
        ends[row.level] = max(ends.get(row.level, 0), row.stop)
    shown = levels.get(level, [])
    for finer in sorted((one for one in levels if one < level), reverse=True):
        shown = shown + [row for row in levels[finer] if not _overlapping(row, shown)]
    for coarser in sorted(one for one in levels if one > level):
        added: list[Row] = []
        for row in levels[coarser]:
            inside = sorted((one for one in shown if row.start <= one.start < row.stop), key=lambda one: one.start)
            reaching = any(one.start < row.start < one.stop for one in shown)
            if sum(one.recorded for one in inside) < row.recorded and not reaching:
                added += parts_left(row, inside)
        shown = shown + added
    return sorted(shown, key=lambda row: row.start)


def parts_left(row: Row, inside: list[Row]) -> list[Row]:
    """What the rows inside it leave out of a row."""
    starts, stops = [row.start, *(one.stop for one in inside)], [*(one.start for one in inside), row.stop]
    gaps = [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]
    left = row.recorded - sum(one.recorded for one in inside)
    recorded = [0] * len(gaps)
    for number in range(min(left, len(gaps))):
        recorded[number] = 1
    left -= sum(recorded)
    for number, (start, stop) in enumerate(gaps):
        more = min(left, stop - start - recorded[number])
        recorded[number] += more
        left -= more
    return [
        replace(row, start=start, stop=stop, recorded=own) for (start, stop), own in zip(gaps, recorded, strict=True)
    ]


def surviving(session: Session, level: int, end: float) -> list[Row]:
    """The rows that show ``level`` where a later session replaces the steps from ``end`` on."""
    shown = [row for row in counting(session, level) if row.start < end]
    for finer in range(level - 1, -1, -1):
        if shown and shown[-1].stop > end:
            inside = [row for row in counting(session, finer) if shown[-1].start <= row.start < end]
            shown = shown[:-1] + (inside or shown[-1:])
    return shown


def _overlapping(row: Row, others: list[Row]) -> bool:
    return any(row.start < other.stop and other.start < row.stop for other in others)


def history(sessions: list[Session], level: int = 0) -> list[tuple[Session, Row, int]]:
    """What survived of one stream: session, row, and the step at which it ends or was replaced."""
    found: list[tuple[Session, Row, int]] = []
    end = math.inf
    for session in sorted(sessions, key=lambda one: (one.about["wall_time"], one.about["session"]), reverse=True):
        rows = [*session.archive, *session.journal, *session.events]
        shown = surviving(session, level, end) if rows else []
        found = [(session, row, int(min(row.stop, end))) for row in shown] + found
        if rows:
            end = min(end, session.about["start_step"], *(row.start for row in rows))
    return found
