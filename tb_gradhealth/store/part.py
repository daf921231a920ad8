"""A row group that can be opened: what an event holds, and what the archive's index tells of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .rowgroup import RowGroup


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one level. ``open`` may raise FormatError or OSError, and costs no more than reading the tables."""

    level: int
    table: npt.NDArray[Any]  # rowgroup.ROW: which rows
    open: Callable[[], RowGroup]
