"""What a process holds while a tiny model trains for long with every stream: memory must not grow with the steps.

It rises and falls once in 10,240 steps: rows of level 1, of 160 steps each, wait until 64 of them are a row group of
the archive. So marks are held against others at the same place of such a period.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tb_gradhealth.demo.model import GPTConfig

from ..machine import describe
from .monitors import Writer
from .trainings import Size, Training

STEPS, MARKS = 24_000, 5
TINY = Size("tiny GPT", GPTConfig(vocabulary=32, width=16, layers=1, heads=2, sequence=16), batch=4)
STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Mark:
    """What is held after so many ``steps``, in bytes."""

    steps: int
    resident: int | None  # None where the system does not tell
    traced: int  # what Python and NumPy allocated since before the first step
    on_disk: int


def marks(steps: int) -> Iterator[Mark]:
    """At each fifth of ``steps``, when the writer's threads have caught up. Raises RuntimeError for a problem."""
    with tempfile.TemporaryDirectory() as name:
        training = Training(TINY, torch.device("cpu"))
        writer = Writer(training, Path(name), streams="all", activations=["*"])
        monitor = writer.optimizer.gradhealth
        _give_all(training, monitor)
        tracemalloc.start()
        try:
            for mark in range(1, MARKS + 1):
                for _ in range(mark * steps // MARKS - training.steps):
                    training.advance(1)
                    training.norms.clear()
                    monitor.log(loss=1.0)
                _catch_up(monitor)
                yield _mark(training.steps, Path(name))
        finally:
            tracemalloc.stop()
            writer.close()
        if writer.problems():
            raise RuntimeError(
                f"expected a writer without problems, got {writer.problems()}: these figures mean nothing"
            )


def _give_all(training: Training, monitor: Any) -> None:
    """What a loop does beside stepping: every kind of tensor is observed, and gradients are clipped."""

    def observe(logits: torch.Tensor) -> None:
        scores = logits[:, :, :2].transpose(1, 2).unsqueeze(-1).expand(-1, -1, -1, logits.shape[1])
        monitor.observe("logits", logits, kind="prediction")
        monitor.observe("head.input", logits, kind="input")
        monitor.observe("head", scores, kind="scores")
        monitor.observe("head", scores.softmax(-1), kind="attention")

    training.after_forward = observe
    training.clip = lambda: monitor.clip_grad_norm_(1.0)


def _catch_up(monitor: Any) -> None:
    """What waits for the writer's threads is no growth."""
    for stage in monitor._session._stages._stages:
        while stage._blocks or stage._rows:
            time.sleep(0.01)


def _mark(steps: int, directory: Path) -> Mark:
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    resident = int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else None
    on_disk = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return Mark(steps, resident, traced, on_disk)


def show(steps: int) -> None:
    """Prints a line for each mark as it comes."""
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print(f"{TINY.label}, every stream, {steps:,} steps\n\n  steps  resident MB  traced MB  on disk MB")
    for mark in marks(steps):
        resident = "–" if mark.resident is None else f"{mark.resident / 1e6:.1f}"
        held = f"{mark.traced / 1e6:9.2f}  {mark.on_disk / 1e6:10.2f}"
        print(f"{mark.steps:7,d}  {resident:>11s}  {held}", flush=True)
