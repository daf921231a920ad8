"""A progress bar on standard error: one line that moves on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from ..cli.terminal import CLEAR, bar
from .train import Step

PLAIN_LINES = 10


class Progress:
    """Shows how far ``name`` is: step, loss, steps per second and the time left."""

    def __init__(self, name: str, steps: int, stream: TextIO | None = None) -> None:
        self._name, self._steps = name, steps
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()

    def __call__(self, step: Step) -> None:
        done = step.number + 1
        # Elsewhere than on a terminal every line stays: a tenth of the run is news, a step is not.
        if not self._moving and done * PLAIN_LINES // self._steps == step.number * PLAIN_LINES // self._steps:
            return
        line = self.line(step)
        self._stream.write(f"{CLEAR}{line}" if self._moving else f"{line}\n")
        if self._moving and done == self._steps:
            self._stream.write("\n")
        self._stream.flush()

    def line(self, step: Step) -> str:
        done = step.number + 1
        rate = done / max(step.seconds, 1e-9)
        left = round((self._steps - done) / rate)
        return (
            f"{self._name:8s} {bar(done / self._steps)} {done:{len(str(self._steps))}d}/{self._steps}  "
            f"loss {step.loss:.3f}  {rate:.1f} steps/s  {left // 60}:{left % 60:02d} left"
        )
