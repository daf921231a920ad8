"""Faults of weights and biases."""

from __future__ import annotations

import torch
from torch import nn

from ..architectures.task import Task
from .fault import Fault, module_of


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
