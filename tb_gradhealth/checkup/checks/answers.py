"""What the model answers beside what it is to answer: the loss at chance, labels, whether it answers twice alike."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...diagnosis.rule import Cause, Hit, evidence
from ..check import Check, hit
from ..examined import Examined

#: A loss this many times that of chance is confidently wrong, below this share of it the model knows something.
WRONG, KNOWS = 1.5, 0.5
#: Rows of outputs add up to 1 this exactly where they are probabilities.
SUM = 1e-3
#: Two evaluations that differ by more than this share of the output; rounding stays below it.
DIFFERS = 1e-3


def look_chance(examined: Examined) -> Iterable[Hit]:
    known = examined.crossed
    if known is None:
        return
    chance = math.log(known[0].shape[1])
    if examined.loss > WRONG * chance:
        told = evidence("loss", examined.loss, chance, f"that of chance, log {known[0].shape[1]}")
        yield hit("", told)
    elif examined.loss < KNOWS * chance:
        told = evidence("loss", examined.loss, chance, f"that of chance, log {known[0].shape[1]}")
        yield hit("", told, innocent="a trained model begins so; else look whether the inputs hold the label")


def look_probabilities(examined: Examined) -> Iterable[Hit]:
    known = examined.crossed
    if known is not None:
        rows = known[0]
        if bool((rows >= 0).all()) and float((rows.sum(1) - 1).abs().max()) < SUM:
            yield hit(
                "", evidence("outputs that are in [0, 1] and add up to 1", len(rows), unit=f"of {len(rows):,} rows")
            )


def look_labels(examined: Examined) -> Iterable[Hit]:
    """Labels or values of which a batch of some size has only one."""
    for one in examined.targets:
        if one.tensor.dim() and one.tensor.numel() >= 8 and one.minimum == one.maximum and not one.bad:
            yield hit(one.name, evidence("targets that are all", one.minimum, unit="the same value"))


def look_repeat(examined: Examined) -> Iterable[Hit]:
    if examined.repeat > DIFFERS:
        told = evidence("difference of two evaluations", examined.repeat, DIFFERS, "share of the output's RMS")
        yield hit("", told)


CHANCE = Check(
    name="loss_at_start",
    type="UNSTABLE",
    severity="notice",
    look=look_chance,
    causes=(Cause("a last layer that begins too large: confident, and wrong"), Cause("labels that are off by one")),
    actions=("initialise the last layer smaller, or at zero", "look at a few inputs beside their labels"),
    innocent="the first steps take it back, at the price of a large gradient",
    after=("large_start",),
)
PROBABILITIES = Check(
    name="softmax_twice",
    type="VANISHING",
    severity="medium",
    look=look_probabilities,
    causes=(Cause("a softmax at the end of the model, and cross_entropy, which takes logits, behind it"),),
    actions=("return logits from the model, and take the softmax only where probabilities are wanted",),
    innocent="nothing makes this normal: the loss cannot fall below log(1 + (classes - 1) / e)",
)
LABELS = Check(
    name="constant_targets",
    type="MODE_COLLAPSE",
    severity="low",
    look=look_labels,
    causes=(Cause("data in the order of their labels, that are not shuffled"), Cause("labels that were not filled in")),
    actions=("shuffle, and look at the labels of two batches",),
    innocent="with a rare class most small batches have one label alone",
)
REPEAT = Check(
    name="evaluation_differs",
    type="UNSTABLE",
    severity="low",
    look=look_repeat,
    causes=(
        Cause("functional.dropout without training=self.training"),
        Cause("noise that is added whatever the mode is"),
    ),
    actions=("draw random numbers only if self.training",),
    innocent="models that sample, such as VAEs and diffusion models, differ by design",
)
CHECKS = (CHANCE, PROBABILITIES, LABELS, REPEAT)
