"""Groups of processes on this machine, each joined by gloo, and killed when they outlive their time."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

import torch
import torch.distributed as dist

KILLED = -signal.SIGKILL

Target = Callable[[int, int, Path], None]
"""``(rank, processes, directory)``; must be importable, or a ``partial`` of what is."""


@cache
def _context() -> ForkServerContext:
    # Each rank is forked from one server that has imported torch, which costs most of a process's time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "numpy",
            "torch._dynamo",
            "torch.distributed.fsdp",
            "torch.distributed.optim",
            "torch.distributed.tensor.parallel",
            "torch.utils.tensorboard",
        ]
    )
    return context


def run(target: Target, processes: int, directory: Path, timeout: float) -> list[int]:
    """Runs ``target`` in ``processes`` processes; their exit codes, by rank: :data:`KILLED` after ``timeout`` seconds.

    What a rank prints is in ``<directory>/<rank>.log``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ranks = [
        _context().Process(target=_enter, args=(target, rank, processes, directory, timeout), daemon=True)
        for rank in range(processes)
    ]
    for process in ranks:
        process.start()
    deadline = time.monotonic() + timeout
    for process in ranks:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
    return [process.exitcode or 0 for process in ranks]


def logs(directory: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in sorted(directory.glob("*.log")))


def _enter(target: Target, rank: int, processes: int, directory: Path, timeout: float) -> None:
    log = os.open(directory / f"{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.dump_traceback_later(timeout - 2)  # tells where it hangs, before it is killed
    torch.set_num_threads(1)
    if processes > 1:
        dist.init_process_group(
            "gloo",
            store=_store(rank, processes, directory / "port"),
            rank=rank,
            world_size=processes,
            timeout=timedelta(seconds=60),
        )
    try:
        target(rank, processes, directory)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # without the handlers of exit, so that the others see it at once


def _store(rank: int, processes: int, port: Path) -> dist.Store:
    """As launchers have it: in rank 0, with which it dies. Its port, which the system chooses, is told in a file."""
    if rank == 0:
        store = dist.TCPStore("127.0.0.1", 0, processes, is_master=True, wait_for_workers=False)
        written = port.with_suffix(".new")
        written.write_text(str(store.port))
        written.rename(port)
        return store
    while not port.exists():
        time.sleep(0.02)
    return dist.TCPStore("127.0.0.1", int(port.read_text()), processes, is_master=False)
