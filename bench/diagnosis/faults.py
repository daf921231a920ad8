"""How a cause of disease is put into a training: into its weights, data, learning rate, gradients or forward pass.

``strength`` is 0 before the onset and 1 where the fault is there in full; between them it grows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .architectures.task import Batch, Task


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


class Rate(Fault):
    """The learning rate times a factor."""

    FACTOR = 1.0

    def rate(self, strength: float) -> float:
        return float(self.FACTOR**strength)


class HighRate(Rate):
    FACTOR = 300.0


class EdgyRate(Rate):
    FACTOR = 20.0


class LowRate(Rate):
    FACTOR = 1e-4


class LargeWeights(Fault):
    """Hidden matrices grow eightfold, once."""

    FACTOR = 8.0

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = tuple(module_of(name) for name in task.sites.weights)
        self._done = 0.0

    def before(self, strength: float) -> None:
        grow, self._done = self.FACTOR ** (strength - self._done), strength
        with torch.no_grad():
            for weight in self.hidden().values():
                weight.mul_(grow)


class SmallWeights(Fault):
    """Hidden matrices are held to a thirtieth of their norm, as a constraint or a decay that is far too strong does."""

    FACTOR = 1 / 30

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = tuple(module_of(name) for name in task.sites.weights)
        self._norms: dict[str, float] = {}

    def before(self, strength: float) -> None:
        if not strength:
            return
        with torch.no_grad():
            for name, weight in self.hidden().items():
                norm = float(weight.norm())
                most = self._norms.setdefault(name, norm) * self.FACTOR**strength
                weight.mul_(min(1.0, most / norm) if norm else 1.0)


class DeadUnits(Fault):
    """Nine tenths of the units of one ReLU layer get a bias that no input overcomes, one after the other."""

    SHARE, PUSH = 0.9, 30.0

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        layer, act = task.sites.relus[seed % len(task.sites.relus)]
        self.nodes = (layer, act)
        bias = self.model.get_submodule(layer).bias
        assert isinstance(bias, nn.Parameter)
        self._bias, self._dead = bias, 0

    def before(self, strength: float) -> None:
        dead = round(strength * self.SHARE * len(self._bias))
        with torch.no_grad():
            self._bias[self._dead : dead] -= self.PUSH
        self._dead = max(dead, self._dead)


class Saturated(Fault):
    """The matrix in front of a tanh or GELU grows thirtyfold, once."""

    FACTOR = 30.0

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        layer, act = task.sites.bounded[seed % len(task.sites.bounded)]
        self.nodes = (layer, act)
        weight = self.model.get_submodule(layer).weight
        assert isinstance(weight, nn.Parameter)
        self._weight, self._done = weight, 0.0

    def before(self, strength: float) -> None:
        grow, self._done = self.FACTOR ** (strength - self._done), strength
        with torch.no_grad():
            self._weight.mul_(grow)


class PeakedAttention(Fault):
    """Queries and keys of one attention grow fivefold each, so scores do 25-fold."""

    FACTOR = 5.0

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        layer = task.sites.queries[seed % len(task.sites.queries)]
        self.nodes = (layer, module_of(layer))
        self._layer, self._done = self.model.get_submodule(layer), 0.0

    def before(self, strength: float) -> None:
        grow, self._done = self.FACTOR ** (strength - self._done), strength
        with torch.no_grad():
            for parameter in self._layer.parameters():
                parameter.mul_(grow)


class NanWeight(Fault):
    """One element of a hidden matrix becomes NaN, as after a division by zero in an update."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        name, self._weight = self.one_weight()
        self.nodes = (module_of(name),)
        self._done = False

    def before(self, strength: float) -> None:
        if strength and not self._done:
            self._done = True
            with torch.no_grad():
                self._weight.view(-1)[0] = torch.nan


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


class LowRank(Fault):
    """All singular values of one hidden matrix but the largest are held down, at full strength to nothing."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        name, self._weight = self.one_weight()
        self.nodes = (module_of(name),)

    def before(self, strength: float) -> None:
        if not strength:
            return
        with torch.no_grad():
            matrix = self._weight.flatten(1)
            if not matrix.isfinite().all():
                return
            left, values, right = torch.linalg.svd(matrix, full_matrices=False)
            values[1:] = values[1:].clamp(max=float(values[0]) * (1 - strength))
            self._weight.copy_((left * values @ right).view_as(self._weight))


class SilentHead(Fault):
    """The head's matrix is held down to a thousandth of its norm: only its bias is left to answer."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self.nodes = (task.sites.head, "prediction")
        weight = self.model.get_submodule(task.sites.head).weight
        assert isinstance(weight, nn.Parameter)
        self._weight, self._norm = weight, 0.0

    def before(self, strength: float) -> None:
        if not strength:
            return
        with torch.no_grad():
            norm = float(self._weight.norm())
            self._norm = self._norm or norm
            self._weight.mul_(min(1.0, self._norm * 1e-3**strength / norm) if norm else 1.0)


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


class Detached(Fault):
    """A module's output is taken out of the graph, so neither it nor what is before it gets a gradient.

    What in fact gets none is found out after the first such backward pass.
    """

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        branch = task.sites.branches[seed % len(task.sites.branches)]
        self.nodes = (branch,)
        self._strength, self._found = 0.0, False
        self._before: set[str] = set()
        self.model.get_submodule(branch).register_forward_hook(self._cut)

    def _cut(self, module: nn.Module, inputs: object, output: object) -> object:
        if self._strength < 1.0:
            return output
        return (output[0].detach(), *output[1:]) if isinstance(output, tuple) else output.detach()  # type: ignore[attr-defined]

    def before(self, strength: float) -> None:
        self._strength = strength

    def gradients(self, strength: float) -> None:
        without = {name for name, parameter in self.model.named_parameters() if parameter.grad is None}
        if strength < 1.0:
            self._before = without
        elif not self._found:
            self._found = True
            cut_off = {module_of(name) for name in without - self._before} - {""}
            self.nodes = tuple(sorted({*self.nodes, *cut_off}))


class Stuck(Fault):
    """The gradient of one layer is zeroed, as by a mask that is wrong."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        name, _ = self.one_weight()
        self.nodes = (module_of(name),)
        self._layer = self.model.get_submodule(module_of(name))

    def gradients(self, strength: float) -> None:
        for parameter in self._layer.parameters():
            if strength and parameter.grad is not None:
                parameter.grad.zero_()


class Underflow(Fault):
    """Gradients go through float16 with a loss scale that is far too small, at full strength 2^-20."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._lost = 0.0

    def gradients(self, strength: float) -> None:
        if not strength:
            return
        scale = 2.0 ** (-20 * strength)
        before = after = 0
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                before += int(parameter.grad.count_nonzero())
                parameter.grad.copy_((parameter.grad * scale).half().float() / scale)
                after += int(parameter.grad.count_nonzero())
        self._lost = 1 - after / before if before else 0.0

    def figures(self) -> dict[str, float]:
        return {"gradient_elements_lost": self._lost}


def module_of(parameter: str) -> str:
    """``block1.layer.weight`` → ``block1.layer``."""
    return parameter.rpartition(".")[0]


Maker = Callable[[Task, int], Fault]
