"""A step inside a captured CUDA graph, whose replays run no Python: here a graph of our own launches, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gradhealth_kernels import device_ring, launch
from gradhealth_kernels.device import CheckedMeter
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.pinned import PinnedRing
from tb_gradhealth import GradHealthWriter
from tb_gradhealth.monitor import GradHealthWarning

from ..kernels.test_scan import by_address
from ..writer.loops import Net
from .recorded import Recording, Step, consumed


class Graph:
    """Keeps the launches of a capture instead of making them; a replay makes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.capturing = False
        self.launches: list[Callable[[], None]] = []
        monkeypatch.setattr(launch, "stays", lambda device: True)
        monkeypatch.setattr(device_ring, "meter_for", CheckedMeter)
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: self.capturing)
        graph, from_numpy = self, torch.from_numpy

        def launched(pair: FusedPair, out: torch.Tensor, variant: Any, factor: torch.Tensor | None) -> None:
            if graph.capturing:
                graph.launches.append(lambda: by_address(pair, out, variant, factor))
            else:
                by_address(pair, out, variant, factor)

        def uploaded(values: Any) -> torch.Tensor:
            assert not graph.capturing, "an upload inside the capture"
            return from_numpy(values)

        monkeypatch.setattr(FusedPair, "_launch", launched)
        monkeypatch.setattr(torch, "from_numpy", uploaded)

    def replay(self) -> None:
        for make in self.launches:
            make()


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Graph:
    return Graph(monkeypatch)


def put(model: Net, step: int) -> None:
    """The gradients of a step, in the memory of those before."""
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.copy_(torch.randn(parameter.shape, generator=generator))


def warmed_up(model: Net, logdir: Path) -> tuple[Any, list[Step]]:
    optimizer: Any = GradHealthWriter(
        torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=logdir, every=1, near_zero=1e-8
    )
    for parameter in list(model.parameters())[:-2]:
        parameter.grad = torch.zeros_like(parameter)
    rows = []
    for step in range(4):
        put(model, step)
        rows.append(consumed(model))
        optimizer.step()
    return optimizer, rows


def test_each_replay_is_a_step_and_eager_ones_may_come_between(
    tmp_path: Path, recording: Recording, graph: Graph
) -> None:
    model = Net()
    optimizer, rows = warmed_up(model, tmp_path)
    graph.capturing = True
    optimizer.step()
    graph.capturing = False
    assert len(graph.launches) == 1
    assert optimizer.gradhealth.step == 4, "a capture makes no step"
    kept = [parameter.grad for parameter in model.parameters()]
    for step in range(4, 12):
        if step in (6, 7):  # without the graph, and with gradients elsewhere
            for parameter in model.parameters():
                parameter.grad = None if parameter.grad is None else torch.ones_like(parameter) * step
            rows.append(consumed(model))
            optimizer.step()
            continue
        for parameter, gradient in zip(model.parameters(), kept, strict=True):
            parameter.grad = gradient
        put(model, step)
        rows.append(consumed(model))
        graph.replay()
        optimizer.gradhealth.replayed()
    assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (12, 0)
    optimizer.gradhealth.close()
    recording.check(rows)


def test_what_a_graph_writes_to_outlives_the_writer(tmp_path: Path, graph: Graph) -> None:
    model = Net()
    optimizer, _ = warmed_up(model, tmp_path)
    graph.capturing = True
    optimizer.step()
    graph.capturing = False
    optimizer.gradhealth.close()
    from gradhealth_kernels.device import CAPTURED

    pair, out = CAPTURED[-1]
    del optimizer
    put(model, 1)
    graph.replay()
    assert out[:6, 0].tolist() == [parameter.numel() for parameter in list(model.parameters())[:6]]
    assert isinstance(pair, FusedPair)


@pytest.mark.parametrize("moved", [True, False], ids=["gradients moved", "no step before"])
def test_a_capture_that_cannot_be_measured_is_told_once_and_left_alone(
    tmp_path: Path, graph: Graph, moved: bool
) -> None:
    model = Net()
    if moved:
        optimizer, _ = warmed_up(model, tmp_path)
        assert model.head.weight.grad is not None
        kept, model.head.weight.grad = model.head.weight.grad, torch.ones_like(model.head.weight)
        assert kept is not model.head.weight.grad
    else:
        optimizer = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.0), model, logdir=tmp_path)
    before = optimizer.gradhealth.step
    graph.capturing = True
    with pytest.warns(GradHealthWarning, match=r"zero_grad\(set_to_none=False\) and warm up for four steps"):
        optimizer.step()
    graph.capturing = False
    assert graph.launches == []
    for _ in range(3):
        optimizer.gradhealth.replayed()
    assert optimizer.gradhealth.step == before + 3, "steps that were made, without data"
    optimizer.gradhealth.close()


def test_other_looks_at_gradients_inside_a_capture_are_refused(
    tmp_path: Path, recording: Recording, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Net()
    optimizer, rows = warmed_up(model, tmp_path)
    graph.capturing = True
    with (
        monkeypatch.context() as inside,
        pytest.warns(GradHealthWarning, match="only the optimizer's step can be measured"),
    ):
        inside.setattr(PinnedRing, "borrow", lambda ring: pytest.fail("asks for an event inside the capture"))
        inside.setattr(StepRing, "take", lambda *_: pytest.fail("copies inside the capture"))
        optimizer.zero_grad(set_to_none=False)
        optimizer.gradhealth.clip_grad_norm_(1e9)
        optimizer.step()
    graph.capturing = False
    assert optimizer.gradhealth.step == 4
    assert len(graph.launches) == 1
    put(model, 4)
    graph.replay()
    optimizer.gradhealth.replayed()
    rows.append(consumed(model))
    optimizer.gradhealth.close()
    recording.check(rows)
