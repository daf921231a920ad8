"""What of two runs was recorded differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..reading.opened import OpenRun
from ..store.timeline import Timeline
from .difference import Setting


def settings(a: OpenRun, b: OpenRun) -> Iterator[Setting]:
    """Streams first, then what of each stream; what was logged is told by those who read it."""
    mine, theirs = a.streams, b.streams
    for stream in dict.fromkeys((*mine, *theirs)):
        if (stream in mine) != (stream in theirs):
            there = "recorded"
            yield Setting("stream", stream, "", there if stream in mine else None, there if stream in theirs else None)
    if not (mine and theirs):
        return
    if a.steps != b.steps:
        yield Setting("steps", "", "", *(f"{first:,} to {end - 1:,}" for first, end in (a.steps, b.steps)))
    if a.timeline().cell != b.timeline().cell:
        yield Setting("cadence", "", "", *(f"a row each {run.timeline().cell} steps" for run in (a, b)))
    for stream in mine:
        if stream in theirs:
            yield from _of_stream(stream, a.timeline(stream), b.timeline(stream))


def _of_stream(stream: str, a: Timeline, b: Timeline) -> Iterator[Setting]:
    thresholds = [format(one.sessions[-1].schema.near_zero, "g") if one.sessions else "" for one in (a, b)]
    if thresholds[0] != thresholds[1]:
        yield Setting("threshold", stream, "near zero", *thresholds)
    yield from _names("metric", stream, *(dict.fromkeys(one.metrics, "recorded") for one in (a, b)))
    tensors = [
        {one.tree.names[leaf]: one.tensors[one.tree.names[leaf]] for leaf in one.tree.leaf_nodes} for one in (a, b)
    ]
    shapes = [{name: _shape(info.shape) for name, info in one.items()} for one in tensors]
    yield from _names("tensor", stream, *shapes)
    for name, info in tensors[0].items():
        other = tensors[1].get(name)
        if other is not None and info.shape != other.shape:
            yield Setting("shape", stream, name, _shape(info.shape), _shape(other.shape))
        if other is not None and info.dtype != other.dtype:
            yield Setting("dtype", stream, name, info.dtype, other.dtype)


def _names(what: str, stream: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Setting]:
    """Those that one of them has not."""
    for name in dict.fromkeys((*a, *b)):
        if (name in a) != (name in b):
            yield Setting(what, stream, name, a.get(name), b.get(name))


def _shape(shape: tuple[int, ...] | None) -> str:
    return " × ".join(map(str, shape or ())) or "a scalar"
