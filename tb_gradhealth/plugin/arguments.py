"""What a request asks for, out of its query: the words of ``http_api.md`` → indices and intervals, or a BadRequest."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from werkzeug import wrappers

from ..nodes import Index
from ..store.format import MAX_STEP
from ..store.reader import Run
from ..store.timeline import Timeline, View
from . import tiles

#: Of what came, so much is repeated in an error.
SHOWN = 40


class BadRequest(ValueError):
    """An argument is wrong; the text says what was expected and what came."""


class Unreadable(ValueError):
    """The run is there, but nothing in it can be shown."""


def text(request: wrappers.Request, name: str) -> str:
    value = request.args.get(name)
    if not value:
        raise BadRequest(f"{name}: expected a value, got none")
    return value


def integer(request: wrappers.Request, name: str, largest: int, least: int = 0) -> int:
    """A whole number of ``[least, largest]``."""
    return _whole(name, text(request, name), largest, least)


def one_of(request: wrappers.Request, name: str, known: Collection[str]) -> str:
    value = text(request, name)
    if value not in known:
        raise BadRequest(f"{name}: expected one of {', '.join(known)}, got {value[:SHOWN]!r}")
    return value


def timelines(run: Run) -> dict[str, Timeline]:
    """All streams of a run, the one that leads first; raises Unreadable where there is none."""
    found = run.timelines()
    if not found:
        raise Unreadable(run.problems[0] if run.problems else "the run has no row yet")
    return found


def timeline(request: wrappers.Request, run: Run) -> Timeline:
    """The stream that is asked for; raises Unreadable where the run has none at all."""
    known = timelines(run)
    return known[one_of(request, "stream", known)]


def metric_and_view(request: wrappers.Request, shown: Timeline) -> tuple[str, View]:
    metric = one_of(request, "metric", shown.metrics)
    view: Any = one_of(request, "view", tiles.VIEWS)
    return metric, view


def node(request: wrappers.Request, shown: Timeline) -> int:
    return integer(request, "node", len(shown.tree) - 1)


def steps(request: wrappers.Request, shown: Timeline) -> tuple[int, int]:
    """Of the steps ``[begin, end)`` those that the run has."""
    begin, end = integer(request, "begin", MAX_STEP), integer(request, "end", MAX_STEP)
    if not begin < end:
        raise BadRequest(f"begin, end: expected steps [begin, end) with begin < end, got [{begin}, {end})")
    if begin >= shown.end or end <= shown.first:
        has = f"[{shown.first}, {shown.end})"
        raise BadRequest(f"begin, end: expected steps of {has}, which the run has, got [{begin}, {end})")
    return max(begin, shown.first), min(end, shown.end)


def nodes(request: wrappers.Request, shown: Timeline, most: int) -> Index:
    """Nodes ``I,J,…`` in the order asked for, at most ``most``."""
    parts = text(request, "nodes").split(",", most)
    if len(parts) > most:
        raise BadRequest(f"nodes: expected at most {most}, got more: ask in several requests")
    return np.array([_whole("nodes", part, len(shown.tree) - 1) for part in parts], np.intp)


def tile_ids(request: wrappers.Request) -> list[tuple[int, int, int]]:
    """Level, row and column of each tile."""
    parts = text(request, "ids").split(",", tiles.MAX_TILES)
    if len(parts) > tiles.MAX_TILES:
        raise BadRequest(f"ids: expected at most {tiles.MAX_TILES} tiles, got more: ask in several requests")
    return [_tile_id(part) for part in parts]


def _tile_id(written: str) -> tuple[int, int, int]:
    parts = written.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise BadRequest(f"ids: expected tiles written level.row.column, got {written[:SHOWN]!r}")
    level, row, column = (int(part) for part in parts)
    if level > tiles.MAX_LEVEL:
        raise BadRequest(f"ids: expected a level up to {tiles.MAX_LEVEL}, got {level}")
    return level, row, column


def _whole(name: str, written: str, largest: int, least: int = 0) -> int:
    digits: Any = written.isascii() and written.isdigit() and len(written) < 20
    if not (digits and least <= int(written) <= largest):
        raise BadRequest(f"{name}: expected a whole number from {least} to {largest}, got {written[:SHOWN]!r}")
    return int(written)
