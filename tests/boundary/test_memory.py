"""Watching holds a bounded amount of memory, and no gradient."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.worker import Worker


@pytest.fixture(autouse=True)
def only_ours() -> Iterator[None]:
    """What lives already is left out of every collection: there is a lot of it, and it takes the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def drain(optimizer: Any) -> None:
    """Waits until the writer's threads, which a busy machine leaves behind, have done all and wait themselves."""
    deadline = time.monotonic() + 60
    for stage in optimizer.gradhealth._session._stages._stages:
        while stage._blocks or stage._rows or not waits(stage._worker):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def waits(worker: Any) -> bool:
    frame = sys._current_frames()[worker._thread.ident]
    return frame.f_code is Worker.wait.__code__


def tensors() -> int:
    """How many there are.

    Every object is held while they are counted, and a thread whose half-made tuple somebody else holds fails or
    crashes. So no other thread gets its turn meanwhile.
    """
    gc.collect()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        time.sleep(0.02)  # who waits for its turn asked for it by the usual interval, and gets it now
        return sum(type(thing) in (torch.Tensor, torch.nn.Parameter) for thing in gc.get_objects())
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.parametrize("kind", ["plain", "skipping", "clipping", "dropping"])
def test_wandb_2644_no_leak(tmp_path: Path, kind: str) -> None:
    # The process of a watched run grew until it was killed: each attempt here must leave nothing behind.
    model = torch.nn.Linear(16, 16)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    GradHealthWriter(optimizer, model, logdir=tmp_path, every=4, unclipped=kind == "clipping")
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**8, enabled=kind == "skipping", backoff_factor=0.999)
    x = torch.ones(2, 16)

    def attempts(count: int) -> None:
        for i in range(count):
            optimizer.zero_grad()
            scaler.scale(model(x).square().mean()).backward()
            if kind == "skipping" and i % 2:
                model.bias.grad[0] = float("inf")  # type: ignore[index]
            if kind == "clipping":
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            if kind == "dropping" and i % 2:
                continue
            scaler.step(optimizer)
            scaler.update()
            optimizer.gradhealth.log(loss=1.0)

    attempts(200)
    drain(optimizer)
    before, blocks, grown = tensors(), [], []
    for _ in range(5):
        attempts(150)
        drain(optimizer)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        if len(blocks) > 1:
            grown.append(blocks[-1] - blocks[-2])
    # One object kept a step shows in every window.
    assert min(grown) < 75, f"{grown} objects in windows of 150 steps"
    assert tensors() - before <= 8
    assert optimizer.gradhealth.problems == 0


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_are_not_kept_alive(tmp_path: Path, scaled: bool) -> None:
    model = torch.nn.Linear(16, 16)
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=1e-3), model, logdir=tmp_path)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**8, enabled=scaled)
    gone = []
    for i in range(5):
        scaler.scale(model(torch.ones(2, 16)).square().mean()).backward()
        if scaled and i % 2:
            model.bias.grad[0] = float("inf")  # type: ignore[index]
        gone.append(weakref.ref(model.weight.grad))
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        assert gone[-1]() is None
