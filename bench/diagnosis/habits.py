"""THE table of habits: what healthy trainings do that looks odd, and which of them rules may be tuned on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .architectures import Architecture, Part, Trait, up_to
from .architectures.task import Knobs

Schedule = Callable[[float], float]
"""Share of the training that is done, in [0, 1) → factor."""


_USUAL = Knobs()


@dataclass(frozen=True)
class Habit:
    """``shared``: it is about the training alone, so faults are also put into trainings that have it."""

    name: str
    part: Part
    meaning: str
    traits: frozenset[Trait] = frozenset()  # what an architecture must have
    knobs: Knobs = _USUAL
    rate: Schedule = lambda done: 1.0
    batch: Schedule = lambda done: 1.0
    weight_decay: float = 0.01
    clip: float | None = None
    scaler: bool = False
    frozen: bool = False
    alternating: bool = False
    label_noise: float = 0.0
    input_scale: float = 1.0
    pool: int | None = None
    optimizer: Literal["AdamW", "SGD", "RMSprop"] = "AdamW"
    accumulated: int = 1  # backward passes of a step
    zero_head: bool = False
    shared: bool = False

    def fits(self, architecture: Architecture) -> bool:
        """Rewards cannot be mislabelled, and a policy's data come from itself."""
        of_data = self.label_noise or self.pool is not None
        return self.traits <= architecture.traits and not (of_data and "policy" in architecture.traits)


def _warm_up(done: float) -> float:
    return min(1.0, 0.01 + done / 0.3)


def _one_cycle(done: float) -> float:
    """Up to four times the usual rate at three tenths, then down to nothing."""
    return 0.2 + 3.8 * done / 0.3 if done < 0.3 else 4.0 * (1 - done) / 0.7 + 1e-3


def _restarts(done: float) -> float:
    return (1 + math.cos(math.pi * (3 * done % 1.0))) / 2


PLAIN = Habit("plain", "development", "AdamW at a constant rate")

HABITS: dict[str, Habit] = {
    habit.name: habit
    for habit in (
        PLAIN,
        Habit("warm_up", "development", "the rate grows from 1 % of itself", rate=_warm_up, shared=True),
        Habit("dropout", "development", "0.3 of each hidden activation dropped", knobs=Knobs(dropout=0.3)),
        Habit("tiny_batch", "development", "a quarter of the usual batch, which is small", batch=lambda done: 0.25),
        Habit("frozen", "development", "the last hidden matrix is frozen on purpose", frozen=True),
        Habit("clipping", "development", "every step is clipped", clip=0.05, shared=True),
        Habit("fp16_scaler", "development", "a GradScaler that begins too high", scaler=True, shared=True),
        Habit("label_noise", "development", "a tenth of the targets is another sample's", label_noise=0.1),
        Habit("weight_decay", "development", "30 times the usual one", weight_decay=0.3, shared=True),
        Habit(
            "layer_scale",
            "development",
            "residual branches begin at zero",
            frozenset({"residual"}),
            knobs=Knobs(layer_scale=0.0),
        ),
        Habit("one_cycle", "examined", "a cycle of the rate with a high peak", rate=_one_cycle, shared=True),
        Habit("growing_batch", "examined", "from a quarter to four times", batch=lambda done: 0.25 * 16**done),
        Habit("alternating", "examined", "two optimizers, each with half of the parameters", alternating=True),
        Habit(
            "scaled_inputs", "examined", "five times larger inputs, absorbed", frozenset({"numbers"}), input_scale=5.0
        ),
        Habit("zero_loss", "examined", "the few samples there are get learned by heart, as they should", pool=24),
        Habit("sgd", "examined", "plain SGD with momentum", optimizer="SGD", shared=True),
        Habit(
            "sparse_embedding",
            "examined",
            "most rows belong to tokens that do not occur",
            frozenset({"tokens"}),
            knobs=Knobs(vocabulary=400),
        ),
        Habit(
            "idle_experts",
            "examined",
            "some experts are never chosen",
            frozenset({"experts"}),
            knobs=Knobs(experts=True),
        ),
        Habit("restarts", "held-out", "three cosines of the rate, each down to nothing", rate=_restarts, shared=True),
        Habit("rmsprop", "held-out", "RMSprop with the decay of its paper", optimizer="RMSprop", shared=True),
        Habit("accumulation", "held-out", "two backward passes to a step, each of half a batch", accumulated=2),
        Habit("zero_head", "held-out", "the head begins at zero, so all before it waits for it", zero_head=True),
    )
}


def fitting(architecture: Architecture, part: Part) -> list[Habit]:
    """The habits that an architecture can have, of a part and of those before it."""
    return [habit for habit in HABITS.values() if habit.fits(architecture) and habit.part in up_to(part)]
