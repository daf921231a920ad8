"""Dead rows of real trainings against NumPy, from gradients that were kept beside the training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.monitor import GradHealthWarning
from tb_gradhealth.streams.dead_rows import DeadRows

from .golden import Step, assert_rows

STEPS, EVERY = 23, 5
SAMPLED = range(0, STEPS, EVERY)
WORDS, WIDTH = 50, 6


class Reader(torch.nn.Module):
    """Words → a number: an embedding, a convolution, a layer of which some ReLUs are dead, one without a gradient."""

    def __init__(self, sparse: bool = False, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(WORDS, WIDTH, sparse=sparse)
        self.convolution = torch.nn.Conv1d(WIDTH, 8, 3)
        self.hidden = torch.nn.Linear(8, 10)
        self.head = torch.nn.Linear(10, 1)
        self.unused = torch.nn.Linear(3, 3)
        with torch.no_grad():
            self.hidden.bias[:] = 2
            self.hidden.bias[[2, 5, 6]] = -1e3
        self.to(dtype)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        seen = self.convolution(self.embedding(words).transpose(1, 2)).mean(2)
        out: torch.Tensor = self.head(torch.relu(self.hidden(seen)))
        return out


def losses(model: Reader, steps: int = STEPS) -> Iterator[torch.Tensor]:
    """The loss of each step; of some steps none, and of one step NaN."""
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        words = torch.randint(WORDS, (4, 5), generator=generator)
        model.zero_grad()
        loss = model(words).square().mean()
        yield loss * float("nan") if step == 15 else loss


def kept(model: torch.nn.Module) -> Step:
    return {
        name: parameter.grad.detach().to_dense().double().numpy().copy()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.dim() > 1
    }


def dead(gradient: Any) -> list[int]:
    with np.errstate(invalid="ignore"):
        return [row for row, values in enumerate(gradient) if (np.abs(values) < 1e-8).all()]


def share(sampled: dict[int, Step]) -> Any:
    def further(step: int, names: Any) -> float:
        own = [sampled[step][name] for name in names if name in sampled[step]]
        return sum(len(dead(one)) for one in own) / sum(map(len, own)) if own else np.nan

    return {"dead_row_fraction": further}


def train(model: Reader, optimizer: Any, logdir: Path, **options: Any) -> dict[int, Step]:
    """Gradients of the matrices at the sampled steps, which the list on demand agrees with."""
    sampled = {}
    with GradHealthWriter(optimizer, model, logdir=logdir, every=EVERY, streams=["dead_rows"], **options):
        for step, loss in enumerate(losses(model)):
            loss.backward()
            gradients = kept(model)
            optimizer.step()
            if step in SAMPLED:
                sampled[step] = gradients
            last = sampled[step - step % EVERY]
            found = {name: rows.tolist() for name, rows in optimizer.gradhealth.dead_rows().items()}
            assert found == {name: dead(one) for name, one in last.items() if dead(one)}
        assert optimizer.gradhealth.problems == 0
    return sampled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_absent_tokens_and_dead_units(tmp_path: Path, dtype: torch.dtype) -> None:
    model = Reader(dtype=dtype)
    sampled = train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path)
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "dead_rows"]
    assert [dead(step["hidden.weight"]) for step in sampled.values()] == [[2, 5, 6]] * 4 + [[]]
    assert 0 < len(dead(sampled[0]["embedding.weight"])) < WORDS
    assert_rows(run, "dead_rows", sampled, share(sampled))
    found = run.read("dead_rows", "dead_row_fraction", view="max")
    assert found.values[found.nodes.index("hidden.weight")][:4] == pytest.approx([0.3] * 4, rel=1e-3)


def test_rows_that_a_sparse_gradient_leaves_out_are_dead(tmp_path: Path) -> None:
    model = Reader(sparse=True)
    sampled = train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path)
    assert_rows(open_run(tmp_path), "dead_rows", sampled, share(sampled))


@pytest.mark.parametrize("fused", [False, True])
def test_loss_scaled_gradients_are_looked_at_unscaled(tmp_path: Path, fused: bool) -> None:
    """Rows that are near zero, and were not before unscaling. A fused optimizer finds them still scaled."""
    model, sampled = Reader(), {}
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-4, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14)
    with GradHealthWriter(optimizer, model, logdir=tmp_path, every=EVERY, streams=["dead_rows"]):
        for step, loss in enumerate(losses(model, 15)):
            scaler.scale(loss * 1e-7).backward()
            scaled = kept(model)
            scaler.step(optimizer)
            scaler.update()
            if step in SAMPLED:
                sampled[step] = {name: one / 2.0**14 for name, one in scaled.items()}
                assert len(dead(sampled[step]["hidden.weight"])) > len(dead(scaled["hidden.weight"]))
        assert optimizer.gradhealth.problems == 0
    assert_rows(open_run(tmp_path), "dead_rows", sampled, share(sampled))


@pytest.mark.parametrize(("dtype", "near_zero"), [(torch.float32, 1e-2), (torch.float16, 1e-8)], ids=str)
def test_near_zero_is_what_the_writer_was_given(tmp_path: Path, dtype: torch.dtype, near_zero: float) -> None:
    """In every stream alike. The least number of float16 is 6e-8, so by default zeros alone are near zero there."""
    model = Reader(dtype=dtype)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01)
    options: Any = {"near_zero": near_zero, "streams": ["weights", "dead_rows"], "activations": True}
    with GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, **options):
        next(losses(model, 1)).backward()
        optimizer.gradhealth.observe("x", torch.tensor([[1e-3, 1.0], [2e-3, 0.0]]))
        gradients = kept(model)
        whole = {name: parameter.detach().double().numpy().copy() for name, parameter in model.named_parameters()}
        optimizer.step()
        assert optimizer.gradhealth.problems == 0
    run = open_run(tmp_path)
    assert {run.timeline(stream).sessions[0].schema.near_zero for stream in run.streams} == {near_zero}

    def of(stream: str, metric: str) -> dict[str, float]:
        found = run.read(stream, metric)
        return dict(zip(found.nodes, found.values[:, 0].tolist(), strict=True))

    dead_rows, near = of("dead_rows", "dead_row_fraction"), of("weights", "near_zero_fraction")
    for name, gradient in gradients.items():
        assert dead_rows[name] == pytest.approx((np.abs(gradient) < near_zero).all(1).mean(), rel=2e-3), name
    for name, weight in whole.items():
        assert near[name] == pytest.approx((np.abs(weight) < near_zero).mean(), rel=2e-3), name
    assert of("inputs", "dead_features")["x"] == (0.5 if near_zero > 2e-3 else 0.0)


def test_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    trained = []
    for watched in (False, True):
        model = Reader()
        optimizer: Any = torch.optim.AdamW(model.parameters(), lr=0.01)
        if watched:
            optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, streams=["dead_rows"])
        for loss in losses(model, 12):
            loss.backward()
            optimizer.step()
        if watched:
            optimizer.gradhealth.close()
        trained.append([*model.state_dict().values(), torch.get_rng_state()])
    for bare, own in zip(*trained, strict=True):
        assert torch.equal(bare, own)


def test_a_model_without_matrices_has_no_such_stream(tmp_path: Path) -> None:
    model = torch.nn.LayerNorm(4)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradHealthWriter(optimizer, model, logdir=tmp_path, streams=["dead_rows"]):
        model(torch.arange(8.0).reshape(2, 4)).sum().backward()
        optimizer.step()
        assert optimizer.gradhealth.dead_rows() == {}
    assert open_run(tmp_path).streams == ["gradients"]


def test_asking_for_what_is_not_looked_at_is_told(tmp_path: Path) -> None:
    model = Reader()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradHealthWriter(optimizer, model, logdir=tmp_path):
        next(losses(model)).backward()
        assert optimizer.gradhealth.dead_rows() == {}
        optimizer.step()
        with pytest.warns(GradHealthWarning, match=r'dead_rows\(\): expected a recording with streams=\["dead_rows"\]'):
            assert optimizer.gradhealth.dead_rows() == {}
    assert optimizer.param_groups


def test_nothing_of_a_gradient_is_kept(tmp_path: Path) -> None:
    """Marks, one byte for each row, and the places of a sparse gradient's rows."""
    model = Reader(sparse=True)
    source = DeadRows()
    next(losses(model)).backward()
    parameters = list(model.parameters())
    (sample,) = source.before(torch.optim.SGD(parameters, lr=0.1), parameters, parameters)
    assert [tensor is not None for tensor in sample.tensors] == [p.dim() > 1 and p.grad is not None for p in parameters]
    del sample
    assert source._found is not None
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    held = [one._values() if one.is_sparse else one for one in gradients]
    memory = {one.untyped_storage().data_ptr() for one in held}
    for one in source._found._marked.values():
        assert one.alive.dtype is torch.uint8
        assert one.alive.untyped_storage().data_ptr() not in memory
        if one.places is not None:
            assert one.places.untyped_storage().nbytes() == one.places.numel() * 8
