"""What is compared with a bare training: the writer in its settings, hooks as people write them, and nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run

from .hooks import GradientHooks
from .own_time import time_writer
from .trainings import Training

#: A norm that no gradient of these models is below, and one that none is above: each step is clipped, or none is.
ALWAYS, NEVER = 0.01, 1e3


class Monitor(Protocol):
    """Attached to a training."""

    def close(self) -> None: ...

    def steps(self) -> int:
        """Steps that it wrote of every gradient, after :meth:`close`."""
        ...

    def problems(self) -> int: ...


@dataclass(frozen=True)
class Contender:
    """A monitored training, to be compared with a bare one of the same loop.

    With ``max_norm`` the loop clips: the bare twin by torch's function, the contender by what ``attach`` puts in its
    place. ``rounds`` says that the parameters may differ from the twin's as rounding makes them.
    """

    name: str
    meaning: str
    attach: Callable[[Training, Path], Monitor | None]
    max_norm: float | None = None
    rounds: bool = False


class Writer:
    """The product, with every way into it timed."""

    def __init__(self, training: Training, directory: Path, **options: Any) -> None:
        self._directory = directory
        self.optimizer: Any = GradHealthWriter(training.optimizer, training.model, logdir=directory, **options)
        self._monitor = self.optimizer.gradhealth
        time_writer(self.optimizer, training.own)

    def close(self) -> None:
        self._monitor.close()

    def problems(self) -> int:
        problems: int = self._monitor.problems
        return problems

    def steps(self) -> int:
        run = Run()
        run.update(FileSource(self._directory / "gradhealth"))
        if "gradients" not in run.streams():
            return 0
        timeline = run.timeline("gradients")
        tally = timeline.tally(np.arange(len(timeline.tree)), Grid(0, timeline.end, 1))
        return int(tally.with_data.min())


class Hooks(GradientHooks):
    """The baseline, with what it does of each gradient timed."""

    def __init__(self, training: Training, directory: Path) -> None:
        super().__init__(training.model, directory)
        self.look = training.own.timed(self.look)  # type: ignore[method-assign]
        training.after_step = self.next_step
        training.last_backward = self.begin

    def begin(self) -> None:
        self.due = True

    def problems(self) -> int:
        return 0


def clip_by_torch(training: Training, max_norm: float) -> None:
    """Let the loop clip; what that takes counts, since integrated clipping is to be compared with it."""
    parameters = list(training.model.parameters())
    training.clip = training.own.timed(lambda: torch.nn.utils.clip_grad_norm_(parameters, max_norm))


def _writer(**options: Any) -> Callable[[Training, Path], Monitor]:
    return lambda training, directory: Writer(training, directory, **options)


def _clipping_writer(max_norm: float) -> Callable[[Training, Path], Monitor]:
    def attach(training: Training, directory: Path) -> Monitor:
        writer = Writer(training, directory)
        training.clip = training.own.timed(lambda: writer.optimizer.gradhealth.clip_grad_norm_(max_norm))
        return writer

    return attach


def _observing_writer(training: Training, directory: Path) -> Monitor:
    writer = Writer(training, directory)
    observe = writer.optimizer.gradhealth.observe
    training.after_forward = training.own.timed(lambda logits: observe("logits", logits, kind="prediction"))
    return writer


CONTENDERS = (
    Contender("off", "a second bare training: what is noise", lambda training, directory: None),
    Contender("default", "the writer", _writer()),
    Contender("every=1", "the writer, a row each step", _writer(every=1)),
    Contender("every=100", "the writer, a row each 100 steps", _writer(every=100)),
    Contender("weights", "the writer, weights and updates too", _writer(streams=("weights", "updates"))),
    Contender(
        "parameters",
        "the writer, all there is of parameters: moments, spectrum, dead rows, exponents",
        _writer(streams="all"),
    ),
    Contender("activations", "the writer, activations and their gradients too", _writer(activations="auto")),
    Contender("exponents", "the writer, exponents of the gradients too", _writer(streams=("exponents",))),
    Contender("observe", "the writer, and the logits given to observe()", _observing_writer),
    Contender("clip", "the writer with integrated clipping, each step clipped", _clipping_writer(ALWAYS), ALWAYS, True),
    Contender("clip-idle", "the writer with integrated clipping, no step clipped", _clipping_writer(NEVER), NEVER),
    Contender("clip-torch", "the writer beside torch's clipping, each step clipped", _writer(), ALWAYS),
    Contender("hooks", "a hook on each parameter: five figures, .item() and add_scalar", Hooks),
)
