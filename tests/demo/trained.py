"""Both runs of the demo, trained once for all tests, and what plain torch saw in the loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tb_gradhealth.demo import text
from tb_gradhealth.demo.model import GPT
from tb_gradhealth.demo.train import RunName, train

#: Fewer than the demo's own, for the sake of time; the mechanism is the same.
STEPS = 120


@dataclass(frozen=True)
class Trained:
    """``near_zero[run]`` and ``losses[run]`` are ``[step]``: the projection's share of |g| < 1e-8, and the loss."""

    logdir: Path
    near_zero: dict[str, npt.NDArray[np.float64]]
    losses: dict[str, npt.NDArray[np.float64]]


def train_both(logdir: Path) -> Trained:
    corpus = text.read(text.standard_library())
    near_zero, losses = {}, {}
    runs: tuple[RunName, ...] = ("healthy", "dying")
    for run in runs:
        shares: list[float] = []
        seen: list[float] = []

        def measure(model: GPT, into: list[float] = shares) -> None:
            assert model.projection is not None
            gradient = model.projection.weight.grad
            assert gradient is not None
            into.append((gradient.double().abs() < 1e-8).double().mean().item())

        train(run, corpus, logdir / run, STEPS, lambda step, into=seen: into.append(step.loss), measure)
        near_zero[run], losses[run] = np.array(shares), np.array(seen)
    return Trained(logdir, near_zero, losses)
