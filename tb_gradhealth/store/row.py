"""One row as bytes: what stands in the payload of a row event; ``docs/format.md`` specifies each byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .. import notes as noted
from ..notes import Note
from ..rows import NEVER, Floats, Ints, Rows
from .codes import CODES, shuffle, unshuffle
from .format import MAX_STEP, VERSION, FormatError, Schema, inflate

MAX_SCALARS_BYTES = 1 << 20
MAX_NAME_BYTES = noted.MAX_NAME_BYTES  # of a logged scalar
NO_STEP = 0xFFFFFFFF
_ROW = struct.Struct("<4sHHqqIHH")
_CHECK = struct.Struct("<I")
_TABLE = _ROW.size + _CHECK.size  # where the table of sections begins
_SECTION = struct.Struct("<II")
_SCALAR = struct.Struct("<Qddd")
_MAGIC = b"GHRW"


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
