"""How times are taken: contenders in turns, each turn in another order. A timed call follows one that is not timed, so
that what a contender finds is what it left itself, whoever came before it, and a cold cache."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

#: Seconds that one contender may take over all its turns of a case; a slow one has fewer turns, FEWEST at least.
BUDGET, FEWEST = 10.0, 3
#: Calls per turn, the last one timed.
CALLS = 2
WARM_UPS = 2
#: What a GPU writes before a timed call: 4 ms in which the host gets ahead, as it is after a backward pass.
HEAD_START = 2**34
#: Device type → what makes the cache cold.
COLD: dict[str, str] = {
    "cpu": "after a buffer of twice the last-level cache was written",
    "cuda": f"after the GPU wrote {HEAD_START // 2**30} GiB (host time beyond what that takes counts)",
}
_CACHE = 2**26  # where the system does not tell

Run = Callable[[], Any]


class Clock(Protocol):
    def seconds(self, run: Run) -> float:
        """Of one call, from a cold cache until its last result is there, after a call that is not timed."""


class HostClock:
    """Wall time. The cache is cold because a buffer of twice its size was written."""

    def __init__(self) -> None:
        self._buffer = torch.zeros(2 * last_level_cache(), dtype=torch.uint8)

    def seconds(self, run: Run) -> float:
        run()
        self._buffer.add_(1)
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin


class DeviceClock:
    """Time between two events on the current stream. The cache is cold because HEAD_START bytes were written."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        cache = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", _CACHE))
        self._buffer = torch.zeros(max(2 * cache, 2**28), dtype=torch.uint8, device=device)

    def seconds(self, run: Run) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        run()
        torch.cuda.synchronize(self._device)
        for _ in range(HEAD_START // self._buffer.numel()):
            self._buffer.zero_()
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize(self._device)
        return float(begin.elapsed_time(end)) / 1e3


def clock_for(device: torch.device) -> Clock:
    return DeviceClock(device) if device.type == "cuda" else HostClock()


def last_level_cache() -> int:
    """Bytes of the largest cache of the first core."""
    sizes = [_CACHE]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        unit = {"K": 2**10, "M": 2**20}.get(text[-1:], 0)
        sizes.append(int(text[:-1]) * unit if unit else 0)
    return max(sizes)


def in_turns(
    runs: Mapping[str, Run], clock: Clock, repeats: int, progress: Callable[[str], None]
) -> dict[str, dict[int, float]]:
    """Seconds of each contender in the turns that it takes part in, after warm-up calls that are not kept.

    Each turn begins with another contender. A slow contender takes part in evenly spread turns.
    """
    strides = {}
    for name, run in runs.items():
        progress(f"{name} warms up")
        taken = [clock.seconds(run)]
        while len(taken) < WARM_UPS and taken[0] * CALLS * WARM_UPS < BUDGET:
            taken.append(clock.seconds(run))
        turns = max(FEWEST, min(repeats, int(BUDGET / (CALLS * min(taken)))))
        strides[name] = max(1, math.ceil(repeats / turns))
    seconds: dict[str, dict[int, float]] = {name: {} for name in runs}
    names = list(runs)
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                if turn % strides[name] == 0:
                    progress(f"turn {turn + 1}/{repeats}: {name}")
                    seconds[name][turn] = clock.seconds(runs[name])
    finally:
        gc.enable()
    return seconds


@dataclass(frozen=True)
class Figures:
    """One contender's figures on one case. ``ratio`` is the median over turns of its time / the roof's in that turn.

    host_us: until the call returns, from an idle device. launches: kernels, copies and fills apart. waits: whether the
    call makes the host wait for the device. extra: bytes at its peak beyond what preparing it took.
    None where the device does not tell.
    """

    median: float
    p10: float
    p90: float
    turns: int
    bytes_per_second: float
    ratio: float | None
    error: float
    host_us: float | None = None
    launches: int | None = None
    waits: bool | None = None
    extra: int | None = None


@dataclass(frozen=True)
class Noise:
    """Of the roof measured twice: its second time / its first over the turns. Ratios within [p10, p90] mean nothing."""

    name: str
    ratio: float
    p10: float
    p90: float


def noise(name: str, again: Mapping[int, float], roof: Mapping[int, float]) -> Noise:
    low, middle, high = np.percentile([again[turn] / roof[turn] for turn in again], [10, 50, 90])
    return Noise(name, float(middle), float(low), float(high))


def summarise(
    seconds: Mapping[int, float], roof: Mapping[int, float] | None, size: int, error: float, beside: Mapping[str, Any]
) -> Figures:
    """``size``: the gradients' bytes. ``beside``: the figures that are no times on the clock."""
    low, middle, high = (float(x) for x in np.percentile(list(seconds.values()), [10, 50, 90]))
    ratio = None
    if roof is not None:
        ratio = float(np.median([taken / roof[turn] for turn, taken in seconds.items() if turn in roof]))
    return Figures(middle, low, high, len(seconds), size / middle, ratio, error, **beside)
