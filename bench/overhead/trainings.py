"""Trainings that can be advanced block by block: GPTs of a fixed size on random tokens, each from the same seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tb_gradhealth.demo.model import GPT, GPTConfig

from .own_time import OwnTime, other_threads

SEED = 0
LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Size:
    """A model, and what it learns from in a step: ``micro_batches`` of ``batch`` sequences, gradients added up.

    With ``autocast`` the matrices are multiplied in bfloat16; parameters and gradients are float32 in any case. With
    ``tied`` the head is the embedding.
    """

    label: str
    config: GPTConfig
    batch: int
    micro_batches: int = 1
    autocast: bool = False
    tied: bool = False

    @property
    def tokens(self) -> int:
        """Tokens a step."""
        return self.micro_batches * self.batch * self.config.sequence


SIZES = {
    "reference": Size("reference GPT", GPTConfig(vocabulary=96, width=256, layers=4, heads=8, sequence=128), batch=8),
    "1.3b": Size(
        "1.3 B GPT",
        GPTConfig(vocabulary=50_304, width=2048, layers=24, heads=16, sequence=1024),
        batch=4,
        micro_batches=4,
        autocast=True,
        tied=True,
    ),
}


@dataclass(frozen=True)
class Block:
    """What a block of steps took, in seconds a step."""

    wall: float
    cpu: float  # of the training thread
    own_cpu: float  # of that, within the calls that are counted as the monitor's own
    own_wall: float
    own_device: float  # between the events around these calls; 0 on the CPU
    others_cpu: float  # of the process's other Python threads


class Training:
    """A loop as people write it. ``clip`` and the three below it are what the loop has to do for a monitor."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self.size, self.device = size, device
        torch.manual_seed(SEED)
        # Made where it will be: weights drawn on the host would take a minute for 1.3 B.
        with device:
            self.model = GPT(size.config)
        if size.tied:
            self.model.head.weight = self.model.embedding.weight
        fused = True if device.type == "cuda" else None
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, fused=fused)
        self.steps = 0
        self.own = OwnTime(device)
        self.clip: Callable[[], torch.Tensor] | None = None
        self.norms: list[torch.Tensor] = []  # that clipping returned, one a step
        self.after_forward: Callable[[torch.Tensor], None] = lambda logits: None
        self.last_backward: Callable[[], None] = lambda: None
        self.after_step: Callable[[], None] = lambda: None
        self._generator = torch.Generator(device).manual_seed(SEED + 1)

    def advance(self, steps: int) -> Block:
        """Train; waits for the device before and after, never in between."""
        self._wait()
        self.own.take()
        others, cpu, wall = other_threads(), time.thread_time(), time.perf_counter()
        for _ in range(steps):
            self._step()
        self._wait()
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        worked = sum(seconds - others.get(thread, 0.0) for thread, seconds in other_threads().items())
        own = self.own.take()
        return Block(*(seconds / steps for seconds in (wall, cpu, own.cpu, own.wall, own.device, worked)))

    def _step(self) -> None:
        size = self.size
        for micro_batch in range(size.micro_batches):
            shape = size.batch, size.config.sequence + 1
            tokens = torch.randint(size.config.vocabulary, shape, generator=self._generator, device=self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=size.autocast):
                logits = self.model(tokens[:, :-1])
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()) / size.micro_batches
            self.after_forward(logits)
            if micro_batch == size.micro_batches - 1:
                self.last_backward()
            loss.backward()
        if self.clip is not None:
            self.norms.append(self.clip())
        self.optimizer.step()
        self.after_step()
        # Here, not before the backward pass: a training that waits for its turn then holds no gradients.
        self.optimizer.zero_grad()
        self.steps += 1

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Where equal trainings would not end equal by themselves, as with flash attention's backward pass on CUDA."""
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads it when it is first used: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filling = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling what torch.empty returns would be a write that no training makes.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        settings.fill_uninitialized_memory = filling
