"""Memory and CPU time of processes and their children, from /proc; 0 where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def resident(process: int | str = "self") -> int:
    """Bytes in memory, pages that processes share counted in each."""
    return sum(_resident(one) for one in _family(str(process)))


def cpu(process: int) -> float:
    """Seconds, to a tick of the system's clock."""
    return sum(_ticks(one) for one in _family(str(process))) / os.sysconf("SC_CLK_TCK")


def _family(process: str) -> Iterator[str]:
    yield process
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _family(child)


def _resident(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:")), 0)


def _ticks(process: str) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
