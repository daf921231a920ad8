"""Row groups: rows of one level, column by column, as they stand in an event and in the archive.

A column is cut into chunks of so many nodes that one is quickly read, and a reader fetches the chunks that it needs.
``docs/format.md`` specifies each byte.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .. import notes as noted
from ..notes import Note
from ..rows import NEVER, Floats, Ints
from . import scalars as logged
from .cache import CACHE
from .coded import coded
from .codes import CODES, ESCAPED
from .columns import ALL_KINDS, Codes, Column, columns, deflate, pack, unpack
from .format import MAX_STEP, FormatError, Schema, inflate
from .pending import PendingRow
from .scalars import Scalar

MAX_ROWS = 4096
#: Rows × nodes of a chunk: as many as a writer makes, as a reader allows.
CHUNK_CELLS, MAX_CHUNK_CELLS = 1 << 12, 1 << 18
MIN_WIDTH = 64  # nodes of a chunk, if there are so many
#: Bytes of a row group to begin with: the header, and all tables but those of a large model.
FIRST_READ = 1 << 12
NO_STEP = 0xFFFFFFFF
MAGIC = b"GHRG"
VERSION = 2
_HEADER = struct.Struct("<4sHHIIII")  # magic, version, level, rows, nodes, nodes in a chunk, chunks
_CHECK = struct.Struct("<I")
ROW = np.dtype([("start", "<i8"), ("stop", "<i8"), ("recorded", "<u4"), ("flags", "<u4")])
_CHUNK = np.dtype([("size", "<u4"), ("crc", "<u4")])
_DEFLATED = 1 << 31
HAS_NOTES, HAS_SCALARS = 1, 2

#: Of the scalars, and of the notes, of all rows; a writer puts no more than 64 rows together.
MAX_SCALARS_BYTES, MAX_NOTES_BYTES = 1 << 26, 64 * (4 + noted.MAX_BYTES)

T = TypeVar("T")
Read = Callable[[int, int], bytes]
"""``size`` bytes at ``offset``; fewer only at the end of the data. May raise OSError."""


@dataclass(frozen=True)
class CodedRow:
    """One row as codes, made once and then written to wherever it belongs."""

    level: int
    start: int
    stop: int
    recorded: int
    columns: list[Codes]  # [plane, node] each
    exact: dict[int, Floats]  # column → [plane, node], where a code is escaped
    scalars: bytes
    notes: bytes
    #: Its chunks when it is a row group by itself, as it is in an event and then in the journal, which empties this.
    alone: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about."""
        coded = sum(column.nbytes for column in self.columns) + sum(planes.nbytes for planes in self.exact.values())
        return coded + len(self.scalars) + len(self.notes)


def code(row: PendingRow, level: int, schema: Schema) -> CodedRow:
    """``row`` in the codes of ``schema``."""
    rows = row.rows
    start, stop = int(rows.start[0]), int(rows.stop[0])
    steps, finite, first_bad = rows.steps[0], rows.finite_steps[0], rows.first_bad[0]
    # Zero is what is almost always so: every step has finite elements, none is bad.
    bad = np.where(first_bad == NEVER, 0, NO_STEP - (first_bad - start))
    first: list[Codes] = [np.stack([steps, steps - finite, bad]).astype("<u4"), rows.counts[:, 0].astype("<u8")]
    found: list[tuple[int, Codes]] = []
    exact: dict[int, Floats] = {}
    for kind, which, planes, codes in coded(rows, schema, range(len(schema.metrics))):
        found += zip(which, codes, strict=True)
        escaped = (codes == ESCAPED).any(axis=(1, 2)) if kind == "magnitude" else ()
        exact |= {2 + which[at]: planes[at] for at in np.flatnonzero(escaped)}
    columns_coded = [*first, *(codes for _, codes in sorted(found, key=itemgetter(0)))]
    scalars, notes = logged.encode(row.scalars), noted.encode(noted.bounded(row.notes))
    return CodedRow(level, start, stop, int(rows.recorded[0]), columns_coded, exact, scalars, notes)


