"""Weights, updates, moments and spectra of a real training against float64 figures from outside the writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tb_gradhealth.streams.weights import Spectrum
from tests.writer.loops import Net, losses

from .golden import Step, assert_rows

STEPS, EVERY = 53, 5
SAMPLED = range(0, STEPS, EVERY)

OPTIMIZERS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.05),
}


class Kept:
    """Weights before and after each step, and the optimizer's state after it, in float64."""

    def __init__(self) -> None:
        self.before: dict[int, Step] = {}
        self.after: dict[int, Step] = {}
        self.state: dict[int, dict[str, Step]] = {}


def double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy().copy()


def train(logdir: Path, optimizer: str, **options: Any) -> Kept:
    model, kept = Net(), Kept()
    with torch.no_grad():
        model.unused.weight.zero_()
    made: Any = OPTIMIZERS[optimizer](model.parameters())
    named = dict(model.named_parameters())
    with GradHealthWriter(made, model, logdir=logdir, every=EVERY, **options):
        for step, _ in enumerate(losses(model, STEPS)):
            kept.before[step] = {name: double(one) for name, one in named.items()}
            made.step()
            kept.after[step] = {name: double(one) for name, one in named.items()}
            keys = {key for one in named.values() for key in made.state[one] if key != "step"}
            kept.state[step] = {
                key: {name: double(made.state[one][key]) for name, one in named.items() if key in made.state[one]}
                for key in keys
            }
        assert made.gradhealth.problems == 0
    return kept


def size(tensors: Any) -> float:
    return float(np.sqrt(sum(float((one**2).sum()) for one in tensors)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_and_updates(tmp_path: Path, optimizer: str) -> None:
    kept = train(tmp_path, optimizer, streams=["gradients", "weights", "updates"])
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "updates", "weights"]
    assert_rows(run, "weights", {step: kept.before[step] for step in SAMPLED})
    updates = {
        step: {name: kept.after[step][name] - kept.before[step][name] for name in kept.before[step]} for step in SAMPLED
    }

    def ratio(step: int, names: Any) -> float:
        moved, weight = (size(tensors[step][name] for name in names) for tensors in (updates, kept.before))
        return moved / weight if weight else float(moved > 0)

    assert_rows(run, "updates", updates, {"update_ratio": ratio})


def test_moments_and_their_ratio(tmp_path: Path) -> None:
    kept = train(tmp_path, "adamw", streams=["moments"])
    run = open_run(tmp_path)
    assert run.streams == ["gradients", "moment_ratio", "state_exp_avg", "state_exp_avg_sq"]
    states = {step: kept.state[step] for step in SAMPLED}
    for key in ("exp_avg", "exp_avg_sq"):
        assert_rows(run, f"state_{key}", {step: state[key] for step, state in states.items()})
    ratios = {
        step: {
            name: (mean / (1 - 0.9 ** (step + 1)))
            / (np.sqrt(state["exp_avg_sq"][name] / (1 - 0.999 ** (step + 1))) + 1e-8)
            for name, mean in state["exp_avg"].items()
        }
        for step, state in states.items()
    }
    assert_rows(run, "moment_ratio", ratios)


@pytest.mark.parametrize(("optimizer", "key"), [("sgd", "momentum_buffer"), ("adagrad", "sum")])
def test_state_of_any_optimizer_by_its_key(tmp_path: Path, optimizer: str, key: str) -> None:
    kept = train(tmp_path, optimizer, streams=["moments"])
    run = open_run(tmp_path)
    assert run.streams == ["gradients", f"state_{key}"]
    assert_rows(run, f"state_{key}", {step: kept.state[step][key] for step in SAMPLED})


def test_effective_rank_is_the_participation_ratio_of_the_singular_values(tmp_path: Path) -> None:
    kept = train(tmp_path, "adamw", streams=["spectrum"])
    run = open_run(tmp_path)
    sampled = {step: kept.before[step] for step in range(0, STEPS, 10 * EVERY)}
    matrices = {
        step: {n: one for n, one in tensors.items() if one.ndim > 1 and min(len(one), one[0].size) > 1}
        for step, tensors in sampled.items()
    }

    def ranks(step: int, names: Any) -> list[float]:
        found = []
        for name in names:
            if name in matrices[step]:
                values = np.linalg.svd(matrices[step][name].reshape(len(matrices[step][name]), -1), compute_uv=False)
                found.append(float((values**2).sum() ** 2 / (values**4).sum()) if values.any() else 0.0)
        return found

    assert_rows(
        run,
        "spectrum",
        matrices,
        {
            "rank": lambda step, names: float(np.mean(ranks(step, names))) if ranks(step, names) else np.nan,
            "rank_least": lambda step, names: min(ranks(step, names), default=np.nan),
        },
    )


def test_a_kernel_is_the_matrix_of_its_output_channels() -> None:
    torch.manual_seed(0)
    kernel, depthwise = torch.randn(6, 4, 3, 3), torch.randn(5, 1, 1, 1)
    flat = torch.outer(torch.randn(6), torch.randn(36)).view(6, 4, 3, 3)
    parameters = [kernel, depthwise, flat]
    (sample,) = Spectrum().before(torch.optim.SGD(parameters), parameters, parameters)
    values = np.linalg.svd(kernel.reshape(6, -1).double().numpy(), compute_uv=False)
    expected = [(values**2).sum() ** 2 / (values**4).sum(), np.nan, 1.0]
    np.testing.assert_allclose(sample.further["rank"](), expected, rtol=1e-5)
