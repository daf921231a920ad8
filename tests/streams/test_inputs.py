"""Inputs and predictions of a real training against float64 figures from outside the writer."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tests.writer.loops import Net

from .golden import Further, Tensor, assert_rows

STEPS, EVERY = 33, 5
#: Tensors ``[sample, …]`` of a name, as they were given before a step.
Given = dict[int, dict[str, list[Tensor]]]


def double(tensor: torch.Tensor) -> Tensor:
    return tensor.detach().double().numpy().copy()


def flat(batch: Tensor) -> Tensor:
    return batch.reshape(len(batch), -1)


def between(batch: Tensor) -> float:
    return float(((flat(batch) - flat(batch).mean(0)) ** 2).sum())


def distances(batch: Tensor, most: int = 64) -> list[float]:
    rows = flat(batch)
    chosen = [i * len(rows) // min(most, len(rows)) for i in range(min(most, len(rows)))]
    return [float(np.sqrt(((rows[i] - rows[j]) ** 2).sum())) for i, j in itertools.combinations(chosen, 2)]


def further(given: Given) -> dict[str, Further]:
    def batches(step: int, names: Sequence[str]) -> list[Tensor]:
        return [batch for name in names for batch in given[step].get(name, [])]

    def elements(step: int, names: Sequence[str]) -> Tensor:
        return np.concatenate([batch.ravel() for batch in batches(step, names)])

    def dead(step: int, names: Sequence[str]) -> float:
        features = [(np.abs(flat(batch)) < 1e-8).all(0) for batch in batches(step, names)]
        return float(np.concatenate(features).mean())

    def spread(step: int, names: Sequence[str]) -> float:
        total = float((elements(step, names) ** 2).sum())
        return float(np.sqrt(sum(map(between, batches(step, names))) / total)) if total else 0.0

    def distance(step: int, names: Sequence[str]) -> float:
        return float(np.mean([one for batch in batches(step, names) for one in distances(batch)]))

    return {
        "minimum": lambda step, names: float(elements(step, names).min()),
        "maximum": lambda step, names: float(elements(step, names).max()),
        "beyond": lambda step, names: float((np.abs(elements(step, names)) > 3).mean()),
        "dead_features": dead,
        "batch_spread": spread,
        "pair_distance": distance,
    }


def joined(given: Given) -> dict[int, dict[str, Tensor]]:
    return {
        step: {name: np.concatenate([one.ravel() for one in tensors]) for name, tensors in names.items()}
        for step, names in given.items()
    }


def train(logdir: Path | None, dtype: torch.dtype = torch.float32) -> tuple[list[torch.Tensor], Given, Given]:
    """Two micro-batches a step; what training leaves behind, and what was given, at every step."""
    model = Net()
    torch.manual_seed(3)
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-2)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=EVERY)
    inputs: Given = {}
    predictions: Given = {}
    left = []
    for step in range(STEPS):
        inputs[step], predictions[step] = {}, {}
        optimizer.zero_grad()
        for _ in range(2):
            x = torch.randn(70, 6) * torch.tensor([1.0, 4.0, 1.0, 0.0, 1.0, 1.0])
            image = (torch.randn(4, 2, 3, 3) + 5).to(dtype)
            image[:, 1, 0] = 0
            out = model(x)
            if logdir is not None:
                optimizer.gradhealth.observe("batch.x", x)
                optimizer.gradhealth.observe("batch.image", image, kind="input")
                optimizer.gradhealth.observe("out", out, kind="prediction")
                optimizer.gradhealth.observe("hidden.constant", torch.full((3, 2), 0.25), kind="prediction")
            inputs[step].setdefault("batch.x", []).append(double(x))
            inputs[step].setdefault("batch.image", []).append(double(image))
            predictions[step].setdefault("out", []).append(double(out))
            predictions[step].setdefault("hidden.constant", []).append(np.full((3, 2), 0.25))
            loss = (out - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
        optimizer.step()
        left.append(loss.detach().clone())
    if logdir is not None:
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()
    return [*left, *(p.detach().clone() for p in model.parameters()), torch.get_rng_state()], inputs, predictions


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_every_row_and_metric(tmp_path: Path, dtype: torch.dtype) -> None:
    left, inputs, predictions = train(tmp_path, dtype)
    bare, _, _ = train(None, dtype)
    assert all(torch.equal(one, other) for one, other in zip(left, bare, strict=True))
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "inputs", "predictions"]
    for stream, given in (("inputs", inputs), ("predictions", predictions)):
        sampled = {step: given[step] for step in range(0, STEPS, EVERY)}
        assert_rows(run, stream, joined(sampled), further(sampled))
    spread = run.read("predictions", "batch_spread", nodes=["hidden.constant"])
    assert (spread.values == 0).all()


class Loop:
    """Steps of a small model, and what is given before each."""

    def __init__(self, logdir: Path, every: int = EVERY) -> None:
        self.model = torch.nn.Linear(2, 1)
        self.optimizer: Any = GradHealthWriter(
            torch.optim.SGD(self.model.parameters(), lr=0.1), self.model, logdir=logdir, every=every
        )

    @property
    def monitor(self) -> Any:
        return self.optimizer.gradhealth

    def step(self) -> None:
        self.model(torch.ones(3, 2)).sum().backward()
        self.optimizer.step()


def rows_of(logdir: Path, stream: str, metric: str = "mean", node: str = "") -> dict[int, float]:
    found = open_run(logdir).read(stream, metric, nodes=[node])
    return dict(zip(found.steps[:, 0].tolist(), found.values[0].tolist(), strict=True))


def test_the_first_step_of_a_row_at_which_something_is_given_stands_for_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    for step in range(20):
        if step % 5 >= 2 and step != 13:
            loop.monitor.observe("x", torch.full((2, 2), float(step)))
        loop.step()
    loop.monitor.close()
    assert rows_of(tmp_path, "inputs") == {2: 2.0, 7: 7.0, 12: 12.0, 17: 17.0}


def test_a_name_that_comes_later_and_shapes_that_vary(tmp_path: Path) -> None:
    loop = Loop(tmp_path, every=1)
    for step in range(6):
        loop.monitor.observe("x", torch.full((2 + step, 3, 1 + step), 1.0))
        if step >= 3:
            loop.monitor.observe("late.y", torch.full((2, 2), 4.0, dtype=torch.float16))
        loop.step()
    loop.monitor.close()
    run = open_run(tmp_path)
    found = run.read("inputs", "abs_max", nodes=["x"])
    assert found.values.tolist() == [[1.0] * 6]
    assert len(run.timeline("inputs").sessions) == 2
    late = run.read("inputs", "abs_max", nodes=["late.y"], steps=(3, 6))
    assert late.values.tolist() == [[4.0] * 3]


def test_elements_that_are_not_finite_count_and_hide_nothing_else(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    x = torch.tensor([[1.0, 2.0, torch.nan], [3.0, torch.inf, 0.5], [5.0, 2.0, 0.5]])
    loop.monitor.observe("x", x)
    loop.step()
    loop.monitor.close()
    assert rows_of(tmp_path, "inputs", "nonfinite")[0] == 2
    assert rows_of(tmp_path, "inputs", "beyond")[0] == pytest.approx(2 / 9, rel=2e-3)
    # Means over the finite: 3, 2, 0.5, of which only the first feature differs.
    total = 1 + 4 + 9 + 0.25 + 25 + 4 + 0.25
    assert rows_of(tmp_path, "inputs", "batch_spread")[0] == pytest.approx(np.sqrt(8 / total), rel=2e-3)
    assert rows_of(tmp_path, "inputs", "pair_distance")[0] == pytest.approx((2 + 4 + 2) / 3, rel=2e-3)


def test_a_last_batch_of_one_sample_does_not_look_like_collapse(tmp_path: Path) -> None:
    loop = Loop(tmp_path, every=1)
    for step in range(6):
        loop.monitor.observe("x", torch.randn(1 if step == 3 else 4, 2))
        loop.monitor.observe("single", torch.randn(1, 2))
        loop.monitor.observe("zeros", torch.zeros(3, 2))
        loop.step()
    loop.monitor.close()
    found = rows_of(tmp_path, "inputs", "batch_spread", "x")
    assert [math.isnan(one) for one in found.values()] == [step == 3 for step in range(6)]
    assert list(rows_of(tmp_path, "inputs", "batch_spread", "zeros").values()) == [0.0] * 6
    assert all(map(math.isnan, rows_of(tmp_path, "inputs", "batch_spread", "single").values()))
    assert all(map(math.isnan, rows_of(tmp_path, "inputs", "pair_distance", "single").values()))


def test_wrong_arguments_are_told_once_each_and_raise_nothing(tmp_path: Path) -> None:
    loop = Loop(tmp_path, every=1)
    wrong = [
        ("tokens", torch.ones(2, 2, dtype=torch.long), "input", "torch.int64"),
        ("list", [torch.ones(2)], "input", "got list"),
        ("x", torch.ones(2), "activation", "expected one of input, prediction, attention, scores"),
        ("x", torch.ones(2), ["input"], "expected one of"),
        ("a..b", torch.ones(2), "input", "expected a name"),
        (7, torch.ones(2), "input", "expected a name"),
        ("sparse", torch.eye(2).to_sparse(), "input", "dense"),
        ("meta", torch.ones(2, device="meta"), "input", "dense"),
        ("flat", torch.ones(2), "attention", "[batch, head, query, key]"),
    ]
    told: list[str] = []
    loop.monitor.report = told.append
    for _ in range(3):
        for name, tensor, kind, _ in wrong:
            loop.monitor.observe(name, tensor, kind)
        loop.monitor.observe("good", torch.ones(2, 2))
        loop.monitor.observe("empty", torch.ones(0, 2))
        loop.step()
    loop.monitor.close()
    assert len(told) == len(wrong)
    for (*_, expected), text in zip(wrong, told, strict=True):
        assert expected in text
    assert list(open_run(tmp_path).timeline("inputs").tree.names) == ["", "good"]


def test_at_most_64_names(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    told: list[str] = []
    loop.monitor.report = told.append
    for index in range(100):
        loop.monitor.observe(f"x{index}", torch.ones(2, 2))
    loop.step()
    loop.monitor.close()
    assert len(told) == 1
    assert "more than 64 names" in told[0]
    assert len(open_run(tmp_path).timeline("inputs").tree.names) == 1 + 64


def test_nothing_is_kept_alive_and_nothing_done_between_rows(tmp_path: Path) -> None:
    loop = Loop(tmp_path, every=4)
    kept = []
    for step in range(8):
        x = torch.randn(4, 2, requires_grad=True) * 2
        version = x._version
        loop.monitor.observe("x", x)
        assert x._version == version
        kept.append(weakref.ref(x))
        del x
        assert kept[-1]() is None, step
        loop.step()
    monitor = loop.monitor
    monitor.observe("x", torch.ones(2, 2))  # of a step that never comes
    monitor.close()
    monitor.observe("x", torch.ones(2, 2))
    assert list(rows_of(tmp_path, "inputs")) == [0, 4]


def test_inside_autocast_inference_mode_and_a_default_device(tmp_path: Path) -> None:
    loop = Loop(tmp_path, every=1)
    x = torch.randn(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        loop.monitor.observe("x", x)
    loop.step()
    with torch.inference_mode():
        loop.monitor.observe("x", x * 1)
    loop.step()
    with torch.device("meta"):
        loop.monitor.observe("x", x)
    loop.step()
    problems = loop.monitor.problems
    loop.monitor.close()
    assert problems == 0
    for metric in ("pair_distance", "batch_spread", "norm"):
        assert len(set(rows_of(tmp_path, "inputs", metric).values())) == 1


def test_of_a_closure_the_first_evaluation_counts(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=4)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1)
    calls = itertools.count()
    first = []
    for _ in range(3):
        begun = next(calls)
        first.append(float(begun))

        def closure(at: list[int] = [begun]) -> torch.Tensor:  # noqa: B006
            optimizer.zero_grad()
            optimizer.gradhealth.observe("x", torch.full((2, 2), float(at[0])))
            at[0] = next(calls)
            loss: torch.Tensor = (model(torch.eye(2)) - 1).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    found = open_run(tmp_path).read("inputs", "maximum", nodes=["x"])
    np.testing.assert_allclose(found.values[0], first, rtol=2e-3)
    assert next(calls) > 6
