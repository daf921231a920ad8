"""Rows of format version 1, as releases before version 2 wrote them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tb_gradhealth import notes as noted
from tb_gradhealth.notes import Note
from tb_gradhealth.rows import NEVER, Rows
from tb_gradhealth.store import scalars as logged
from tb_gradhealth.store.codes import CODES, ESCAPED, shuffle
from tb_gradhealth.store.format import Schema
from tb_gradhealth.store.scalars import Scalar

_ROW = struct.Struct("<4sHHqqIHH")
NO_STEP = 0xFFFFFFFF


def encoded(kind: str, values: npt.NDArray[np.float64]) -> bytes:
    """Codes, shuffled, and what is escaped; a signed value is a plain float32."""
    if kind == "signed":
        limit = np.finfo("<f4").max
        kept = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
        return shuffle(np.ravel(kept).astype("<f4"))
    codes = CODES[kind].code(np.ravel(values))
    exact = np.ravel(values)[codes == ESCAPED].astype("<f8").tobytes() if kind == "magnitude" else b""
    return shuffle(codes) + exact


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
        sections.append(encoded(metric.kind, np.where(over > 0, planes, np.nan)))
    sections += [logged.encode(scalars), noted.encode(noted.bounded(notes))]
    stored = [zlib.compress(section, 1) for section in sections]
    header = _ROW.pack(b"GHRW", 1, level, start, stop, rows.steps.shape[1], len(stored), 0)
    table = b"".join(struct.pack("<II", len(small), len(raw)) for small, raw in zip(stored, sections, strict=True))
    return b"".join([header, struct.pack("<I", zlib.crc32(header + table)), table, *stored])
