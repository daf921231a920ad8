"""Attention weights and scores, head by head, against float64 figures from outside the writer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run

from .golden import Tensor, assert_rows
from .test_inputs import Loop, rows_of

STEPS, EVERY = 13, 4
HEADS = 3


def spaced(size: int, most: int) -> list[int]:
    return [i * size // min(size, most) for i in range(min(size, most))]


def looked_at(tensor: Tensor) -> Tensor:
    """``[batch, head, query, key]`` → what is looked at of it, ``[head, batch, query, key]``."""
    return tensor[spaced(len(tensor), 16)][:, :, spaced(tensor.shape[2], 64)].transpose(1, 0, 2, 3)


def entropies(rows: Tensor) -> list[float]:
    """Of each row of weights with several keys, as a share of the largest."""
    found = []
    for row in rows.reshape(-1, rows.shape[-1]):
        keys = int((row > 0).sum())
        if keys > 1:
            found.append(-math.fsum(p * math.log(p) for p in row / row.sum() if p > 0) / math.log(keys))
    return found


def apart(one: Tensor, other: Tensor) -> float:
    """The distance of two heads' mean maps; each is ``[batch, query, key]``."""
    return float(np.abs(one.mean(0) - other.mean(0)).sum(-1).mean()) / 2


def soft(scores: Tensor) -> Tensor:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def further(weights: dict[int, dict[str, Tensor]]) -> dict[str, object]:
    """``weights[step][node]`` is ``[head, batch, query, key]``."""

    def heads(step: int, names: Sequence[str]) -> list[tuple[Tensor, int]]:
        return [(weights[step][name.rpartition(".")[0]], int(name.rpartition(".head")[2])) for name in names]

    def entropy(step: int, names: Sequence[str]) -> float:
        return float(np.mean([one for maps, head in heads(step, names) for one in entropies(maps[head])]))

    def diversity(step: int, names: Sequence[str]) -> float:
        pairs = [(maps[head], maps[i]) for maps, head in heads(step, names) for i in range(len(maps)) if i != head]
        return float(np.mean([apart(*pair) for pair in pairs]))

    return {"attention_entropy": entropy, "head_diversity": diversity}


def masked(scores: torch.Tensor, value: float) -> torch.Tensor:
    """Causal, and the last two keys are padding."""
    queries, keys = scores.shape[-2:]
    hidden = torch.ones(queries, keys, dtype=torch.bool).triu(1)
    hidden[:, -2:] = True
    hidden[:, 0] = False
    return scores.masked_fill(hidden, value)


@pytest.mark.parametrize(
    ("steps", "batch", "queries", "keys"), [(13, 2, 9, 9), (2, 21, 100, 20)], ids=["whole", "spaced"]
)
def test_every_row_and_metric_of_weights(tmp_path: Path, steps: int, batch: int, queries: int, keys: int) -> None:
    loop = Loop(tmp_path, EVERY)
    sampled, weights = {}, {}
    for step in range(steps):
        given = {f"block{i}.attn": torch.randn(batch, HEADS, queries, keys) * (i + 1) for i in range(2)}
        given = {name: masked(one, -torch.inf).softmax(-1) for name, one in given.items()}
        for name, one in given.items():
            loop.monitor.observe(name, one, kind="attention")
        loop.step()
        if step % EVERY == 0:
            weights[step] = {name: looked_at(one.double().numpy()) for name, one in given.items()}
            sampled[step] = {f"{n}.head{h}": maps[h] for n, maps in weights[step].items() for h in range(HEADS)}
    loop.monitor.close()
    assert_rows(open_run(tmp_path), "attention", sampled, further(weights))