def encode(rows: Sequence[CodedRow], schema: Schema, deflated: Collection[str | None] = ALL_KINDS) -> bytes:
    """Rows of one level, in step order, as a row group; of the kinds of columns that are not ``deflated`` it has the
    raw bytes, which takes less time."""
    nodes = len(schema.nodes)
    width = min(nodes, max(MIN_WIDTH, CHUNK_CELLS // len(rows) // MIN_WIDTH * MIN_WIDTH))
    flags = [HAS_NOTES * bool(row.notes) | HAS_SCALARS * bool(row.scalars) for row in rows]
    table = np.array([(r.start, r.stop, r.recorded, f) for r, f in zip(rows, flags, strict=True)], ROW)
    about = columns(schema)
    # Of other levels there is no journal, which would want them again.
    chunks = rows[0].alone if len(rows) == 1 and rows[0].level == 0 else []
    if not chunks:
        chunks += _packed(rows, about, width)
    groups = -(-nodes // width)
    kinds = [*(column.kind for column in about for _ in range(groups)), None, None]
    stored = [deflate(raw) if kind in deflated else (raw, False) for raw, kind in zip(chunks, kinds, strict=True)]
    sizes = np.array([(len(data) | (_DEFLATED if small else 0), zlib.crc32(data)) for data, small in stored], _CHUNK)
    header = _HEADER.pack(MAGIC, VERSION, rows[0].level, len(rows), nodes, width, len(chunks))
    tables = table.tobytes() + sizes.tobytes()
    return b"".join([header, _CHECK.pack(zlib.crc32(header + tables)), tables, *(data for data, _ in stored)])


def _packed(rows: Sequence[CodedRow], about: tuple[Column, ...], width: int) -> list[bytes]:
    """The raw bytes of all chunks."""
    nodes = rows[0].columns[0].shape[-1]
    groups = range(0, nodes, width)
    chunks = [b""] * (len(about) * len(groups))
    for which in _alike(about):
        values = np.empty((len(which), about[which[0]].planes, len(rows), nodes), about[which[0]].dtype)
        for at, row in enumerate(rows):
            for own, index in zip(values, which, strict=True):
                own[:, at] = row.columns[index]
        for group, first in enumerate(groups):
            packed = pack([about[index] for index in which], values[..., first : first + width])
            for index, raw in zip(which, packed, strict=True):
                chunks[index * len(groups) + group] = raw
    for index in {index for row in rows for index in row.exact}:
        _append_exact(chunks, index, rows, width)
    return [*chunks, _joined([row.scalars for row in rows]), _joined([row.notes for row in rows])]


@lru_cache(maxsize=64)
def _alike(about: tuple[Column, ...]) -> list[list[int]]:
    """Positions of the columns that are packed together."""
    found: dict[tuple[object, ...], list[int]] = {}
    for index, column in enumerate(about):
        found.setdefault((column.dtype, column.predict, column.planes), []).append(index)
    return list(found.values())


def _append_exact(chunks: list[bytes], index: int, rows: Sequence[CodedRow], width: int) -> None:
    """The values of escaped codes of a column, behind its codes."""
    codes = np.stack([row.columns[index] for row in rows], axis=1)
    exact = np.stack([row.exact.get(index, np.zeros(codes[:, 0].shape)) for row in rows], axis=1)
    groups = range(0, codes.shape[-1], width)
    for group, first in enumerate(groups):
        some = np.s_[..., first : first + width]
        chunks[index * len(groups) + group] += exact[some][codes[some] == ESCAPED].astype("<f8").tobytes()


def _joined(texts: Sequence[bytes]) -> bytes:
    """One text for each row, nothing where all are empty."""
    if not any(texts):
        return b""
    return b"".join([np.array([len(text) for text in texts], "<u4").tobytes(), *texts])


@dataclass(frozen=True)
class Chunk:
    """Planes ``[row, node]`` of one column of some nodes, those that were asked for; None for one of zeros. Codes, or
    float64 where some are escaped."""

    planes: Sequence[npt.NDArray[np.generic] | None]

    @property
    def nbytes(self) -> int:
        return 64 + sum(plane.nbytes for plane in self.planes if plane is not None)


@dataclass(frozen=True)
class _Texts:
    """One text for each row."""

    data: bytes
    ends: Ints  # [row], bytes
    sizes: Ints  # [row], bytes

    @property
    def nbytes(self) -> int:
        return 256 + len(self.data) + self.ends.nbytes + self.sizes.nbytes

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.ends[row] - self.sizes[row] : self.ends[row]]


_numbers = itertools.count()


class RowGroup:
    """Rows as they stand in a file. ``read`` fetches bytes; chunks are fetched when they are asked for.

    ``table`` (:data:`ROW`) says which rows. Raises FormatError from every method when the bytes break the format, and
    passes on what ``read`` raises.
    """

    def __init__(self, read: Read, size: int, schema: Schema) -> None:
        begin = read(0, FIRST_READ)
        head = begin[: _HEADER.size + _CHECK.size]
        if len(head) < _HEADER.size + _CHECK.size:
            raise FormatError(f"expected a row group of at least {_HEADER.size + _CHECK.size} bytes, got {len(head)}")
        magic, version, self.level, rows, nodes, self.width, chunks = _HEADER.unpack_from(head)
        if magic != MAGIC or version != VERSION:
            raise FormatError(f"expected a row group {MAGIC!r} {VERSION}, got {magic!r} {version}")
        self.columns = columns(schema)
        self.nodes = len(schema.nodes)
        fits = 0 < rows <= MAX_ROWS and min(nodes, MIN_WIDTH) <= self.width <= MAX_CHUNK_CELLS // rows
        if nodes != self.nodes or not fits:
            raise FormatError(
                f"a row group of {rows} rows and {nodes} nodes, {self.width} in a chunk, does not fit its schema"
            )
        self._groups = -(-nodes // self.width)
        if chunks != len(self.columns) * self._groups + 2:
            raise FormatError(f"expected {len(self.columns) * self._groups + 2} chunks, got {chunks}")
        size_of_tables = rows * ROW.itemsize + chunks * _CHUNK.itemsize
        tables = begin[len(head) : len(head) + size_of_tables]
        if len(tables) < size_of_tables:
            tables = read(len(head), size_of_tables)
        if len(tables) < size_of_tables:
            raise FormatError(f"expected {size_of_tables} bytes of tables, got {len(tables)}")
        if _CHECK.unpack_from(head, _HEADER.size) != (zlib.crc32(head[: _HEADER.size] + tables),):
            raise FormatError("the checksum of a row group's tables does not fit")
        self.table = np.frombuffer(tables, ROW, rows)
        self._chunks = np.frombuffer(tables, _CHUNK, chunks, rows * ROW.itemsize)
        check_rows(self.table)
        self._read = read
        self._number = next(_numbers)
        self._broken: dict[int, str] = {}  # chunks of texts, and why
        sizes = (self._chunks["size"] & ~np.uint32(_DEFLATED)).astype(np.int64)
        self._ends = len(head) + len(tables) + np.cumsum(sizes)
        if self._ends[-1] != size:
            raise FormatError(f"expected a row group of {self._ends[-1]} bytes, got {size}")

    @classmethod
    def of(cls, data: bytes, schema: Schema) -> RowGroup:
        """The row group that ``data`` is."""
        return cls(lambda offset, size: data[offset : offset + size], len(data), schema)

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        return 1024 + self.table.nbytes + self._chunks.nbytes

    def chunk(self, column: int, group: int, which: Sequence[int] | None = None) -> Chunk:
        """The planes ``which``, all by default, of a column of the nodes ``[group * width, (group + 1) * width)``."""
        about = self.columns[column]
        nodes = min(self.width, self.nodes - group * self.width)
        raw = self._fetch(column * self._groups + group, about.most_bytes(len(self.table) * nodes))
        planes, exact = unpack(about, raw, len(self.table), nodes, which)
        if exact is None:
            return Chunk(planes)
        return Chunk([_unescaped(about, codes, own) for codes, own in zip(planes, exact, strict=True)])

    def scalars(self, row: int) -> dict[str, Scalar]:
        """What the loop logged during a row."""
        if not self.table["flags"][row] & HAS_SCALARS:
            return {}
        return _decoded(logged.decode, self._texts(-2, logged.MAX_BYTES, MAX_SCALARS_BYTES)[row])

    def notes(self, row: int) -> list[Note]:
        """What happened during a row, in step order; a note may stand at ``stop``, too."""
        if not self.table["flags"][row] & HAS_NOTES:
            return []
        start, stop = int(self.table["start"][row]), int(self.table["stop"][row])
        data = self._texts(-1, noted.MAX_BYTES, MAX_NOTES_BYTES)[row]
        return _decoded(lambda data: noted.decode(data, start, stop), data)

    def check(self) -> None:
        """Reads everything there is. Raises FormatError on the first thing that is not as it should be."""
        for column in range(len(self.columns)):
            for group in range(self._groups):
                self.chunk(column, group)
        for row in range(len(self.table)):
            self.scalars(row)
            self.notes(row)

    def _fetch(self, index: int, most: int) -> bytes:
        stored, crc = (int(self._chunks[name][index]) for name in ("size", "crc"))
        size = stored & ~_DEFLATED
        if size > most:
            raise FormatError(f"chunk {index} claims {size} bytes, at most {most} fit the schema")
        data = self._read(int(self._ends[index]) - size, size)
        if zlib.crc32(data) != crc:
            raise FormatError(f"the checksum of chunk {index} does not fit")
        return inflate(data, most, wbits=-15) if stored & _DEFLATED else data

    def _texts(self, index: int, most: int, most_of_all: int) -> _Texts:
        """The scalars, or the notes, of the rows; read once for all of them, and kept as long as there is room."""
        if index in self._broken:  # asked for again by each row
            raise FormatError(self._broken[index])
        try:
            return CACHE.get((RowGroup, self._number, index), lambda: self._split(index, most, most_of_all))
        except FormatError as error:
            self._broken[index] = str(error)
            raise

    def _split(self, index: int, most: int, most_of_all: int) -> _Texts:
        rows = len(self.table)
        data = self._fetch(len(self._chunks) + index, min(rows * (4 + most), most_of_all))
        sizes = np.frombuffer(data[: 4 * rows], "<u4").astype(np.int64)
        ends = 4 * rows + np.cumsum(sizes)
        if len(sizes) != rows or ends[-1] != len(data) or sizes.max() > most:
            raise FormatError(f"{len(data)} bytes do not hold the texts of {rows} rows")
        return _Texts(data, ends, sizes)


def _decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except ValueError as error:
        raise FormatError(str(error)) from error


def check_rows(table: npt.NDArray[np.void]) -> None:
    """Raises FormatError unless ``table`` (:data:`ROW`) lists rows of steps [start, stop) one behind the other."""
    start, stop = table["start"], table["stop"]
    if not len(table) or start[0] < 0 or stop[-1] >= MAX_STEP or (start >= stop).any() or (start[1:] < stop[:-1]).any():
        raise FormatError("expected rows of steps [a, b) with a < b, one behind the other")
    if ((stop - start > NO_STEP) | (table["recorded"] > stop - start)).any():
        raise FormatError("expected rows of fewer than 2^32 steps, of which no more are recorded")


def values(column: Column, codes: npt.NDArray[np.generic]) -> Floats:
    """A metric's codes, or its exact values, as float64."""
    if codes.dtype == np.float64:
        return codes  # type: ignore[return-value]
    assert column.kind is not None
    return CODES[column.kind].values(codes)


def _unescaped(column: Column, codes: Codes | None, exact: Floats) -> Floats | None:
    if codes is None:
        return None
    plane = values(column, codes)
    plane[codes == ESCAPED] = exact
    return plane
