"""Version 1 of the file format, shared by the writer and every reader; ``docs/format.md`` specifies each byte.

A *session* is one life of a writer. Per session and stream there is one schema event (names, shapes, metrics) and a row
event for each interval of steps, all as uint8 tensors under tags that carry the session, so that two sessions in one
directory never mix. Everything read here comes from a file and is hostile until checked: sizes are capped before they
are allocated, and decompression stops at the size that the schema implies.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np

from .. import notes as noted
from ..nodes import NodeKind, modules
from ..notes import Note
from ..rows import NEVER, Floats, Ints, Rows
from .codes import CODES, shuffle, unshuffle

VERSION = 1
PLUGIN = "gradhealth"

MAX_NODES = 1 << 17
MAX_SCHEMA_BYTES = 1 << 26
MAX_SCALARS_BYTES = 1 << 20
MAX_NAME_BYTES = noted.MAX_NAME_BYTES  # of a logged scalar
MAX_METRICS = 256
MAX_COUNTS = 64
MAX_STEP = 1 << 62
MAX_EVERY = 1 << 31
MAX_DIMENSIONS = 64
MAX_ALIASES = 64  # of at most MAX_NAME_BYTES each
NO_STEP = 0xFFFFFFFF

_ROW = struct.Struct("<4sHHqqIHH")
_CHECK = struct.Struct("<I")
_TABLE = _ROW.size + _CHECK.size  # where the table of sections begins
_SECTION = struct.Struct("<II")
_SCALAR = struct.Struct("<Qddd")
_MAGIC = b"GHRW"
_SESSION = re.compile(r"[0-9a-f]{8,32}")
_STREAM = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAG = re.compile(r"gradhealth/([0-9a-f]{8,32})/([a-z][a-z0-9_]{0,63})/(schema|L([0-9]{1,2})/([0-9]{1,9}))")


class FormatError(ValueError):
    """The bytes are not what the format promises; the text says what was expected and what came."""


@dataclass(frozen=True)
class Tag:
    """Where an event belongs. ``level`` is None for the schema; a segment is a bounded run of rows of a level."""

    session: str
    stream: str
    level: int | None = None
    segment: int = 0

    def __str__(self) -> str:
        rest = "schema" if self.level is None else f"L{self.level}/{self.segment}"
        return f"{PLUGIN}/{self.session}/{self.stream}/{rest}"

    @classmethod
    def parse(cls, text: str) -> Tag:
        """Raises FormatError when ``text`` is no tag of ours."""
        match = _TAG.fullmatch(text)
        if match is None:
            raise FormatError(f"expected a tag gradhealth/<session>/<stream>/…, got {text[:80]!r}")
        session, stream, _, level, segment = match.groups()
        return cls(session, stream) if level is None else cls(session, stream, int(level), int(segment))


def metadata(start_step: int, wall_time: float) -> bytes:
    """Content of ``SummaryMetadata.plugin_data``: enough to order sessions without reading their data."""
    content = {"format": VERSION, "start_step": start_step, "wall_time": wall_time}
    return json.dumps(content).encode()


def check_metadata(content: bytes) -> None:
    """Raises FormatError when the metadata is unreadable or names a version that this reader does not know."""
    try:
        version = json.loads(content)["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"expected JSON metadata with a format version, got {content[:60]!r}") from error
    _check_version(version)


def _check_version(version: object) -> None:
    if version != VERSION:
        came = repr(version)[:40]
        raise FormatError(f"format version {came} is unknown here (this reader knows {VERSION}): upgrade tb-gradhealth")


@dataclass(frozen=True)
class MetricInfo:
    """What a reader must know of a metric; the fields are those of the table of metrics."""

    name: str
    label: str
    unit: str
    kind: str
    scale: str
    over: str
    meaning: str


@dataclass(frozen=True)
class NodeInfo:
    """A node as recorded; ``shape``, ``dtype`` and the other names of a tied tensor for tensors only."""

    name: str
    kind: NodeKind
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    aliases: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """What stands in the schema: as many aliases as a reader takes, none where there are none."""
        fields = asdict(self)
        aliases = [name for name in fields.pop("aliases") if not noted.too_long(name)][:MAX_ALIASES]
        return {**fields, "aliases": aliases} if aliases else fields


@dataclass(frozen=True)
class Schema:
    """What the rows of one session and stream mean, in the words of the writer that made them."""

    session: str
    stream: str
    label: str
    wall_time: float  # seconds since the epoch
    start_step: int
    every: int  # steps a full row of level 0 covers
    near_zero: float  # threshold of the near-zero count
    counts: tuple[str, ...]
    metrics: tuple[MetricInfo, ...]
    nodes: tuple[NodeInfo, ...]

    def encode(self) -> bytes:
        content = {"format": VERSION, **asdict(self), "nodes": [node.content() for node in self.nodes]}
        return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)

    @classmethod
    def decode(cls, data: bytes) -> Schema:
        """Raises FormatError on anything that is not a schema of this version."""
        try:
            fields = json.loads(inflate(data, MAX_SCHEMA_BYTES))
            return _schema(fields)
        except FormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FormatError(f"expected a schema of format {VERSION}, but {type(error).__name__}: {error}") from error


def _schema(fields: Mapping[str, Any]) -> Schema:
    _check_version(fields["format"])
    for name, limit in (("nodes", MAX_NODES), ("metrics", MAX_METRICS), ("counts", MAX_COUNTS)):
        if not 0 < len(fields[name]) <= limit:
            raise FormatError(f"schema out of bounds: expected 1 to {limit} {name}, got {len(fields[name])}")
    metrics = tuple(
        MetricInfo(**{field.name: str(metric[field.name]) for field in dataclass_fields(MetricInfo)})
        for metric in fields["metrics"]
    )
    nodes = tuple(_node(node) for node in fields["nodes"])
    schema = Schema(
        session=str(fields["session"]),
        stream=str(fields["stream"]),
        label=str(fields["label"]),
        wall_time=float(fields["wall_time"]),
        start_step=int(fields["start_step"]),
        every=int(fields["every"]),
        near_zero=float(fields["near_zero"]),
        counts=tuple(str(name) for name in fields["counts"]),
        metrics=metrics,
        nodes=nodes,
    )
    for metric in metrics:
        for field, known in (("kind", CODES.keys()), ("over", ("finite", "all")), ("scale", ("log", "linear"))):
            came = getattr(metric, field)
            if came not in known:
                raise FormatError(
                    f"a metric whose {field} is {came[:40]!r}, expected one of {sorted(known)}: upgrade tb-gradhealth"
                )
    _check_tree(nodes)
    if len(set(schema.counts)) < len(schema.counts) or len({metric.name for metric in metrics}) < len(metrics):
        raise FormatError("expected each metric and each count once, but one comes twice")
    if not _SESSION.fullmatch(schema.session) or not _STREAM.fullmatch(schema.stream):
        raise FormatError(f"expected a session of 8-32 hex digits, got {schema.session[:40]!r}/{schema.stream[:40]!r}")
    if (
        not 1 <= schema.every < MAX_EVERY
        or not 0 <= schema.start_step < MAX_STEP
        or not math.isfinite(schema.wall_time)
    ):
        raise FormatError("schema out of bounds: every, start_step or wall_time is not a value that a writer has")
    return schema


def _check_tree(nodes: tuple[NodeInfo, ...]) -> None:
    """Raises FormatError unless ``nodes`` are one total and all modules of their tensors, each once."""
    if [node.name for node in nodes if node.kind == "total"] != [""] or nodes[0].kind != "total":
        raise FormatError("expected the first node, and no other, to be the total")
    if len({(node.name, node.kind) for node in nodes}) < len(nodes):
        raise FormatError("expected each node once, but one comes twice")
    listed = {node.name for node in nodes if node.kind == "module"}
    for node in nodes:
        if node.kind == "tensor" and not listed.issuperset(modules(node.name)):
            raise FormatError(f"tensor {node.name[:80]!r} is in a module that is no node")


def _node(fields: Mapping[str, Any]) -> NodeInfo:
    if fields["kind"] not in ("total", "module", "tensor"):
        raise FormatError(f"expected a node of kind total, module or tensor, got {str(fields['kind'])[:40]!r}")
    shape = fields.get("shape")
    if shape is not None:
        shape = tuple(int(size) for size in shape)
        if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0 or math.prod(shape) >= MAX_STEP:
            raise FormatError(f"expected the shape of a tensor, got {len(shape)} dimensions out of bounds")
    aliases = fields.get("aliases") or []
    if not isinstance(aliases, list) or len(aliases) > MAX_ALIASES or any(noted.too_long(str(one)) for one in aliases):
        raise FormatError(f"expected at most {MAX_ALIASES} other names of a tensor, of at most {MAX_NAME_BYTES} bytes")
    return NodeInfo(
        name=str(fields["name"]),
        kind=fields["kind"],
        shape=shape,
        dtype=None if fields.get("dtype") is None else str(fields["dtype"]),
        aliases=tuple(str(one) for one in aliases),
    )


@dataclass(frozen=True)
class Scalar:
    """Values that the loop handed over during an interval: how many, Σ, min and max."""

    count: int
    sum: float
    min: float
    max: float


def encode_row(
    rows: Rows,
    index: int,
    schema: Schema,
    scalars: Mapping[str, Scalar],
    notes: Sequence[Note] = (),
    level: int = 0,
) -> bytes:
    """Row ``index`` of ``rows`` as the payload of one event; the steps of ``notes`` lie in ``[start, stop]``."""
    start, stop = int(rows.start[index]), int(rows.stop[index])
    first_bad = rows.first_bad[index]
    steps = [rows.steps[index], rows.finite_steps[index], np.where(first_bad == NEVER, NO_STEP, first_bad - start)]
    sections = [shuffle(np.stack(steps).astype("<u4")), shuffle(rows.counts[:, index].astype("<i8"))]
    for position, metric in enumerate(schema.metrics):
        over = rows.steps_of(metric.over)[index]
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = np.stack([rows.sum[position, index] / over, rows.min[position, index], rows.max[position, index]])
        sections.append(CODES[metric.kind].encode(np.where(over > 0, planes, np.nan)))
    sections += [_encode_scalars(scalars), noted.encode(noted.bounded(notes))]
    stored = [zlib.compress(section, 1) for section in sections]
    header = _ROW.pack(_MAGIC, VERSION, level, start, stop, rows.steps.shape[1], len(stored), 0)
    table = b"".join(_SECTION.pack(len(small), len(raw)) for small, raw in zip(stored, sections, strict=True))
    return b"".join([header, _CHECK.pack(zlib.crc32(header + table)), table, *stored])


def _encode_scalars(scalars: Mapping[str, Scalar]) -> bytes:
    parts = []
    left = MAX_SCALARS_BYTES
    for name, scalar in scalars.items():
        text = name.encode()
        parts.append(len(text).to_bytes(2, "little") + text + _SCALAR.pack(*asdict(scalar).values()))
        left -= len(parts[-1])
        if left < 0:  # a loop that invents a name a step must not cost the row its statistics
            parts.pop()
            break
    return b"".join(parts)


class RowPayload:
    """One row as it stands in a file; sections are inflated only when asked for, ``has_notes`` is known without.

    Raises FormatError from every method when the bytes break the format.
    """

    def __init__(self, data: bytes, schema: Schema) -> None:
        if len(data) < _TABLE:
            raise FormatError(f"expected a row of at least {_TABLE} bytes, got {len(data)}")
        magic, version, self.level, self.start, self.stop, nodes, sections, _ = _ROW.unpack_from(data)
        if magic != _MAGIC or version != VERSION:
            raise FormatError(f"expected a row {_MAGIC!r} of version {VERSION}, got {magic!r} of version {version}")
        # Rows made before there were notes end with the scalars.
        if nodes != len(schema.nodes) or sections - len(schema.metrics) not in (3, 4):
            raise FormatError(f"a row of {nodes} nodes and {sections} sections does not fit its schema")
        if not 0 <= self.start < self.stop < MAX_STEP or self.stop - self.start > NO_STEP:
            raise FormatError(f"expected a row of steps [a, b) with a < b, got [{self.start}, {self.stop})")
        self._data, self._schema, self._sections = data, schema, int(sections)
        if self._offset(sections) != len(data):
            raise FormatError(f"expected a row of {self._offset(sections)} bytes, got {len(data)}")
        # TensorBoard's data server does not check the records' checksums; the sections have zlib's.
        checked = zlib.crc32(data[_TABLE : self._offset(0)], zlib.crc32(data[: _ROW.size]))
        if _CHECK.unpack_from(data, _ROW.size) != (checked,):
            raise FormatError(f"the checksum of the row that claims steps [{self.start}, {self.stop}) does not fit")
        last = _SECTION.unpack_from(data, _TABLE + (sections - 1) * _SECTION.size)
        self.has_notes = sections == len(schema.metrics) + 4 and last[1] > 0

    def _offset(self, section: int) -> int:
        """Where a section's bytes begin; sections lie one behind the other after the table."""
        base = _TABLE + self._sections * _SECTION.size
        if base > len(self._data):
            raise FormatError(f"a row of {len(self._data)} bytes cannot hold {self._sections} sections")
        sizes = (_SECTION.unpack_from(self._data, _TABLE + i * _SECTION.size)[0] for i in range(section))
        return base + int(sum(sizes))

    def _section(self, index: int, cap: int) -> bytes:
        stored, raw = _SECTION.unpack_from(self._data, _TABLE + index * _SECTION.size)
        if raw > cap:
            raise FormatError(f"section {index} claims {raw} bytes, at most {cap} fit the schema")
        begin = self._offset(index)
        data = inflate(self._data[begin : begin + stored], raw)
        if len(data) != raw:
            raise FormatError(f"section {index} holds {len(data)} bytes, its table says {raw}")
        return data

    def _exactly(self, index: int, size: int) -> bytes:
        data = self._section(index, size)
        if len(data) != size:
            raise FormatError(f"section {index} holds {len(data)} bytes, expected {size}")
        return data

    def steps(self) -> Ints:
        """``[3, node]``: steps with data, with finite data, first bad step (NEVER if none)."""
        nodes = len(self._schema.nodes)
        planes = unshuffle(self._exactly(0, 12 * nodes), "<u4", 3 * nodes).reshape(3, nodes).astype(np.int64)
        planes[2] = np.where(planes[2] == NO_STEP, NEVER, planes[2] + self.start)
        return planes

    def counts(self) -> Ints:
        """``[count, node]``: totals over the row's steps."""
        shape = (len(self._schema.counts), len(self._schema.nodes))
        size = shape[0] * shape[1]
        return unshuffle(self._exactly(1, 8 * size), "<i8", size).reshape(shape).astype(np.int64)

    def metric(self, position: int) -> Floats:
        """``[mean min max, node]`` of the metric at ``position``; NaN where no step had it."""
        code, values = CODES[self._schema.metrics[position].kind], 3 * len(self._schema.nodes)
        data = self._section(2 + position, (code.item + 8) * values)
        try:
            return code.decode(data, values).reshape(3, -1)
        except ValueError as error:
            raise FormatError(f"metric {position} does not hold the values it announces: {error}") from error

    def scalars(self) -> dict[str, Scalar]:
        """What the loop logged during the row."""
        data, offset = self._section(2 + len(self._schema.metrics), MAX_SCALARS_BYTES), 0
        found = {}
        while offset < len(data):
            end = offset + 2 + int.from_bytes(data[offset : offset + 2], "little")
            if end + _SCALAR.size > len(data):
                raise FormatError("the scalars of a row end in the middle of one")
            found[data[offset + 2 : end].decode(errors="replace")] = Scalar(*_SCALAR.unpack_from(data, end))
            offset = end + _SCALAR.size
        return found

    def notes(self) -> list[Note]:
        """What happened during the row, in step order; a note may stand at ``stop``, too."""
        if not self.has_notes:
            return []
        data = self._section(self._sections - 1, noted.MAX_BYTES)
        try:
            return noted.decode(data, self.start, self.stop)
        except ValueError as error:
            raise FormatError(str(error)) from error


def inflate(data: bytes, limit: int) -> bytes:
    """zlib data that must end within ``limit`` bytes of output; raises FormatError otherwise."""
    inflater = zlib.decompressobj()
    try:
        # One byte more than allowed: enough to see that there is too much, and never 0, which zlib reads as "no limit".
        out = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise FormatError(f"expected zlib data: {error}") from error
    if len(out) > limit or not inflater.eof or inflater.unused_data:
        raise FormatError(f"compressed data does not end within the {limit} bytes it may have, or before its end")
    return out
