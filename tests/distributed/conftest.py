"""One launch for each number of processes and each trouble, made when its first test asks for it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

try:
    from torch.distributed.fsdp import fully_shard  # since torch 2.6

    able = callable(fully_shard) and "forkserver" in multiprocessing.get_all_start_methods()
except ImportError:
    able = False
collect_ignore_glob = [] if able else ["test_*.py"]


@pytest.fixture(scope="session")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Number of processes → directory with the results of all its runs."""
    from .launch import logs, run
    from .worker import train_all

    @cache
    def launch(processes: int) -> Path:
        directory = tmp_path_factory.mktemp(f"processes{processes}")
        codes = run(train_all, processes, directory, timeout=120)
        if any(codes):  # it still leaves the results of the runs before the failure
            print(f"exit codes {codes}\n{logs(directory)}")
        return directory

    return launch


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, list[int]]]:
    """Name of a trouble → directory with its results, and the exit codes of its ranks."""
    from .launch import run
    from .troubles import trouble

    @cache
    def launch(name: str) -> tuple[Path, list[int]]:
        directory = tmp_path_factory.mktemp(name)
        return directory, run(partial(trouble, name), 2, directory, timeout=60)

    return launch
