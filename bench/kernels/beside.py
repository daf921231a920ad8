"""Figures beside the time of a call: host time, launches, waits, memory. Each is found in calls of its own."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .timing import Run

_STATUS, _MARKS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def beside(run: Run, device: torch.device) -> dict[str, Any]:
    """By name, fields of :class:`.timing.Figures` that the device tells, but for the launches."""
    if device.type != "cuda":
        return {"extra": _host_memory(run)}
    return {
        "host_us": _host_us(run, device),
        "waits": _waits(run, device),
        "extra": _device_memory(run, device),
    }


def _host_us(run: Run, device: torch.device) -> float:
    taken = []
    for _ in range(7):
        torch.cuda.synchronize(device)
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    torch.cuda.synchronize(device)
    return float(np.median(taken)) * 1e6


def launches(run: Run, device: torch.device) -> int | None:
    """Kernels of one call, None if the profiler saw none. A process that was profiled once may launch more slowly from
    then on, so this comes after everything that is timed."""
    torch.cuda.synchronize(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        run()
        torch.cuda.synchronize(device)
    # profile.events() builds a tree of Python objects, forty times as slowly.
    kineto: Any = profile.profiler
    names = [
        event.name()
        for event in kineto.kineto_results.events()
        if event.device_type().name == "CUDA" and not event.is_user_annotation()
    ]
    return sum(not name.startswith(("Memcpy", "Memset")) for name in names) or None


def _waits(run: Run, device: torch.device) -> bool:
    torch.cuda.synchronize(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize(device)
    return False


def _device_memory(run: Run, device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _host_memory(run: Run) -> int | None:
    """From Linux's high-water mark of resident memory, which a process may set back. What the C library kept of
    earlier calls is given back first: it would hide what this one needs."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    try:
        if give_back is None:
            return None
        give_back(0)
        _MARKS.write_text("5")
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except (OSError, StopIteration):
        return None


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
