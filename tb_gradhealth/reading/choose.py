"""What a person asks for, in names, patterns and intervals → indices; and what to say where there is no such thing."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..nodes import Index, Tree
from ..store.levels import top, width

#: Names that are compared with a misspelt one.
COMPARED = 2000

T = TypeVar("T")


class AskedError(ValueError):
    """What was asked for does not exist, or is no question: the text says what there is."""


def one_of(what: str, wanted: str, known: Mapping[Any, T]) -> T:
    """``known[wanted]``; raises AskedError."""
    if wanted not in known:
        raise AskedError(f"{what}: expected one of {', '.join(known) or '(none)'}, got {wanted!r}")
    return known[wanted]


def some_of(what: str, wanted: str | Iterable[str] | None, known: Mapping[str, T]) -> list[T]:
    """Those of ``known`` that are named, all for None, in the order of ``known``; raises AskedError."""
    names = [wanted] if isinstance(wanted, str) else list(known if wanted is None else wanted)
    for name in names:
        one_of(what, name, known)
    return [value for name, value in known.items() if name in names]


def nodes(tree: Tree, wanted: str | Iterable[str] | None) -> Index:
    """Nodes ``wanted`` by name or shell pattern, ``*`` reaching over dots, in the order of the tree; all for None.

    A name that is one is not taken for a pattern. "" is the whole stream. Raises AskedError for what matches nothing.
    """
    if wanted is None:
        return np.arange(len(tree), dtype=np.intp)
    places: dict[str, list[int]] = {}  # a module and a tensor may have the same name
    for node, name in enumerate(tree.names):
        places.setdefault(name, []).append(node)
    chosen = np.zeros(len(tree), np.bool_)
    for one in [wanted] if isinstance(wanted, str) else wanted:
        here = places.get(one)
        if here is None:
            matches = re.compile(fnmatch.translate(one)).match
            here = [node for node, name in enumerate(tree.names) if matches(name)]
        if not here:
            raise AskedError(f"nodes: expected a name or a pattern, but {one!r} fits none of {_nearest(tree, one)}")
        chosen[here] = True
    return np.flatnonzero(chosen)


def interval(wanted: tuple[int | None, int | None] | slice | None, first: int, end: int) -> tuple[int, int]:
    """The part of the steps ``[first, end)`` that is asked for, as ``(a, b)`` or ``slice(a, b)``; None at either end
    means the run's own. Empty, ``(a, a)``, where nothing is left. Raises AskedError."""
    if wanted is None:
        return first, end
    if isinstance(wanted, slice):
        if wanted.step not in (None, 1):
            raise AskedError(f"steps: expected an interval of all its steps, got {wanted}: leave out the stride")
        wanted = (wanted.start, wanted.stop)
    if not isinstance(wanted, Sequence) or len(wanted) != 2:
        raise AskedError(f"steps: expected (first, end), half-open, got {wanted!r}")
    begin = first if wanted[0] is None else wanted[0]
    stop = end if wanted[1] is None else wanted[1]
    if begin < 0 or stop < begin:
        raise AskedError(f"steps: expected 0 <= first <= end of an interval [first, end), got {tuple(wanted)}")
    begin = min(max(begin, first), end)
    return begin, max(begin, min(stop, end))


def positive(what: str, value: int) -> int:
    """``value``, which is at least 1; raises AskedError."""
    if value < 1:
        raise AskedError(f"{what}: expected 1 or more, got {value}")
    return value


def row_steps(every: int, begin: int, end: int, most: int | None, level: int | None) -> int:
    """Steps that a row covers: of ``level``, or of the finest level of which at most ``most`` rows hold the steps
    ``[begin, end)``, or 1 for the finest rows there are. Raises AskedError."""
    highest = top(every)
    if most is not None and level is not None:
        raise AskedError("expected either a width or a level, got both: leave one out")
    if level is not None:
        if not 0 <= level <= highest:
            raise AskedError(f"level: expected 0 to {highest}, got {level}")
        return width(every, level)
    if most is None:
        return 1
    positive("width", most)
    level = 0
    while level < highest and -(-end // width(every, level)) - begin // width(every, level) > most:
        level += 1
    return width(every, level)


def _nearest(tree: Tree, name: str) -> str:
    close = difflib.get_close_matches(name, tree.names[:COMPARED], n=3, cutoff=0.5)
    return f"{len(tree)} nodes (near it: {', '.join(map(repr, close))})" if close else f"{len(tree)} nodes"
