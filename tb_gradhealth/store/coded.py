"""A row's metrics as codes, and as a reader will get them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..rows import Floats, Rows
from .codes import CODES, ESCAPED, Codes
from .format import Schema


def coded(rows: Rows, schema: Schema, positions: Iterable[int]) -> Iterator[tuple[str, list[int], Floats, Codes]]:
    """The first of ``rows`` in codes: kind, positions of metrics of that kind, their planes and codes, ``[metric, mean
    min max, node]``. Those of a kind come together: a model's few nodes would hardly pay for the calls."""
    alike = {position: (schema.metrics[position].kind, schema.metrics[position].over) for position in positions}
    for kind, over in dict.fromkeys(alike.values()):
        which = [position for position, own in alike.items() if own == (kind, over)]
        defined = rows.steps_of(over)[0].astype(np.float64)
        planes = np.empty((len(which), 3, len(defined)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for own, at in zip(planes, which, strict=True):
                own[0], own[1], own[2] = rows.sum[at, 0] / defined, rows.min[at, 0], rows.max[at, 0]
        planes[..., defined == 0] = np.nan
        never = planes[:, 1] > planes[:, 2]  # the node never has it, as a stream has none of other shapes' metrics
        if never.any():
            planes.transpose(0, 2, 1)[never] = np.nan
        yield kind, which, planes, CODES[kind].code(planes)


def as_read(rows: Rows, schema: Schema, metrics: Sequence[str]) -> dict[str, Floats]:
    """Of a row the ``metrics`` that it has, ``[mean min max, node]``, exactly as a reader of a file gets them."""
    places = {metric.name: position for position, metric in enumerate(schema.metrics)}
    found: dict[str, Floats] = {}
    for kind, which, planes, codes in coded(rows, schema, [places[name] for name in metrics if name in places]):
        read = CODES[kind].values(codes)
        if kind == "magnitude":
            escaped = codes == ESCAPED
            read[escaped] = planes[escaped]
        found |= {schema.metrics[at].name: one for at, one in zip(which, read, strict=True)}
    return found