@pytest.mark.parametrize(("value", "dtype"), [(-torch.inf, torch.float32), (-1e9, torch.float32), (-6e4, torch.half)])
def test_every_row_and_metric_of_scores(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    loop = Loop(tmp_path, EVERY)
    sampled, weights = {}, {}
    for step in range(STEPS):
        plain = (torch.randn(2, HEADS, 7, 9) * 4).to(dtype)
        loop.monitor.observe("attn", masked(plain, value), kind="scores")
        loop.step()
        if step % EVERY == 0:
            scores = looked_at(masked(plain.double(), -torch.inf).numpy())
            weights[step] = {"attn": soft(scores)}
            sampled[step] = {f"attn.head{h}": scores[h][np.isfinite(scores[h])] for h in range(HEADS)}
    loop.monitor.close()
    run = open_run(tmp_path)

    def of_all(figure: np.ufunc) -> object:
        return lambda step, names: float(figure.reduce([figure.reduce(sampled[step][name]) for name in names]))

    more = {
        "minimum": of_all(np.minimum),
        "maximum": of_all(np.maximum),
        "masked": lambda step, names: 1 - np.mean([sampled[step][name].size for name in names]) / (2 * 7 * 9),
    }
    assert_rows(run, "attention_scores", sampled, {**further(weights), **more})


def test_what_the_figures_mean(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    keys = 8
    uniform, first = torch.full((1, 2, 5, keys), 1 / keys), torch.zeros(1, 2, 5, keys)
    first[..., 0] = 1
    half = torch.zeros(1, 2, 5, keys)
    half[:, 0, :, :4], half[:, 1, :, 4:] = 0.25, 0.25
    for name, one in {"uniform": uniform, "first": first + 1e-30, "half": half}.items():
        loop.monitor.observe(name, one, kind="attention")
    loop.monitor.observe("one_head", uniform[:, 0], kind="attention")
    loop.step()
    loop.monitor.close()

    def figure(metric: str, node: str) -> float:
        return rows_of(tmp_path, "attention", metric, node)[0]

    assert figure("attention_entropy", "uniform.head1") == pytest.approx(1, abs=2e-3)
    assert figure("attention_entropy", "first.head0") == pytest.approx(0, abs=1e-9)
    assert figure("attention_entropy", "half") == pytest.approx(1, abs=2e-3)
    assert figure("head_diversity", "uniform") == 0
    assert figure("head_diversity", "half.head0") == pytest.approx(1, abs=2e-3)
    assert figure("attention_entropy", "one_head") == pytest.approx(1, abs=2e-3)
    assert math.isnan(figure("head_diversity", "one_head"))


def test_rows_that_are_masked_whole_or_not_finite_cost_only_themselves(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    scores = torch.zeros(1, 2, 4, 4)
    scores[0, 0, 1] = -torch.inf
    scores[0, 1, 2, 0] = torch.nan
    loop.monitor.observe("attn", scores, kind="scores")
    loop.step()
    problems = loop.monitor.problems
    loop.monitor.close()
    assert problems == 0
    assert rows_of(tmp_path, "attention_scores", "attention_entropy", "attn")[0] == pytest.approx(1, abs=2e-3)
    assert rows_of(tmp_path, "attention_scores", "masked", "attn.head0")[0] == pytest.approx(0.25, rel=2e-3)
    assert rows_of(tmp_path, "attention_scores", "nonfinite", "attn")[0] == 1


class Attending(torch.nn.Module):
    """Embeds, attends, predicts; keeps what it attended to."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = torch.nn.Linear(3, 8)
        self.attend = torch.nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.head = torch.nn.Linear(8, 1)
        self.weights = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(x)
        hidden, self.weights = self.attend(hidden, hidden, hidden, average_attn_weights=False)
        out: torch.Tensor = self.head(hidden)
        return out


def trained(logdir: Path | None) -> list[torch.Tensor]:
    """All that training leaves behind, with every stream on or with none."""
    model = Attending()
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-2)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=2, streams="all")
    left = []
    for _ in range(9):
        x = torch.randn(5, 4, 3)
        out = model(x)
        if logdir is not None:
            observe = optimizer.gradhealth.observe
            observe("x", x)
            observe("out", out, kind="prediction")
            observe("attend", model.weights, kind="attention")
            observe("attend", model.weights.log(), kind="scores")
        loss = (out - x.sum(-1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        left.append(loss.detach().clone())
    if logdir is not None:
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()
    left += [parameter.detach() for parameter in model.parameters()]
    left += [value for state in optimizer.state.values() for value in state.values()]
    return [*left, torch.get_rng_state()]


def test_training_is_bit_identical_with_every_stream_on(tmp_path: Path) -> None:
    for one, other in zip(trained(None), trained(tmp_path), strict=True):
        assert torch.equal(one, other)
    run = open_run(tmp_path)
    assert {"inputs", "predictions", "attention", "attention_scores", "exponents", "weights"} <= set(run.streams)
    assert run.timeline("attention").tree.names[-2:] == ("attend.head0", "attend.head1")
    assert list(run.scalars()) == ["lr"]
