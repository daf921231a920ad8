"""Version 2 of the file format, shared by the writer and every reader; ``docs/format.md`` specifies each byte.

A *session* is one life of a writer. Per session and stream there is one schema event (names, shapes, metrics) and a row
event for each interval of steps, all as uint8 tensors under tags that carry the session, so that two sessions in one
directory never mix. Everything read here comes from a file and is hostile until checked: sizes are capped before they
are allocated, decompression stops at a limit, and JSON is parsed only once its brackets and commas are counted, since
each may become an object that takes far more memory than its character.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

from .. import notes as noted
from ..nodes import NodeKind, modules
from .codes import CODES

VERSION = 2
READABLE = (1, 2)
PLUGIN = "gradhealth"
FACTOR = 16  # rows of a level that one of the next covers

MAX_NODES = 1 << 17
MAX_SCHEMA_BYTES = 1 << 25  # of JSON: 256 a node
MAX_BRACKETS = 4 * MAX_NODES  # { and [; a node has 3 at most: itself, its shape, its aliases
MAX_COMMAS = 12 * MAX_NODES  # a node of 3 dimensions without an alias has 6
MAX_METADATA_BYTES = 1 << 12
MAX_METRICS = 256
MAX_COUNTS = 64
MAX_STEP = 1 << 62
MAX_EVERY = 1 << 31
MAX_DIMENSIONS = 64
MAX_WHAT = 64  # characters
MAX_ALIASES = 64  # of at most MAX_NAME_BYTES each

_SESSION = re.compile(r"[0-9a-f]{8,32}")
_STREAM = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAG = re.compile(r"gradhealth/([0-9a-f]{8,32})/([a-z][a-z0-9_]{0,63})/(schema|L([0-9]{1,2})/([0-9]{1,9}))")


#: Fields of a schema that are left out where they have this value.
USUAL = {"what": "gradient", "sampled": False}


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
    if len(content) > MAX_METADATA_BYTES:
        raise FormatError(f"expected at most {MAX_METADATA_BYTES} bytes of metadata, got {len(content)}")
    try:
        version = json.loads(content)["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"expected JSON metadata with a format version, got {content[:60]!r}") from error
    _check_version(version)


def _check_version(version: object) -> None:
    if version not in READABLE:
        came = repr(version)[:40]
        raise FormatError(
            f"format version {came} is unknown here (this one knows 1 to {VERSION}): upgrade tb-gradhealth"
        )


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
    what: str = "gradient"  # what a tensor of the stream is, for people
    sampled: bool = False  # not every step of a row was looked at

    def encode(self) -> bytes:
        content = {"format": VERSION, **asdict(self), "nodes": [node.content() for node in self.nodes]}
        for name, usual in USUAL.items():
            if content[name] == usual:
                del content[name]
        return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)

    @classmethod
    def decode(cls, data: bytes) -> Schema:
        """Raises FormatError on anything that is not a schema of this version."""
        try:
            return _schema(_parsed(inflate(data, MAX_SCHEMA_BYTES)))
        except FormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FormatError(f"expected a schema of format {VERSION}, but {type(error).__name__}: {error}") from error


def _parsed(text: bytes) -> Any:
    brackets, commas = text.count(b"{") + text.count(b"["), text.count(b",")
    if brackets > MAX_BRACKETS or commas > MAX_COMMAS:
        raise FormatError(
            f"schema out of bounds: expected at most {MAX_BRACKETS} objects and arrays and {MAX_COMMAS} commas, got "
            f"{brackets} and {commas}"
        )
    return json.loads(text)


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
        what=str(fields.get("what", USUAL["what"])),
        sampled=bool(fields.get("sampled", USUAL["sampled"])),
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
        or len(schema.what) > MAX_WHAT
    ):
        raise FormatError("schema out of bounds: every, start_step, wall_time or what is not what a writer has")
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
        raise FormatError(
            f"expected at most {MAX_ALIASES} other names of a tensor, of at most {noted.MAX_NAME_BYTES} bytes"
        )
    return NodeInfo(
        name=str(fields["name"]),
        kind=fields["kind"],
        shape=shape,
        dtype=None if fields.get("dtype") is None else str(fields["dtype"]),
        aliases=tuple(str(one) for one in aliases),
    )


def inflate(data: bytes, limit: int, wbits: int = zlib.MAX_WBITS) -> bytes:
    """zlib data, or raw deflate data with ``wbits=-15``, that must end within ``limit`` bytes of output; raises
    FormatError otherwise."""
    inflater = zlib.decompressobj(wbits)
    try:
        # One byte more than allowed: enough to see that there is too much, and never 0, which zlib reads as "no limit".
        out = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise FormatError(f"expected zlib data: {error}") from error
    if len(out) > limit or not inflater.eof or inflater.unused_data:
        raise FormatError(f"compressed data does not end within the {limit} bytes it may have, or before its end")
    return out
