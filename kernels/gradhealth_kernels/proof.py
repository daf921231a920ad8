"""Kernels prove themselves before they are used: they must agree with plain torch on samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch


class Proof:
    """Which variants of some kernels have agreed with plain torch on ``device``.

    ``compare(variant)`` launches both on samples and gives one bool there: whether they agree. It runs when a variant
    is first asked for, and its outcome is polled, so nothing waits. Kernels that cannot run or disagree are given up,
    all variants together, with one warning. ``task`` is what they are for: "measure gradients".
    """

    def __init__(self, device: torch.device, task: str, compare: Callable[[Any], torch.Tensor]) -> None:
        self._device, self._task, self._compare = device, task, compare
        self.settled: set[Hashable] = set()
        self._given_up = False
        self._answers: dict[Hashable, tuple[torch.Tensor, Any]] = {}  # of the comparisons that have begun

    def holds(self, variant: Hashable) -> bool:
        """Whether ``variant`` has agreed; starts or polls its comparison if that is not known."""
        if variant not in self.settled and not self._given_up:
            self._look(variant)
        return variant in self.settled

    def wait(self, variant: Hashable) -> bool:
        """Whether ``variant`` agrees, after waiting for the device if that is not known."""
        while not self._given_up and variant not in self.settled:
            if variant in self._answers:
                self._answers[variant][1].synchronize()
            self._look(variant)
        return variant in self.settled

    def _look(self, variant: Hashable) -> None:
        if variant not in self._answers:
            try:
                self._answers[variant] = self._fetched(self._compare(variant))
            # Whatever a compiler or driver raises here, plain torch still does it.
            except Exception as error:
                self._give_up(f"could not run ({type(error).__name__}: {error})")
            return
        agrees, event = self._answers[variant]
        if event.query():
            if agrees.item():
                self.settled.add(variant)
            else:
                self._give_up("disagree with plain torch")

    def _fetched(self, agrees: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """The answer on its way to the host, and the event that says when it is there."""
        answer = torch.empty((), dtype=torch.bool, device="cpu", pin_memory=self._device.type != "cpu")
        answer.copy_(agrees, non_blocking=True)
        event: Any = torch.get_device_module(self._device).Event()
        event.record()
        return answer, event

    def _give_up(self, why: str) -> None:
        self._given_up = True
        self.settled.clear()
        warnings.warn(
            f"tb_gradhealth: expected the fused Triton kernels to {self._task} on {self._device}, but they {why}; "
            "plain torch does it instead, which is right but slower. Install the triton release that this torch was "
            "built with.",
            RuntimeWarning,
            stacklevel=2,
        )
