"""The monitor that people write: a hook on each parameter, each figure fetched and written where it is computed."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from tb_gradhealth.store.records import read_events

FIGURES = ("norm", "mean", "max", "zero_fraction", "nan")


class GradientHooks:
    """Five figures of every gradient at every step into an event file. ``due`` is set for a step's last backward pass,
    before which its gradients are still being added up."""

    def __init__(self, model: torch.nn.Module, directory: Path) -> None:
        self.step = 0
        self.due = False
        self._tensors = 0
        self._directory = directory
        self._writer = SummaryWriter(str(directory))
        for name, parameter in model.named_parameters():
            parameter.register_post_accumulate_grad_hook(functools.partial(self._after_backward, name))
            self._tensors += 1

    def _after_backward(self, name: str, parameter: torch.Tensor) -> None:
        if self.due and parameter.grad is not None:
            self.look(name, parameter.grad)

    def look(self, name: str, grad: torch.Tensor) -> None:
        self._writer.add_scalar(f"norm/{name}", grad.norm().item(), self.step)
        self._writer.add_scalar(f"mean/{name}", grad.mean().item(), self.step)
        self._writer.add_scalar(f"max/{name}", grad.abs().max().item(), self.step)
        self._writer.add_scalar(f"zero_fraction/{name}", (grad == 0).float().mean().item(), self.step)
        self._writer.add_scalar(f"nan/{name}", grad.isnan().sum().item(), self.step)

    def next_step(self) -> None:
        self.step += 1
        self.due = False

    def close(self) -> None:
        self._writer.close()

    def steps(self) -> int:
        """Steps at which the file holds every figure of every gradient."""
        found = Counter(step for _, step in self.written())
        return sum(times == len(FIGURES) * self._tensors for times in found.values())

    def written(self) -> dict[tuple[str, int], float]:
        """(tag, step) → figure, as the file has it."""
        return {
            (value.tag, event.step): value.simple_value
            for path in self._directory.glob("*tfevents*")
            for event, _ in read_events(path)
            if event is not None
            for value in event.summary.value
        }
