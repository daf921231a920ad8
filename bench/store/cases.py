"""What is recorded: a long training, a wide model, and an archive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from tb_gradhealth.nodes import Tree
from tb_gradhealth.store.format import FACTOR, Schema

from .model import Model, gpt
from .training import Training, planted

#: Steps × tensors that are drawn at once: more would not stay in the cache.
DRAWN = 16_000


@dataclass(frozen=True)
class Case:
    """A recording of ``steps`` steps in rows of ``every``.

    ``sampled``: once the event tier takes no more rows of level 1, a single step of each such row is measured, as the
    coarser rows then say, which merge them; these and the short ones of the tail are all that is written from there on.
    """

    name: str
    tensors: int
    steps: int
    every: int = 10
    archive: bool = True
    sampled: bool = False
    events: int = 0  # planted
    seed: int = 5
    #: A step's time on the clock that the event tier sees, in seconds.
    pace: float = 0.1

    @cached_property
    def model(self) -> Model:
        return gpt(self.tensors)

    @cached_property
    def tree(self) -> Tree:
        return self.model.tree

    @cached_property
    def schema(self) -> Schema:
        return self.model.schema(self.every, f"{self.seed:016x}")

    def training(self) -> Training:
        """All of its steps; events are among those that are measured."""
        measured = self.steps // self.sampled_width if self.sampled else self.steps
        events = planted(self.events, measured, self.tensors, self.seed)
        chunk = self.every * max(1, DRAWN // self.tensors // self.every)
        return Training(self.model, self.steps, chunk, self.seed, events)

    @property
    def sampled_width(self) -> int:
        """Steps of a row that one step stands for, where that is so."""
        return self.every * FACTOR

    @property
    def label(self) -> str:
        tiers = "both tiers" if self.archive else "event tier only"
        return f"{self.tensors:,} tensors × {self.steps:,} steps, a row each {self.every}, {tiers}"


CASES = (
    Case("long", 100, 1_000_000, events=10_000),
    Case("wide", 10_000, 1_000_000, archive=False, sampled=True, pace=1.0),
    Case("archive", 1000, 200_000),
)

#: A quick look at the same.
SMALL = (
    replace(CASES[0], steps=20_480, events=300),
    replace(CASES[1], tensors=1000, steps=40_960),
    replace(CASES[2], tensors=100, steps=5120),
)
