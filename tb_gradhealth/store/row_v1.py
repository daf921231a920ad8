"""Rows of format version 1, one in each event; ``docs/format_v1.md`` has each byte. They are only read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from .. import notes as noted
from ..notes import Note
from ..rows import NEVER, Floats, Ints
from . import scalars as logged
from .codes import CODES, ESCAPED, unshuffle
from .columns import columns
from .format import MAX_STEP, FormatError, Schema, inflate
from .part import Part
from .rowgroup import HAS_NOTES, HAS_SCALARS, NO_STEP, ROW, Chunk
from .scalars import Scalar

VERSION = 1
_ROW = struct.Struct("<4sHHqqIHH")
_CHECK = struct.Struct("<I")
_TABLE = _ROW.size + _CHECK.size  # where the table of sections begins
_SECTION = struct.Struct("<II")
_MAGIC = b"GHRW"


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
        code, count = CODES[self._schema.metrics[position].kind], 3 * len(self._schema.nodes)
        item = np.dtype(code.codes).itemsize
        data = self._section(2 + position, (item + 8) * count)
        if len(data) < item * count:
            raise FormatError(f"metric {position} holds {len(data)} bytes, expected {item * count}")
        codes = unshuffle(data, code.codes, count)
        values = code.values(codes)
        escaped = (codes == ESCAPED) if self._schema.metrics[position].kind == "magnitude" else np.zeros(0, np.bool_)
        exact = 8 * int(np.count_nonzero(escaped))
        if len(data) != item * count + exact:
            raise FormatError(f"metric {position} holds {len(data)} bytes, expected {item * count + exact}")
        if exact:
            values[escaped] = np.frombuffer(data, "<f8", offset=item * count)
        return values.reshape(3, -1)

    def scalars(self) -> dict[str, Scalar]:
        """What the loop logged during the row."""
        data = self._section(2 + len(self._schema.metrics), logged.MAX_BYTES)
        try:
            return logged.decode(data)
        except ValueError as error:
            raise FormatError(str(error)) from error

    def notes(self) -> list[Note]:
        """What happened during the row, in step order; a note may stand at ``stop``, too."""
        if not self.has_notes:
            return []
        data = self._section(self._sections - 1, noted.MAX_BYTES)
        try:
            return noted.decode(data, self.start, self.stop)
        except ValueError as error:
            raise FormatError(str(error)) from error


def is_row(data: bytes) -> bool:
    """Whether ``data`` claims to be a row of version 1."""
    return data[: len(_MAGIC)] == _MAGIC


def part_of_row(data: bytes, schema: Schema) -> Part:
    """A row of version 1 as rows are read. Raises FormatError."""
    row = RowPayload(data, schema)
    if row.level != 0:
        raise FormatError(f"expected a row of level 0 in version 1, got level {row.level}")
    flags = HAS_SCALARS | HAS_NOTES * row.has_notes
    table = np.array([(row.start, row.stop, row.stop - row.start, flags)], ROW)
    return Part(0, table, lambda: _Single(row, schema), in_memory=True)  # type: ignore[arg-type, return-value]


class _Single:
    """A row as a :class:`RowGroup` of one."""

    nbytes = 0

    def __init__(self, row: RowPayload, schema: Schema) -> None:
        self._row = row
        self.columns = columns(schema)
        self.width = len(schema.nodes)

    def chunk(self, column: int, group: int, which: Sequence[int] | None = None) -> Chunk:
        if column == 0:
            steps, finite, bad = self._row.steps()
            late = np.where(bad == NEVER, 0, NO_STEP - (bad - self._row.start))
            planes = np.stack([steps, steps - finite, late]).astype("<u4")
        elif column == 1:
            planes = self._row.counts().view("<u8")
        else:
            planes = self._row.metric(column - 2)
        return Chunk([planes[None, plane] for plane in (range(len(planes)) if which is None else which)])

    def scalars(self, row: int) -> dict[str, Scalar]:
        return self._row.scalars()

    def notes(self, row: int) -> list[Note]:
        return self._row.notes()

    def check(self) -> None:
        for column in range(len(self.columns)):
            self.chunk(column, 0)
        self._row.scalars()
        self._row.notes()
