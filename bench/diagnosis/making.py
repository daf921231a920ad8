"""Makes the runs of the ground that are not there yet, and writes their labels beside them."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch

from . import labels, trial
from .architectures import Part
from .cells import Cell, cells


@dataclass(frozen=True)
class Run:
    """A recorded and labelled training."""

    folder: Path
    label: labels.Label


class Bar:
    """How far a work of many pieces has come and how long the rest may take, on standard error; a line a minute where
    that is a file."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._live = sys.stderr.isatty()
        self._began = self._said = time.monotonic()

    def next(self, doing: str) -> None:
        now = time.monotonic()
        if self._live or now - self._said > 60.0:
            self._said = now
            left = (now - self._began) / self._done * (self._total - self._done) if self._done else 0.0
            rest = f", {left / 60:.0f} min left" if self._done else ""
            text = f"{self._what} {self._done + 1} of {self._total}{rest}: {doing}"
            share = round(20 * self._done / self._total)
            bar = f"[{'#' * share}{'.' * (20 - share)}] "
            print(f"\r\033[K{bar}{text}" if self._live else text, end="" if self._live else "\n", file=sys.stderr)
            sys.stderr.flush()
        self._done += 1

    def close(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def make(chosen: Sequence[Cell], folder: Path, jobs: int = 1) -> list[Run]:
    """Every run of ``chosen``, made where it is not there, in so many processes; their twins must be among them."""
    missing = [cell for cell in chosen if trial.saved(folder / cell.name) is None]
    bar = Bar("training", len(missing))
    try:
        if jobs == 1:
            for cell in missing:
                bar.next(cell.name)
                record(cell, folder / cell.name)
        else:
            _in_processes(missing, folder, jobs, bar)
    finally:
        bar.close()
    return labelled(chosen, folder)


def _in_processes(missing: Sequence[Cell], folder: Path, jobs: int, bar: Bar) -> None:
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        try:
            futures = {pool.submit(record, cell, folder / cell.name): cell.name for cell in missing}
            for future in as_completed(futures):
                future.result()
                bar.next(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def record(cell: Cell, folder: Path) -> None:
    """Trains it anew, on one thread: another number of them could add up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _record(cell, folder)
    finally:
        torch.set_num_threads(threads)


def _record(cell: Cell, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of losses that are not finite
        outcome = trial.Trial(cell, folder).run()
    trial.save(outcome, folder)


def labelled(chosen: Sequence[Cell], folder: Path) -> list[Run]:
    """Those of ``chosen`` that are there, and their twins are."""
    found = []
    for cell in chosen:
        outcome, twin = trial.saved(folder / cell.name), trial.saved(folder / cell.twin.name)
        if outcome is not None and twin is not None:
            one = labels.label(cell, outcome, twin)
            labels.save(one, folder / cell.name)
            found.append(Run(folder / cell.name, one))
    return found


def choose(parts: Sequence[Part], runs: int | None) -> list[Cell]:
    """The first ``runs`` of each part, all for None."""
    return [cell for part in parts for cell in cells(part)[:runs]]
