"""Which cases fit where."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from .cases import Case


def unfit(case: Case, device: torch.device, named: bool) -> str | None:
    """Why the case does not run there, None if it does."""
    if case.memory > available(device):
        return f"needs {case.memory / 1e9:.1f} GB of memory, {available(device) / 1e9:.1f} GB are free"
    if device.type not in case.devices and not named:
        size = f"{case.memory / 1e9:.1f} GB of memory"
        return f"meant for {' and '.join(case.devices)}, needs {size}: --case {case.name} runs it here"
    return None


def available(device: torch.device) -> int:
    """Bytes that could be allocated."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
