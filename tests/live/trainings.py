"""Small trainings that fall ill, or do not, and the keys of findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.findings import Finding

Key = tuple[str, str, str, int]


def key(one: Finding) -> Key:
    return one.rule, one.type, one.node, one.start


class Training:
    """A regression; its learning rate is a thousandfold from the step ``onset`` on."""

    def __init__(self, onset: int | None, logdir: Path | None = None, **options: Any) -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
        self.model = self.spread(layers)
        self.optimizer: Any = torch.optim.Adam(self.model.parameters(), 3e-3)
        self.watched = logdir is not None or options
        if self.watched:
            self.optimizer = GradHealthWriter(self.optimizer, self.model, logdir=logdir, **options)
        self._onset, self._batches = onset, torch.Generator().manual_seed(1)
        self._target = torch.randn(8, 1, generator=self._batches)
        self.steps = 0

    def spread(self, model: nn.Module) -> nn.Module:
        """``model`` as it is trained on several ranks."""
        return model

    def step(self) -> None:
        inputs = torch.randn(32, 8, generator=self._batches)
        if self._onset is not None and self.steps == self._onset:
            self.optimizer.param_groups[0]["lr"] = 3.0
        predicted = self.model(inputs)
        loss = nn.functional.mse_loss(predicted, (inputs @ self._target).tanh())
        self.optimizer.zero_grad()
        loss.backward()
        if self.watched:
            self.optimizer.gradhealth.observe("x", inputs)
            self.optimizer.gradhealth.observe("y", predicted, kind="prediction")
            self.optimizer.gradhealth.log(loss=loss)
        self.steps += 1
        self.optimizer.step()

    def run(self, steps: int) -> Training:
        for _ in range(steps):
            self.step()
        return self

    def left(self) -> Iterator[torch.Tensor]:
        """Everything that it leaves behind."""
        yield from (parameter.detach() for parameter in self.model.parameters())
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, torch.Tensor))
