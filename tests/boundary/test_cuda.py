"""The boundary on a CUDA device: the AMP matrix, no waiting, and a captured step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning

from .recorded import Recording, Step, consumed, faults, notes_of, same

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


def warm_up(net: torch.nn.Module, optimizer: Any, data: torch.Tensor, keep: bool) -> None:
    """Steps before a capture, on a stream of their own; the kernels compile and check themselves meanwhile."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            optimizer.zero_grad(set_to_none=not keep)
            net(data).square().mean().backward()
            optimizer.step()
            torch.cuda.synchronize()
        optimizer.zero_grad(set_to_none=not keep)
    torch.cuda.current_stream().wait_stream(side)


def test_a_captured_step_whose_gradients_move_is_named_and_the_capture_succeeds(tmp_path: Path) -> None:
    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), capturable=True)
    optimizer = GradHealthWriter(optimizer, net, logdir=tmp_path)
    data = torch.randn(8, 6, device="cuda")
    warm_up(net, optimizer, data, keep=False)
    graph = torch.cuda.CUDAGraph()
    with pytest.warns(GradHealthWarning, match="captured into a CUDA graph"), torch.cuda.graph(graph):
        net(data).square().mean().backward()
        optimizer.step()
    before = net[0].weight.detach().clone()
    graph.replay()
    torch.cuda.synchronize()
    assert not torch.equal(before, net[0].weight)
    optimizer.gradhealth.close()


def test_each_replay_is_a_step_with_its_own_gradients(tmp_path: Path, recording: Recording) -> None:
    net = model()
    optimizer: Any = torch.optim.AdamW(net.parameters(), capturable=True)
    optimizer = GradHealthWriter(optimizer, net, logdir=tmp_path, every=1)
    data = torch.randn(8, 6, device="cuda")
    warm_up(net, optimizer, data, keep=True)
    graph = torch.cuda.CUDAGraph()
    # The writer's thread waits for events, which a capture in the default mode forbids every thread.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        optimizer.zero_grad(set_to_none=False)
        net(data).square().mean().backward()
        optimizer.step()
    rows = {}
    for step in range(4, 12):
        data.normal_()
        graph.replay()
        optimizer.gradhealth.replayed()
        torch.cuda.synchronize()
        rows[step] = consumed(net)
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (12, 0)
    optimizer.gradhealth.close()
    for name, parameter in net.named_parameters():
        found = recording.of(name)
        for step, figures in rows.items():
            same(found[step], figures[name], f"step {step} of {name}")
        assert parameter.is_cuda


@pytest.mark.parametrize("max_norm", [1e-3, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_our_clipping_reads_once_waits_for_nothing_and_is_torchs(
    tmp_path: Path, recording: Recording, max_norm: float, dtype: torch.dtype
) -> None:
    net, bare = model().to(dtype), model().to(dtype)
    optimizer: Any = GradHealthWriter(torch.optim.SGD(net.parameters(), lr=0.0), net, logdir=tmp_path, every=1)
    data = torch.randn(8, 6, device="cuda", dtype=dtype)
    before, after = [], []
    for step in range(8):
        for one in (net, bare):
            one.zero_grad()
            one(data * (step + 1)).square().mean().backward()
        before.append(consumed(net))
        torch.cuda.synchronize()
        if step >= 4:  # by then the kernels are compiled and checked
            torch.cuda.set_sync_debug_mode("error")
        norm = optimizer.gradhealth.clip_grad_norm_(max_norm)
        torch.cuda.set_sync_debug_mode("default")
        present = [parameter.grad.double() for parameter in bare.parameters() if parameter.grad is not None]
        right = torch.cat([gradient.flatten() for gradient in present]).norm()
        torch.testing.assert_close(norm.double(), right, rtol=1e-6 if step >= 4 else 1e-2, atol=0)
        if dtype is not torch.bfloat16:  # torch rounds its norm and factor to the dtype
            torch.nn.utils.clip_grad_norm_(bare.parameters(), max_norm)
            for mine, its in zip(net.parameters(), bare.parameters(), strict=True):
                torch.testing.assert_close(mine.grad, its.grad, rtol=2e-6, atol=0)
        after.append(consumed(net))
        optimizer.step()
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    recording.check(after)
    recording.check(before, "unclipped")
