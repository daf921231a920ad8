"""Samples of one stream on their way to its rows: a ring for each optimizer, and one block for each sampled step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.launch import Taken as RingTaken
from gradhealth_kernels.statistics import Entries, table_of

from ..gathering import Stage
from ..store.blocks import Block
from .stream import Fetch, Sample, Stream


class Recorder:
    """Measures what is sampled of a stream into the columns ``[0, tensors)`` of its ``stage``."""

    def __init__(self, stream: Stream, tensors: int, stage: Stage) -> None:
        self.stage = stage
        self._stream, self._tensors = stream, tensors
        self._rings: dict[int, StepRing] = {}  # first column → ring
        self._seen: dict[int, Mapping[str, Fetch]] = {}  # since the last hand-over

    def measure(self, start: int, sample: Sample) -> None:
        """The columns of ``sample`` begin at ``start``; of several samples of a column the last of a step counts."""
        start += sample.first
        ring = self._rings.get(start)
        if ring is None:
            ring = StepRing(len(sample.tensors), 1, self._stream.near_zero, self._stream.signed)
            self._rings[start] = ring
        ring.measure(0, sample.tensors, sample.inverse_scale)
        self._seen[start] = sample.further

    def hand_over(self, step: int) -> None:
        """What was sampled at ``step`` goes to the writer's thread."""
        seen, self._seen = self._seen, {}
        if seen:
            taken = [(start, self._rings[start].take(1), further) for start, further in seen.items()]
            self.stage.submit(Block(step, _Sampled(self._stream, self._tensors, taken)))

    def forget(self) -> None:
        """What was sampled since the last hand-over does not count."""
        self._seen.clear()


class _Sampled:
    """Entries ``[1, tensor]``: what rings hold, widened by what came beside."""

    def __init__(self, stream: Stream, tensors: int, taken: list[tuple[int, RingTaken, Mapping[str, Fetch]]]) -> None:
        self._stream, self._tensors, self._taken = stream, tensors, taken

    def entries(self) -> Entries:
        found = self._stream.nothing((1, self._tensors))
        for start, taken, further in self._taken:
            measured = taken.entries()
            own = found[:, start : start + measured.shape[1]]
            for entry in table_of(measured):
                own[entry.name] = measured[entry.name]
            for name, fetch in further.items():
                _put(own, name, fetch())
        return found


def _put(entries: Entries, name: str, values: npt.NDArray[np.float64]) -> None:
    known = ~np.isnan(values)
    entries[name][..., known] = values[known]
