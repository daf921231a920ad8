"""What a fault may do to a training.

``strength`` is 0 before the onset and 1 where the fault is there in full; between them it grows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..architectures.task import Batch, Task


class Fault:
    """One fault in one task; what is not overridden leaves the training as it is. ``nodes`` are those at fault, none
    for the whole model."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.model = task, task.model
        self.source = torch.Generator().manual_seed(seed + 77)
        self.pick = seed
        self.nodes: tuple[str, ...] = ()

    def rate(self, strength: float) -> float:
        """A factor of the learning rate."""
        return 1.0

    def before(self, strength: float) -> None:
        """Just before a step's forward pass."""

    def data(self, batch: Batch, strength: float) -> Batch:
        """What the model is trained on."""
        return batch

    def seen(self, inputs: torch.Tensor, strength: float) -> torch.Tensor:
        """What it is evaluated on: faults of the inputs are there in use as well."""
        return inputs

    def gradients(self, strength: float) -> None:
        """Just after the backward pass."""

    def figures(self) -> dict[str, float]:
        """What the fault itself has measured of its effect."""
        return {}

    def hidden(self) -> dict[str, nn.Parameter]:
        parameters = dict(self.model.named_parameters())
        return {name: parameters[name] for name in self.task.sites.weights}

    def one_weight(self) -> tuple[str, nn.Parameter]:
        names = self.task.sites.weights
        name = names[self.pick % len(names)]
        return name, self.hidden()[name]


def module_of(parameter: str) -> str:
    """``block1.layer.weight`` → ``block1.layer``."""
    return parameter.rpartition(".")[0]


Maker = Callable[[Task, int], Fault]
