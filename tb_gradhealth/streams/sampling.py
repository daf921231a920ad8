"""When a session looks at what beside the gradients, and where that goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch.optim import Optimizer

from .. import shards
from ..gathering import Stage
from .recorder import Recorder
from .stream import Sample, Source, Stream
from .table import SOURCES

S = TypeVar("S")


@dataclass
class _Due:
    """A source, and the step that it looks at in the row that it has come to."""

    source: Source
    row: int = -1
    step: int = -1

    def at(self, step: int, every: int) -> bool:
        """Whether ``step`` is the first one of its row that anybody asks for."""
        row = step // (every * self.source.every)
        if row != self.row:
            self.row, self.step = row, step
        return step == self.step


class ParameterSampling:
    """The sources ``names`` for one optimizer, whose parameters are the session's columns from ``start`` on."""

    def __init__(
        self,
        names: Sequence[str],
        every: int,
        near_zero: float,
        start: int,
        record: Callable[[int, Sample], None],
        report: Callable[[str], None],
    ) -> None:
        self._every, self._start, self._record, self._report = every, start, record, report
        self._sources = [_Due(SOURCES[name](report, near_zero)) for name in names]
        self._due: list[Source] = []

    def source(self, kind: type[S]) -> S | None:
        """The one of this kind, if it was asked for."""
        return next((one.source for one in self._sources if isinstance(one.source, kind)), None)

    def before(self, step: int, optimizer: Optimizer, parameters: Sequence[torch.Tensor]) -> None:
        """Just before the optimizer writes to its parameters."""
        self.forget()  # the step before may have raised
        self._due = [one.source for one in self._sources if one.at(step, self._every)]
        self._each(lambda source, local: source.before(optimizer, parameters, local), parameters)

    def after(self, optimizer: Optimizer, parameters: Sequence[torch.Tensor]) -> None:
        """Just after."""
        self._each(lambda source, local: source.after(optimizer, parameters, local), parameters)
        self._due = []

    def forget(self) -> None:
        """What a step that has begun is looked at with is not needed any more."""
        for source in self._due:
            source.forget()
        self._due = []

    def _each(
        self,
        look: Callable[[Source, Sequence[torch.Tensor | None]], Iterable[Sample]],
        parameters: Sequence[torch.Tensor],
    ) -> None:
        if not self._due:
            return
        with torch.no_grad():
            local = [None if shards.is_flattened(one) else shards.local(one) for one in parameters]
            for source in list(self._due):
                try:
                    for sample in look(source, local):
                        self._record(self._start, sample)
                except Exception as error:  # it costs this source alone
                    self._due.remove(source)
                    source.forget()
                    self._report(f"{type(error).__name__}: {error}")


class Recorders:
    """The recorders of a session, made when the first sample of a stream comes; ``begin`` makes their stages.

    What counts as near zero is the session's to say, for all streams alike.
    """

    def __init__(self, tensors: int, near_zero: float, begin: Callable[[Stream], Stage]) -> None:
        self._tensors, self._near_zero, self._begin = tensors, near_zero, begin
        self._recorders: dict[str, Recorder] = {}
        self._step: int | None = None  # that samples were taken at

    def measure(self, step: int, start: int, sample: Sample) -> None:
        if self._step != step:
            self.hand_over()
            self._step = step
        recorder = self._recorders.get(sample.stream.name)
        if recorder is None:
            stream = replace(sample.stream, near_zero=self._near_zero)
            recorder = Recorder(stream, self._tensors, self._begin(stream))
            self._recorders[sample.stream.name] = recorder
        recorder.measure(start, sample)

    def hand_over(self) -> None:
        """What was sampled is complete."""
        if self._step is not None:
            for recorder in self._recorders.values():
                recorder.hand_over(self._step)
            self._step = None

    def forget(self) -> None:
        """What was sampled since the last hand-over does not count."""
        for recorder in self._recorders.values():
            recorder.forget()
        self._step = None
