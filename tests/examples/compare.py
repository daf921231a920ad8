"""One training with a library, bare and watched: what must be the same, and what must have been recorded."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from tb_gradhealth.store.timeline import Timeline
from tests.writer.loops import cells, timeline


@dataclass
class Training:
    """What a training did, step by step and in the end; ``scale`` is the scaler's."""

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    scale: float = 1.0
    parameters: list[torch.Tensor] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)
    error: tuple[type, str] | None = None

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Keep what is warned about and raised."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except Exception as error:
                self.error = (type(error), str(error))
        self.warnings = {str(warning.message) for warning in caught}

    def keep(self, model: torch.nn.Module) -> None:
        self.parameters = [parameter.detach().clone() for parameter in model.parameters()]


def spoil(parameter: torch.Tensor, passes: set[int]) -> None:
    """Make the gradient infinite at these backward passes, so that a scaler skips their steps."""
    count = itertools.count()
    parameter.register_hook(lambda gradient: gradient * math.inf if next(count) in passes else gradient)


def assert_same(run: Callable[[bool], Training]) -> Training:
    """That ``run`` does the same when it is watched; returns what it did."""
    run(False)  # the libraries give some warnings once in a process: this run takes them
    bare, watched = run(False), run(True)
    assert watched.error == bare.error
    assert watched.warnings == bare.warnings
    assert watched.losses == bare.losses
    assert watched.rates == bare.rates
    assert watched.skipped == bare.skipped
    assert watched.scale == bare.scale
    assert len(watched.parameters) == len(bare.parameters)
    assert all(map(torch.equal, watched.parameters, bare.parameters))
    return watched


def tensors(history: Timeline) -> set[str]:
    return {name for name, kind in zip(history.tree.names, history.tree.kinds, strict=True) if kind == "tensor"}


def assert_recorded(logdir: Path, steps: int, names: set[str] | None = None) -> None:
    """That the run has ``steps`` steps, and at each a norm of each tensor; ``names`` are the tensors it must have."""
    history = timeline(logdir)
    assert history.end == steps
    assert names is None or tensors(history) == names
    for name in tensors(history):
        assert np.isfinite(cells(history, "norm", name, history.cell)[0]).all(), name
