"""When parameters are looked at, by several optimizers and around steps that raise."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.streams.sampling import ParameterSampling
from tb_gradhealth.streams.updates import Updates
from tb_gradhealth.streams.weights import Weights, participation
from tests.writer.loops import Net, losses


def test_two_optimizers_that_step_at_other_steps_share_each_row(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    one: Any = torch.optim.SGD(first.parameters(), lr=0.01)
    other: Any = torch.optim.SGD(second.parameters(), lr=0.01)
    norms: dict[int, float] = {}
    with GradHealthWriter(one, first, logdir=tmp_path, every=10, streams=["weights", "updates"], prefix="first"):
        GradHealthWriter(other, second, beside=one, prefix="second")
        for step in range(60):
            first(torch.randn(2, 4)).square().mean().backward()
            one.step()
            if step % 5 == 4:
                second(torch.randn(2, 4)).square().mean().backward()
                if step % 10 == 4:
                    norms[step // 10] = float(second.weight.detach().norm())
                other.step()
        assert one.gradhealth.problems == 0
    run = open_run(tmp_path)
    assert run.problems == []
    found = run.read("weights", "norm", nodes="second.weight")
    np.testing.assert_allclose(found.values[0], list(norms.values()), rtol=2e-3)
    assert not np.isnan(run.read("updates", "update_ratio").values).any()


class Raising(torch.optim.SGD):
    fails = False

    def step(self, closure: Any = None) -> Any:
        if self.fails:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().step(closure)


def test_a_step_that_raises_leaves_no_copy_of_the_weights(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = Raising(model.parameters(), lr=0.01)
    with GradHealthWriter(optimizer, model, logdir=tmp_path, every=2, streams=["updates"]):
        for step, _ in enumerate(losses(model, 6)):
            optimizer.fails = step == 2
            if optimizer.fails:
                with pytest.raises(torch.OutOfMemoryError):
                    optimizer.step()
                continue
            optimizer.step()
            (sampling,) = optimizer.gradhealth._session._sampling.values()
            source = sampling.source(Updates)
            assert source is not None
            assert source._copies == []
        assert optimizer.gradhealth.problems == 0
    assert open_run(tmp_path).read("updates").steps[:, 0].tolist() == [0, 4]


def test_a_source_that_fails_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("no room")

    monkeypatch.setattr(Weights, "before", fail)
    model = Net()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01)
    with GradHealthWriter(optimizer, model, logdir=tmp_path, every=5, streams=["weights", "updates"]):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in losses(model, 12):
                optimizer.step()
        assert optimizer.gradhealth.problems == 3
    assert "no room" in str(caught[0].message)
    assert open_run(tmp_path).streams == ["gradients", "updates"]


def test_what_was_sampled_of_a_step_that_went_on_is_not_forgotten() -> None:
    recorded: list[str] = []
    sampling = ParameterSampling(
        ["weights"], 5, 1e-8, 0, lambda start, sample: recorded.append(sample.stream.name), recorded.append
    )
    parameters = [torch.ones(2)]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for step in (3, 4, 5, 9, 10):
        sampling.before(step, optimizer, parameters)
        sampling.after(optimizer, parameters)
    assert recorded == ["weights"] * 3


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        (torch.zeros(3, 4), 0.0),
        (torch.eye(5), 5.0),
        (torch.full((3, 4), 1e30), 1.0),
        (torch.diag(torch.tensor([1.0, 1.0, float("nan")])), 2.0),
        (torch.eye(600), 512.0),
    ],
)
def test_participation_of_odd_matrices(matrix: torch.Tensor, rank: float) -> None:
    assert float(participation(matrix)) == pytest.approx(rank)
