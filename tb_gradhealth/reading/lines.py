"""The long format: one line for each row and node, as pandas, CSV, JSON lines and Parquet have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..rows import NEVER
from ..store.cells import RowSpan
from ..store.format import FormatError
from ..store.timeline import Timeline
from .extras import needed
from .spans import each

if TYPE_CHECKING:
    import pandas

#: Values that a batch holds, about: 8 MB of them.
BATCH_VALUES = 1 << 20
KINDS = ("total", "module", "tensor")
#: Position of a column.
STOP = 1

Values = npt.NDArray[Any]
Batch: TypeAlias = "list[Values]"
"""One array ``[line]`` for each column."""


@dataclass(frozen=True)
class Column:
    """How to read an array ``[line]``: whole numbers (int64); steps (int64, NEVER for none); reals (float64, NaN for no
    data); or text, as indices into ``words``."""

    name: str
    kind: Literal["whole", "step", "real", "text"]
    words: tuple[str, ...] = ()

    def missing(self, values: Values) -> npt.NDArray[np.bool_]:
        """``[line]``: where there is no value."""
        if self.kind == "real":
            return np.isnan(values)
        return values == NEVER if self.kind == "step" else np.zeros(len(values), np.bool_)

    def objects(self, values: Values) -> list[Any]:
        """Plain Python objects, None where there is no value."""
        if self.kind == "text":
            return [self.words[code] for code in values.tolist()]
        found: list[Any] = values.tolist()
        for line in np.flatnonzero(self.missing(values)).tolist():
            found[line] = None
        return found


class Lines:
    """The rows that hold steps of ``[begin, end)`` of the nodes ``which``, by row, then node: the finest ones, or those
    that show intervals of so many ``steps``."""

    def __init__(
        self, timeline: Timeline, metrics: Sequence[str], which: Index, begin: int, end: int, steps: int = 1
    ) -> None:
        self.begin, self.end = begin, end
        self._timeline, self._metrics, self._which, self._steps = timeline, metrics, which, steps
        self._counts = list(dict.fromkeys(name for session in timeline.sessions for name in session.schema.counts))
        tree = timeline.tree
        self._nodes = np.arange(len(which))
        self._kinds = np.array([KINDS.index(tree.kinds[node]) for node in which], np.intp)
        self.columns = [
            Column("start", "whole"),
            Column("stop", "whole"),
            Column("node", "text", tuple(tree.names[node] for node in which)),
            Column("kind", "text", KINDS),
            Column("recorded", "whole"),
            Column("with_data", "whole"),
            Column("first_bad", "step"),
            *(Column(f"{metric}_{plane}", "real") for metric in metrics for plane in ("mean", "min", "max")),
            *(Column(name, "whole") for name in self._counts),
        ]
        name, times = Counter(column.name for column in self.columns).most_common(1)[0]
        if times > 1:  # in a file that no writer of ours made
            raise FormatError(f"expected columns of different names, but two are called {name!r}: choose other metrics")

    def __iter__(self) -> Iterator[Batch]:
        if len(self._which) and self.begin < self.end:
            most = max(1, BATCH_VALUES // (len(self._which) * len(self.columns)))
            yield from each(self._timeline, self.begin, self.end, self._batch, self._steps, most)

    def _batch(self, span: RowSpan) -> Batch:
        shape = len(span), len(self._which)
        start, stop, recorded = (
            np.broadcast_to(values[:, None], shape) for values in (span.start, span.stop, span.recorded)
        )
        nodes, kinds = (np.broadcast_to(codes, shape) for codes in (self._nodes, self._kinds))
        with_data, _, first_bad = span.steps(self._which)
        metrics = [plane for name in self._metrics for plane in span.metric(name, self._which)]
        counts = dict(zip(span.count_names, span.counts(self._which), strict=True))
        none = np.zeros(shape, np.int64)
        planes = [start, stop, nodes, kinds, recorded, with_data, first_bad, *metrics]
        return [plane.ravel() for plane in (*planes, *(counts.get(name, none) for name in self._counts))]

    def to_pandas(self) -> pandas.DataFrame:
        """All lines at once; names as categories, steps that may be missing as Int64."""
        pd = needed("pandas")
        batches = list(self)
        frame = {}
        for index, column in enumerate(self.columns):
            values = np.concatenate([np.zeros(0, np.int64), *(batch[index] for batch in batches)])
            if column.kind == "text":
                words = list(dict.fromkeys(column.words))  # a module and a tensor may have the same name
                place = {word: position for position, word in enumerate(words)}
                codes = np.array([place[word] for word in column.words], np.intp)[values.astype(np.intp)]
                frame[column.name] = pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype=object))
            elif column.kind == "step":
                missing = column.missing(values)
                frame[column.name] = pd.arrays.IntegerArray(np.where(missing, 0, values.astype(np.int64)), missing)
            else:
                frame[column.name] = values
        return pd.DataFrame(frame)
