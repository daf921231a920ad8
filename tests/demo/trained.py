"""Both runs of the demo, trained once for all tests, and what plain torch saw in the loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from tb_gradhealth.demo import text
from tb_gradhealth.demo.model import GPT
from tb_gradhealth.demo.train import RunName, train

#: Fewer than the demo's own, for the sake of time; the mechanism is the same.
STEPS = 120
EPS = 2.0**-23  # of float32


@dataclass(frozen=True)
class Trained:
    """``[step]`` of each run: the projection's share of |g| < 1e-8, tanh's of 1 - |y| <= eps, and the loss."""

    logdir: Path
    near_zero: dict[str, npt.NDArray[np.float64]]
    limited: dict[str, npt.NDArray[np.float64]]
    losses: dict[str, npt.NDArray[np.float64]]


def train_both(logdir: Path) -> Trained:
    corpus = text.read(text.standard_library())
    near_zero, limited, losses = {}, {}, {}
    runs: tuple[RunName, ...] = ("healthy", "dying")
    for run in runs:
        shares: list[float] = []
        flat: list[float] = []
        seen: list[float] = []

        def measure(model: GPT, into: list[float] = shares) -> None:
            assert model.projection is not None
            gradient = model.projection.weight.grad
            assert gradient is not None
            into.append((gradient.double().abs() < 1e-8).double().mean().item())

        def look(module: nn.Module, arguments: Any, output: Any, into: list[float] = flat) -> None:
            if isinstance(module, nn.Tanh):
                into.append((1 - output.double().abs() <= EPS).double().mean().item())

        with register_module_forward_hook(look):
            train(run, corpus, logdir / run, STEPS, lambda step, into=seen: into.append(step.loss), measure)
        near_zero[run], limited[run], losses[run] = np.array(shares), np.array(flat), np.array(seen)
    return Trained(logdir, near_zero, limited, losses)
