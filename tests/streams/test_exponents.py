"""The histogram of exponents, and what other formats would lose, against float64 from outside the writer."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradhealth_kernels.exponent_table import LOSSES, SPANS
from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.plugin.exponents import exponents
from tb_gradhealth.reading.choose import AskedError
from tests.plugin.board import Board
from tests.writer.loops import Net, losses

from .golden import Tensor, inside

STEPS, EVERY = 33, 5
SAMPLED = range(0, STEPS, EVERY)

#: Half of the smallest subnormal, the smallest normal, and the power of two above the largest, as exponents.
FORMATS = {"fp16": (-25, -14, 16), "bf16": (-126, -126, 128), "e4m3": (-10, -6, 9), "e5m2": (-17, -14, 16)}
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


def wanted(name: str, elements: Tensor) -> float:
    """Share of all elements that the metric ``name`` counts."""
    size = np.abs(elements)
    kind, _, about = name.partition("_")
    if kind == "exponent":
        low, high = (2.0 ** float(end) for end in about.split("_"))
        return float(((size > 0) & (size >= low) & (size < high)).mean())
    zero, normal, top = (2.0**exponent for exponent in FORMATS[about])
    chosen = {"underflow": size < zero, "subnormal": size < normal, "overflow": size >= top}[kind]
    return float((chosen & (size > 0) & np.isfinite(size)).mean())


def train(
    logdir: Path | None, dtype: torch.dtype = torch.float32
) -> tuple[list[torch.Tensor], dict[int, Any], dict[int, Any]]:
    """What training leaves behind, and gradients (of all magnitudes, some 0) and weights that each step finds."""
    model = Net(dtype)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    if logdir is not None:
        optimizer = GradHealthWriter(
            optimizer, model, logdir=logdir, every=EVERY, streams=["exponents", "weight_exponents"]
        )
    left, seen, weights = [], {}, {}
    random = np.random.default_rng(0)
    for step, loss in enumerate(losses(model, STEPS)):
        for parameter in model.parameters():
            if parameter.grad is not None:
                powers = 2.0 ** random.uniform(-100, 40, tuple(parameter.shape))
                powers[random.random(powers.shape) < 0.2] = 0
                parameter.grad.mul_(torch.from_numpy(powers))
        named = {name: parameter.grad for name, parameter in model.named_parameters()}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        seen[step] = {n: None if g is None else g.double().numpy().copy() for n, g in named.items()}
        weights[step] = {name: p.detach().double().numpy().copy() for name, p in model.named_parameters()}
        optimizer.step()
        left.append(loss.detach().clone())
    if logdir is not None:
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()
    return [*left, *(p.detach().clone() for p in model.parameters()), torch.get_rng_state()], seen, weights


def elements(seen: dict[str, Any], node: str) -> Tensor:
    return np.concatenate([np.zeros(0), *(seen[n].ravel() for n in inside(node, list(seen)) if seen[n] is not None)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_every_row_and_metric(tmp_path: Path, dtype: torch.dtype) -> None:
    left, gradients, weights = train(tmp_path, dtype)
    bare, _, _ = train(None, dtype)
    assert all(torch.equal(one, other) for one, other in zip(left, bare, strict=True))
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "exponents", "weight_exponents"]
    metrics = [one.name for one in (*LOSSES, *SPANS)]
    for stream, seen in (("exponents", gradients), ("weight_exponents", weights)):
        assert list(run.timeline(stream).metrics) == metrics
        for metric, view in itertools.product(metrics, ("mean", "min", "max")):
            found = run.read(stream, metric, view=view)
            assert found.steps[:, 0].tolist() == list(SAMPLED)
            for node, values in zip(found.nodes, found.values, strict=True):
                own = [elements(seen[step], node) for step in SAMPLED]
                expected = np.array([wanted(metric, one) if len(one) else math.nan for one in own])
                np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-9, err_msg=f"{metric} {node}")


def test_the_histogram_of_nodes_and_cells(tmp_path: Path) -> None:
    _, seen, _ = train(tmp_path)
    run = open_run(tmp_path)
    found = run.exponents(nodes=["", "body.*.weight"])
    assert found.nodes == ("", "body.0.weight", "body.2.weight")
    assert found.steps[:, 0].tolist() == list(SAMPLED)
    assert found.edges[0] == -np.inf
    assert found.edges[-1] == np.inf
    for i, node in enumerate(found.nodes):
        for j, step in enumerate(SAMPLED):
            own = np.abs(elements(seen[step], node))
            expected, _ = np.histogram(np.log2(own[own > 0]), found.edges)
            np.testing.assert_allclose(found.share[i, j], expected / len(own), rtol=2e-3, atol=1e-9)
    whole = run.exponents(nodes=[""], width=1)
    np.testing.assert_allclose(whole.share[0, 0], found.share[0].mean(0), rtol=2e-3, atol=1e-9)
    assert found.to_pandas().shape == (3 * len(SAMPLED), len(SPANS))
    with pytest.raises(AskedError, match="no histogram"):
        run.exponents("gradients")


def test_the_route_of_a_node(tmp_path: Path) -> None:
    _, seen, _ = train(tmp_path / "run")
    board = Board(tmp_path, "false")
    board.wait(lambda board: "run/gradhealth" in board.runs())
    run = {"run": "run/gradhealth", "stream": "exponents"}
    answer = board.get("exponents", **run, node=0, begin=10, end=20).json["histogram"]
    assert answer["steps"] == [10, 20]
    assert [one["high"] for one in answer["bins"]] == [*(one["low"] for one in answer["bins"][1:]), None]
    sampled = [elements(seen[step], "") for step in (10, 15)]

    def check(spread: dict[str, float], metric: str) -> None:
        shares = [wanted(metric, one) for one in sampled]
        for plane, figure in (("mean", np.mean), ("min", min), ("max", max)):
            assert spread[plane] == pytest.approx(figure(shares), rel=2e-3, abs=1e-9)

    for one in answer["bins"]:
        low, high = (math.inf * sign if end is None else end for end, sign in ((one["low"], -1), (one["high"], 1)))
        check(one, f"exponent_{low}_{high}")
    for (short, (zero, normal, top)), form in zip(FORMATS.items(), answer["formats"], strict=True):
        assert (max(form["zero"], -126), form["normal"]) == (zero, normal)
        assert 2 ** (top - 1) < form["largest"] <= 2**top
        for fate in ("underflow", "subnormal", "overflow"):
            check(form[fate], f"{fate}_{short}")
    assert answer["counts"]["count"] == sum(map(len, sampled))
    assert answer["counts"]["zero"] == sum(int((one == 0).sum()) for one in sampled)
    # Asked for by another stream of the same tensors it is the same; so is it where a row has none.
    assert (
        board.get("exponents", **{**run, "stream": "gradients"}, node=0, begin=10, end=20).json["histogram"] == answer
    )
    names = board.get("meta", run=run["run"]).json
    assert [one["histogram"] for one in names["streams"]] == [False, True, True]
    assert board.get("exponents", **run, node=99, begin=10, end=20).status == 400


def test_the_nearest_row_that_has_a_histogram(tmp_path: Path) -> None:
    model = Net()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    with GradHealthWriter(optimizer, model, logdir=tmp_path, every=EVERY, streams=["exponents"]):
        for step, _ in enumerate(losses(model, STEPS)):
            if step >= 20:  # from here on this one has no gradient
                model.head.weight.grad = None
            optimizer.step()
    timeline = open_run(tmp_path).timeline("exponents")
    node = timeline.tree.names.index("head.weight")
    found = [exponents(timeline, node, step, step + 1) for step in (3, 19, 22, STEPS - 1)]
    assert [one["steps"] for one in found] == [[0, 5], [15, 20], [15, 20], [15, 20]]
    assert all(one["with_data"] == 1 and one["bins"][0]["mean"] is not None for one in found)


@pytest.mark.parametrize("short", FORMATS)
def test_shares_are_those_of_a_real_cast(short: str) -> None:
    form = DTYPES[short]
    size = torch.from_numpy(2.0 ** np.random.default_rng(1).uniform(-40, 20, 100_000)).float()
    if short == "bf16":
        size = torch.from_numpy(2.0 ** np.random.default_rng(1).uniform(-125, 127, 100_000)).float()
    zero = (size.to(form).float() == 0).double().mean()
    assert wanted(f"underflow_{short}", size.double().numpy()) == pytest.approx(float(zero), abs=1e-4)
    # A cast overflows to infinity, NaN, or the largest number; the share leaves out what is below a power of two.
    least = 2.0 ** FORMATS[short][2]
    over = size.double() > torch.finfo(form).max
    assert wanted(f"overflow_{short}", size.double().numpy()) == float((over & (size >= least)).double().mean())
    assert not bool((over & (size < least / 2)).any())


def test_of_gradients_that_the_optimizer_unscales_itself(tmp_path: Path) -> None:
    model = torch.nn.Linear(64, 32)
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=1, streams=["exponents"])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    scaler.scale(model(torch.ones(2, 64)).square().mean()).backward()
    expected = [p.grad.double().numpy() / 2.0**12 for p in model.parameters() if p.grad is not None]
    scaler.step(optimizer)
    scaler.update()
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    own = np.concatenate([one.ravel() for one in expected])
    run = open_run(tmp_path)
    for metric in run.timeline("exponents").metrics:
        value = run.read("exponents", metric, nodes=[""]).values[0, 0]
        assert value == pytest.approx(wanted(metric, own), rel=2e-3, abs=1e-9)
