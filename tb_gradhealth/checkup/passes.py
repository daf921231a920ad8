"""Passes through the model: one in which each module is looked at, plain ones for memory and time, two that evaluate.

All of them begin with the same random numbers, so that dropout leaves the same units out.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from ..streams.module_hooks import first_tensor
from .asking import Asked
from .keeping import random_as_it_was
from .leaves import leaves
from .memory import Saved, Seconds, Stopwatch, resident
from .seeing import Seen, seeing

T = TypeVar("T")

#: Plain passes: the first one warms caches up.
PLAIN = 2
_HOOKS = "_post_accumulate_grad_hooks"


@dataclass
class Passes:
    """``batch`` is the only one; ``trained`` are the parameters that gradients are asked for."""

    model: nn.Module
    asked: Asked
    batch: Any
    trained: Sequence[torch.Tensor]
    device: torch.device
    reentrant: bool = field(default=False, init=False)  # checkpointing that only backward() works with

    def seen(self) -> tuple[torch.Tensor, Seen, list[torch.Tensor | None] | None]:
        """The loss, what modules returned, and the gradients; None where the loss has no graph."""
        return self._again(self._seen)

    def plain(self) -> tuple[Seconds, int, tuple[int, int, int] | None]:
        """Times, the bytes that are kept between the two halves, and what was resident around them."""
        return self._again(self._plain)

    def _again(self, look: Callable[[], T]) -> T:
        """A second time, where the first one shows that a checkpoint of the older kind is in the model."""
        try:
            return look()
        except RuntimeError as error:
            if self.reentrant or "use_reentrant" not in str(error):
                raise
        self.reentrant = True
        return look()

    def _seen(self) -> tuple[torch.Tensor, Seen, list[torch.Tensor | None] | None]:
        with random_as_it_was():
            with seeing(self.model) as seen:
                loss = self._loss()
            has_graph = loss.requires_grad and bool(self.trained)
            return loss.detach(), seen, self._gradients(loss) if has_graph else None

    def _plain(self) -> tuple[Seconds, int, tuple[int, int, int] | None]:
        there = [*self.model.parameters(), *self.model.buffers(), *(one for _, one in leaves(self.batch))]
        times: list[Seconds] = []
        kept, memory = 0, None
        for number in range(PLAIN):
            with random_as_it_was():
                before = resident()
                saved = Saved(there)
                hooked = torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack)
                watch = Stopwatch(self.device)
                with hooked if number == 0 else contextlib.nullcontext():
                    loss = self._loss()
                forward, between = watch.lap(), resident()
                watch.lap()
                gradients = self._gradients(loss) if loss.requires_grad and self.trained else []
                times.append(Seconds(forward, watch.lap()))
                after = resident()
                if number == 0:
                    kept = saved.bytes
                    if before is not None and between is not None and after is not None:
                        memory = before, between, after
                del loss, gradients
        return Seconds(min(one.forward for one in times), min(one.backward for one in times)), kept, memory

    def repeat(self) -> float:
        """By how much two passes in evaluation mode differ, as a share of the RMS of the first; of the loss where the
        model is not called as a whole."""
        self.model.eval()
        found: list[torch.Tensor] = []

        def keep(module: nn.Module, arguments: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None and not outputs:
                outputs.append(tensor.detach().clone())

        handle = self.model.register_forward_hook(keep)
        try:
            with random_as_it_was():
                for _ in range(2):
                    outputs: list[torch.Tensor] = []
                    loss = self._loss().detach()
                    found.append(outputs[0] if outputs else loss)
        finally:
            handle.remove()
        one, other = (tensor.double() if tensor.is_floating_point() else tensor.abs().double() for tensor in found)
        if one.shape != other.shape or not one.numel():
            return math.inf if one.shape != other.shape else 0.0
        largest = float(one.square().mean().sqrt())
        difference = float((one - other).square().mean().sqrt())
        return difference / largest if largest > 0 and math.isfinite(difference) else 0.0

    def _loss(self) -> torch.Tensor:
        return self.asked.loss(self.batch, self.model)

    def _gradients(self, loss: torch.Tensor) -> list[torch.Tensor | None]:
        """Without a word to hooks that wait for gradients to be accumulated, such as those of DDP."""
        if not self.reentrant:
            return list(torch.autograd.grad(loss, list(self.trained), allow_unused=True))
        with _no_steps(self.trained):
            loss.backward()
        found = [one.grad for one in self.trained]
        for one in self.trained:
            one.grad = None
        return found


@contextlib.contextmanager
def _no_steps(parameters: Sequence[torch.Tensor]) -> Iterator[None]:
    """Without the hooks by which an optimizer steps within backward."""
    kept = [getattr(one, _HOOKS, None) for one in parameters]
    hooked = [(one, hooks) for one, hooks in zip(parameters, kept, strict=True) if hooks]
    for one, _ in hooked:
        setattr(one, _HOOKS, None)
    try:
        yield
    finally:
        for one, hooks in hooked:
            setattr(one, _HOOKS, hooks)
