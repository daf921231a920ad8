"""Faults of inputs and targets."""

from __future__ import annotations

import torch

from ..architectures.task import Batch, Task
from .fault import Fault


class NanInput(Fault):
    """One feature of one sample is NaN at the onset."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = ("input", task.sites.first)
        self._done = False

    def data(self, batch: Batch, strength: float) -> Batch:
        if not strength or self._done:
            return batch
        self._done = True
        inputs = batch.inputs.clone()
        inputs.view(-1)[3] = torch.nan
        return Batch(inputs, batch.targets)


class OneTarget(Fault):
    """More and more samples get the target of one sample."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = (task.sites.head, "prediction")
        self._target = task.draw(1, self.source).targets

    def data(self, batch: Batch, strength: float) -> Batch:
        chosen = torch.rand(len(batch.targets), generator=self.source) < strength
        targets = batch.targets.clone()
        targets[chosen] = self._target
        return Batch(batch.inputs, targets)


class ShuffledTargets(Fault):
    """Targets are another sample's: there is nothing to learn."""

    def data(self, batch: Batch, strength: float) -> Batch:
        if not strength:
            return batch
        return Batch(batch.inputs, batch.targets[torch.randperm(len(batch.targets), generator=self.source)])


class OffScale(Fault):
    """Inputs that were never standardised: thirty times as large, and far from zero."""

    TIMES, OFFSET = 30.0, 40.0

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = ("input", task.sites.first)

    def data(self, batch: Batch, strength: float) -> Batch:
        return Batch(self.seen(batch.inputs, strength), batch.targets)

    def seen(self, inputs: torch.Tensor, strength: float) -> torch.Tensor:
        return inputs * (1 + (self.TIMES - 1) * strength) + self.OFFSET * strength if strength else inputs


class CorruptBatches(Fault):
    """In every eighth batch, in the mean, an eighth of the samples is a thousand times too large."""

    def data(self, batch: Batch, strength: float) -> Batch:
        if not strength or float(torch.rand(1, generator=self.source)) > strength / 8:
            return batch
        inputs = batch.inputs.clone()
        inputs[: max(1, len(inputs) // 8)] *= 1000.0
        return Batch(inputs, batch.targets)


class FewSamples(Fault):
    """The same dozen samples over and over."""

    NUMBER = 12

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._pool = task.draw(self.NUMBER, self.source)

    def data(self, batch: Batch, strength: float) -> Batch:
        if not strength:
            return batch
        return self._pool.part(torch.randint(len(self._pool.inputs), (len(batch.inputs),), generator=self.source))
