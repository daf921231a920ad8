"""The boundary on a CUDA device: the AMP matrix, no waiting, and a captured step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning

from .recorded import Recording, Step, consumed, faults, notes_of

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

ATTEMPTS, BAD = 10, (4, 7)


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Tanh(), torch.nn.Linear(64, 3)).cuda()


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("mode", ["auto", "unscale_", "clip"])
def test_attempts_under_a_scaler(tmp_path: Path, recording: Recording, options: dict[str, bool], mode: str) -> None:
    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), lr=1e-3, **options)
    optimizer = GradHealthWriter(optimizer, net, logdir=tmp_path, every=1)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**12)
    shown: list[Step] = []
    for attempt in range(ATTEMPTS):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            loss = net(torch.randn(8, 6, device="cuda")).float().square().mean()
        scaler.scale(loss).backward()
        if attempt in BAD:
            net[2].weight.grad[0, 0] = float("nan")
        scale = scaler.get_scale()
        for parameter in net.parameters():
            parameter.grad.div_(scale)
        shown.append(consumed(net))
        for parameter in net.parameters():
            parameter.grad.mul_(scale)  # a power of two: nothing is rounded
        if mode != "auto":
            scaler.unscale_(optimizer)
        if mode == "clip":
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            if attempt not in BAD:
                shown[-1] = consumed(net)
        scaler.step(optimizer)
        scaler.update()
    monitor = optimizer.gradhealth
    monitor.close()
    assert (monitor.step, monitor.problems) == (ATTEMPTS, 0)
    recording.check(shown)
    notes = notes_of(tmp_path)
    assert [(note.step, note.kind) for note in notes] == [(attempt, "skipped") for attempt in BAD]
    assert all(faults(note) == {"2.weight": (1, 0, 0)} for note in notes)


def test_nothing_waits_for_the_device(tmp_path: Path) -> None:
    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), fused=True)
    optimizer = GradHealthWriter(optimizer, net, logdir=tmp_path, every=5)
    data = torch.randn(8, 6, device="cuda")
    for step in range(40):
        net(data).square().mean().backward()
        if step == 2:  # first use compiles and checks kernels
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("error")
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.set_sync_debug_mode("default")
    monitor = optimizer.gradhealth
    monitor.close()
    assert (monitor.step, monitor.problems) == (40, 0)


def test_a_captured_step_is_named_and_the_capture_succeeds(tmp_path: Path) -> None:
    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), capturable=True)
    optimizer = GradHealthWriter(optimizer, net, logdir=tmp_path)
    data = torch.randn(8, 6, device="cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            optimizer.zero_grad()
            net(data).square().mean().backward()
            optimizer.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad()
    with pytest.warns(GradHealthWarning, match="captured into a CUDA graph"), torch.cuda.graph(graph):
        net(data).square().mean().backward()
        optimizer.step()
    before = net[0].weight.detach().clone()
    graph.replay()
    torch.cuda.synchronize()
    assert not torch.equal(before, net[0].weight)
    optimizer.gradhealth.close()
