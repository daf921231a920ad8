"""What was measured, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from ..machine import describe
from .monitors import Contender
from .summary import Summary, kind_of_interval

Column = tuple[str, Callable[[Summary], str]]


def show(
    head: Sequence[str], device: torch.device, contenders: Sequence[Contender], found: Mapping[str, Summary]
) -> None:
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print(*head, "", sep="\n")
    pairs = min(summary.pairs for summary in found.values())
    columns = _columns(kind_of_interval(pairs), device.type == "cuda")
    cells = [[title for title, _ in columns], *([cell(s) for _, cell in columns] for s in found.values())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, row in zip(["", *found], cells, strict=True):
        print(f"{name:11s}" + "".join(f"{cell:>{width + 2}s}" for cell, width in zip(row, widths, strict=True)))
    print()
    for contender in contenders:
        if contender.name in found:
            print(f"{contender.name:11s}  {contender.meaning}")
    print(*_notes(device), sep="\n")


def _columns(interval: str, on_device: bool) -> list[Column]:
    paired: list[Column] = [
        ("bare ms", lambda s: f"{s.bare_ms:.2f}"),
        ("with ms", lambda s: f"{s.with_ms:.2f}"),
        ("step time", lambda s: f"{100 * (s.ratio - 1):+.2f} %"),
        (interval, lambda s: _range(s.ratio_interval, 1.0)),
    ]
    threads: Column = ("threads", lambda s: _share(s.own_threads))
    own: list[Column] = [("own", lambda s: _share(s.own)), (interval, lambda s: _range(s.own_interval))]
    if on_device:
        return [*paired, *own, threads, ("host ms", lambda s: f"{s.host_ms:.3f}")]
    return [*paired, ("own: loop", lambda s: _share(s.own_loop)), threads, *own]


def _notes(device: torch.device) -> list[str]:
    clock = "the GPU was at work for it" if device.type == "cuda" else "CPU time it took"
    beside = "; threads: CPU time of the writer's, no part of own" if device.type == "cuda" else ""
    left_out = "caches that the training finds cold afterwards, waits for the interpreter's lock"
    if device.type == "cuda":
        left_out += ", the copy to the host on a stream of its own"
    return [
        f"own: {clock}, beyond what clipping took the bare twin, as a share of the bare step{beside}",
        f"own leaves out: {left_out}; step time holds them",
    ]


def _share(share: float) -> str:
    return f"{_percent(share)} %"


def _range(interval: tuple[float, float], origin: float = 0.0) -> str:
    low, high = (_percent(share - origin) for share in interval)
    return f"{low} … {high}"


def _percent(share: float) -> str:
    rounded = round(100 * share, 2) + 0.0  # no -0.00
    return f"{rounded:.2f}"
