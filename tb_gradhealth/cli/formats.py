"""Lines of the long format → CSV, JSON lines, Parquet; a batch at a time."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from ..notes import written
from ..reading.extras import needed
from ..reading.lines import Batch, Column
from .terminal import printable

#: What a spreadsheet takes for the beginning of a formula, or for a cell's border before one (OWASP, "CSV Injection").
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
#: Values of a row group of Parquet, about: smaller ones cost a reader time.
GROUP_VALUES = 1 << 22


class Format(Protocol):
    """Takes batches of lines."""

    def write(self, batch: Batch) -> None: ...


class _Text:
    """Lines of text."""

    def __init__(self, file: TextIO, columns: Sequence[Column]) -> None:
        self._file, self._columns = file, columns

    def _lines(self, batch: Batch) -> Any:
        """Tuples of Python objects, one for each line."""
        return zip(*(column.objects(values) for column, values in zip(self._columns, batch, strict=True)), strict=True)


class Csv(_Text):
    """RFC 4180, with line feeds; nothing where there is no value."""

    def __init__(self, file: TextIO, columns: Sequence[Column]) -> None:
        super().__init__(file, [Column(c.name, c.kind, tuple(map(harmless, c.words))) for c in columns])
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow([harmless(column.name) for column in columns])

    def write(self, batch: Batch) -> None:
        self._writer.writerows(self._lines(batch))


def harmless(name: str) -> str:
    """A name from a file as text that neither a spreadsheet nor a terminal acts on."""
    return f"'{printable(name)}" if name.startswith(FORMULA) else printable(name)


class JsonLines(_Text):
    """One JSON object a line, in ASCII; null where there is no value."""

    def write(self, batch: Batch) -> None:
        names = [column.name for column in self._columns]
        for line in self._lines(batch):
            self._file.write(json.dumps(dict(zip(names, map(_json, line), strict=True)), allow_nan=False) + "\n")


def _json(value: Any) -> Any:
    return written(value) if isinstance(value, float) and not math.isfinite(value) else value


class Parquet:
    """Names as dictionaries, null where there is no value."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._arrow = needed("pyarrow")
        parquet = needed("pyarrow.parquet")
        self._columns = columns
        # A name from a file may hold half a surrogate pair, which is no Unicode text.
        self._words = [self._arrow.array([_text(word) for word in c.words], self._arrow.string()) for c in columns]
        schema = self._arrow.schema([(_text(column.name), self._type(column)) for column in columns])
        self._schema, self._writer = schema, parquet.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[Any] = []

    def _type(self, column: Column) -> Any:
        arrow = self._arrow
        if column.kind == "text":
            return arrow.dictionary(arrow.int32(), arrow.string())
        return arrow.float64() if column.kind == "real" else arrow.int64()

    def write(self, batch: Batch) -> None:
        arrays = []
        for column, words, values in zip(self._columns, self._words, batch, strict=True):
            if column.kind == "text":
                arrays.append(self._arrow.DictionaryArray.from_arrays(values.astype(np.int32), words))
            else:
                arrays.append(self._arrow.array(values, self._type(column), mask=column.missing(values)))
        self._waiting.append(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        if sum(table.num_rows for table in self._waiting) * len(self._columns) >= GROUP_VALUES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.concat_tables(self._waiting))
            self._waiting = []

    def __enter__(self) -> Parquet:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _text(name: str) -> str:
    return name.encode(errors="replace").decode()
