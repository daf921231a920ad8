"""A reader of format 1 made from ``docs/format_v1.md`` alone: nothing of tb_gradhealth, numpy or TensorBoard."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NO_DATA = math.nan


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(data):
        size, check = struct.unpack_from("<QI", data, at)
        assert check == masked(crc32c(data[at : at + 8]))
        record = data[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size) == (masked(crc32c(record)),)
        yield record
        at += size + 16
    assert at == len(data)


def message(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol buffers message: number and value, as int, float or bytes."""

    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 1:
            yield number, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif wire == 5:
            yield number, struct.unpack_from("<f", data, at)[0]
            at += 4
        else:
            size = varint()
            yield number, data[at : at + size]
            at += size


@dataclass
class Value:
    """One value of an event, by the field numbers of TensorBoard's event.proto, summary.proto and tensor.proto."""

    step: int
    tag: str
    plugin: str
    about: bytes
    data_class: int
    dtype: int
    size: int
    payload: bytes


def values(record: bytes) -> Iterator[Value]:
    event = dict(message(record))
    for number, raw in message(event.get(5, b"")):
        assert number == 1
        value = dict(message(raw))
        about = dict(message(value.get(9, b"")))
        plugin = dict(message(about.get(1, b"")))
        tensor = dict(message(value.get(8, b"")))
        dimension = dict(message(dict(message(tensor.get(2, b""))).get(2, b"")))
        yield Value(
            step=event.get(2, 0),
            tag=value[1].decode(),
            plugin=plugin.get(1, b"").decode(),
            about=plugin.get(2, b""),
            data_class=about.get(4, 0),
            dtype=tensor.get(1, 0),
            size=dimension.get(1, 0),
            payload=tensor.get(4, b""),
        )


def unshuffled(data: bytes, kind: str, count: int) -> list[Any]:
    width = struct.calcsize(kind)
    raw = bytes(data[byte * count + i] for i in range(count) for byte in range(width))
    return list(struct.unpack(f"<{count}{kind}", raw))


def planes(flat: list[Any], nodes: int) -> list[list[Any]]:
    return [flat[i : i + nodes] for i in range(0, len(flat), nodes)]


def decoded(data: bytes, kind: str, count: int) -> list[float]:
    if kind == "signed":
        return unshuffled(data, "f", count)
    if kind == "count":
        return unshuffled(data, "d", count)
    codes = unshuffled(data, "H", count)
    if kind == "fraction":
        return [fraction(code) for code in codes]
    escapes = iter(struct.unpack_from(f"<{(len(data) - 2 * count) // 8}d", data, 2 * count))
    return [next(escapes) if code == 0xFFFD else magnitude(code) for code in codes]


def magnitude(code: int) -> float:
    special = {0: 0.0, 0xFFFF: NO_DATA, 0xFFFE: math.inf}
    return special[code] if code in special else 2.0 ** ((code - 1) / 199 - 180)


def fraction(code: int) -> float:
    half = 0x7FF0
    if code in (0, 2 * half + 1):
        return float(code != 0)
    if code <= half:
        return float(2.0 ** ((code - half) / 839 - 1))
    return 1 - 2.0 ** ((2 * half + 1 - code - half) / 839 - 1) if code <= 2 * half else NO_DATA


def schema(payload: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(zlib.decompress(payload))
    assert fields["format"] == 1
    return fields


@dataclass
class Row:
    start: int
    stop: int
    level: int
    steps: list[list[int]]  # [plane][node]
    counts: dict[str, list[int]]  # name → [node]
    metrics: dict[str, list[list[float]]]  # name → [mean min max][node]
    scalars: dict[str, tuple[int, float, float, float]]
    notes: list[dict[str, Any]]


def row(payload: bytes, about: dict[str, Any]) -> Row:
    magic, version, level, start, stop, nodes, count, zero, check = struct.unpack_from("<4sHHqqIHHI", payload)
    assert (magic, version, zero) == (b"GHRW", 1, 0)
    metrics = len(about["metrics"])
    assert nodes == len(about["nodes"])
    assert count in (metrics + 3, metrics + 4)
    at = 36 + 8 * count
    assert check == zlib.crc32(payload[:32] + payload[36:at])
    sections = []
    for i in range(count):
        stored, raw = struct.unpack_from("<II", payload, 36 + 8 * i)
        sections.append(zlib.decompress(payload[at : at + stored]))
        assert len(sections[-1]) == raw
        at += stored
    assert at == len(payload)
    counts = planes(unshuffled(sections[1], "q", nodes * len(about["counts"])), nodes)
    return Row(
        start=start,
        stop=stop,
        level=level,
        steps=planes(unshuffled(sections[0], "I", 3 * nodes), nodes),
        counts=dict(zip(about["counts"], counts, strict=True)),
        metrics={
            metric["name"]: planes(decoded(section, metric["kind"], 3 * nodes), nodes)
            for metric, section in zip(about["metrics"], sections[2 : 2 + metrics], strict=True)
        },
        scalars=dict(scalars(sections[2 + metrics])),
        notes=[note(each) for each in json.loads(b"".join(sections[3 + metrics :]) or b"[]")],
    )


def note(fields: dict[str, Any]) -> dict[str, Any]:
    """With what may be missing, and figures as floats."""
    values = {name: float(value) for name, value in fields.get("values", {}).items()}
    return {"tensors": [], "more": 0, **fields, "values": values}


def scalars(section: bytes) -> Iterator[tuple[str, tuple[int, float, float, float]]]:
    at = 0
    while at < len(section):
        (size,) = struct.unpack_from("<H", section, at)
        name = section[at + 2 : at + 2 + size].decode()
        yield name, struct.unpack_from("<Qddd", section, at + 2 + size)
        at += 2 + size + 32
    assert at == len(section)


@dataclass
class Session:
    about: dict[str, Any]
    rows: list[Row]


def read(data: bytes) -> dict[str, Session]:
    """All sessions of a file: id → schema and rows of level 0, in the order of the file."""
    found: dict[str, Session] = {}
    for record in records(data):
        for value in values(record):
            parts = value.tag.split("/")
            if parts[0] != "gradhealth":
                continue
            assert (value.plugin, value.data_class, value.dtype, value.size) == ("gradhealth", 2, 4, len(value.payload))
            assert json.loads(value.about)["format"] == 1
            if parts[3] == "schema":
                found[parts[1]] = Session(schema(value.payload), [])
                assert value.step == found[parts[1]].about["start_step"]
            elif parts[3] == "L0":
                made = row(value.payload, found[parts[1]].about)
                assert value.step == made.stop - 1
                found[parts[1]].rows.append(made)
    return found
