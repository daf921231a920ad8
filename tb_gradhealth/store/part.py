"""A row group that can be opened: what an event holds, and what the archive's index tells of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from .rowgroup import RowGroup


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one level. ``open`` may raise FormatError or OSError, and costs no more than reading the tables."""

    level: int
    table: npt.NDArray[Any]  # rowgroup.ROW: which rows
    open: Callable[[], RowGroup]
    in_memory: bool = False  # ``open`` only hands over what is there anyway
    #: Names it in a cache, which must not keep a part, and with it an event, alive.
    token: int = field(default_factory=itertools.count().__next__, init=False)
