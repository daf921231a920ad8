"""Faults of the learning rate, of the gradients, and of the graph that they flow through."""

from __future__ import annotations

import torch
from torch import nn

from ..architectures.task import Task
from .fault import Fault, module_of


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
        if isinstance(output, tuple):
            return (output[0].detach(), *output[1:])
        assert isinstance(output, torch.Tensor)
        return output.detach()

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
