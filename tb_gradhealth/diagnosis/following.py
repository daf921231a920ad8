"""Which findings are explained by another: one cause shows in many places.

A learning rate that is far too high makes the norm jump, the loss and the weights grow, units die and predictions
collapse. What follows from what is a table of rules. Besides, one must begin no later than the other, the other while
that lasts or soon after, and be seen where that reaches. Whatever is not in the table, or elsewhere,
stands for itself, as it may be a disease of its own. Rules of somebody's own do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from .finding import SEVERITIES, Finding
from .structure import module_of

Reach = Literal["all", "here", "behind", "before"]
"""Where a finding shows itself elsewhere: in the whole model, in its own module, or also toward the output (what it
returns) or toward the input (what comes back through it)."""


class Link(NamedTuple):
    """Each of the rules ``explain``, in steps of cause and effect, each of the rules ``these``."""

    explain: tuple[str, ...]
    these: tuple[str, ...]
    reach: Reach


_INPUTS = ("input_scale", "input_outliers")
_GROWTH = (
    "large_start",
    "large_updates",
    "norm_jump",
    "loss_growth",
    "weight_growth",
    "norm_and_loss",
    "depth_growth",
    "norm_spikes",
)
_BROKEN = ("nonfinite", "nonfinite_loss", "nonfinite_held_out", "skipped_steps")
_SMALL = ("small_start", "held_weight", "weight_shrink")
_SILENT = ("progressive_death", "dead_units", "dead_rows", "dead_biases")
_LOST = ("depth_drop", "lost_gradients", "zero_gradient", "starved", "gradient_zeros")
_FLAT = ("constant_signal", "prediction_collapse")

#: Only a finding whose rule stands here first can explain another; within a line, the one that began first.
LINKS: tuple[Link, ...] = (
    Link(_INPUTS, _INPUTS, "all"),
    Link(_INPUTS, (*_GROWTH, *_BROKEN, "saturated", *_SILENT, *_FLAT, "norm_limits"), "all"),
    Link(_GROWTH, (*_GROWTH, *_BROKEN, "norm_limits"), "all"),
    Link(_GROWTH, ("bottleneck", "saturated", "attention_entropy", *_SILENT, *_FLAT, *_LOST, "plateau"), "all"),
    Link(("nonfinite",), _BROKEN[1:], "all"),
    Link(_SMALL, (*_SMALL, "bottleneck", *_FLAT, *_LOST, "norm_limits", "plateau"), "all"),
    Link(("underflow",), (*_LOST, "tiny_updates", "norm_limits"), "all"),
    Link(("saturated",), _FLAT, "behind"),
    Link(("saturated",), _LOST, "before"),
    Link(_SILENT, _SILENT, "here"),
    Link(_SILENT, _FLAT, "behind"),
    Link(_SILENT, _LOST, "before"),
    Link(("bottleneck",), _FLAT, "behind"),
    Link(("constant_input",), (*_FLAT, "overfitting", "plateau"), "all"),
    Link(("constant_signal",), _FLAT, "behind"),
    Link(("lost_gradients", "depth_drop"), ("starved", "gradient_zeros", "norm_limits", "plateau"), "all"),
    Link(("zero_gradient",), ("starved", "gradient_zeros"), "before"),
    Link(("tiny_updates",), ("plateau",), "all"),
    Link(("prediction_collapse",), ("overfitting", "plateau", "norm_limits"), "all"),
    Link(("overfitting",), ("plateau",), "all"),
)

#: Evidence that has to last is dated by its first step, give or take so many steps, or rows where these are longer.
STEPS, ROWS = 12, 3
#: What a passing event leaves behind shows within so many steps, or rows where these are longer.
AFTER_STEPS, AFTER_ROWS = 40, 10

_REACHES: dict[tuple[str, str], set[Reach]] = {}
for _link in LINKS:
    for _pair in itertools.product(_link.explain, _link.these):
        _REACHES.setdefault(_pair, set()).add(_link.reach)
_RANK = {rule: rank for rank, link in reversed(list(enumerate(LINKS))) for rule in link.explain}


def explained(findings: Sequence[Finding], names: Sequence[str], spacing: int) -> tuple[Finding, ...]:
    """The same findings, those with :attr:`Finding.follows` set that another one explains, however they are ordered.

    ``names`` are those of the model's tensors, from its input on; ``spacing`` the steps of a row.
    """
    place = _places(names)
    ordered = sorted(findings, key=_key)
    roots: dict[Finding, Finding] = {}
    for number, one in enumerate(ordered):
        by = (other for other in ordered[:number] if _explains(other, one, place, spacing))
        first = next(by, None)
        roots[one] = one if first is None else roots[first]
    return tuple(one if roots[one] is one else replace(one, follows=roots[one].rule) for one in findings)


def _key(one: Finding) -> tuple[int, int, int, int, str, str, str]:
    """Causes before effects; within a line what began first, then what was said first, then the graver one."""
    rank, grave = _RANK.get(one.rule, len(LINKS)), SEVERITIES.index(one.severity)
    return rank, one.start, one.detected, grave, one.rule, one.node, one.type


def _explains(one: Finding, other: Finding, place: Callable[[str], tuple[int, int] | None], spacing: int) -> bool:
    reaches = _REACHES.get((one.rule, other.rule), ())
    early, late = max(STEPS, ROWS * spacing), max(AFTER_STEPS, AFTER_ROWS * spacing)
    if not reaches or one.start > other.start + early or other.start > one.stop + late:
        return False
    if one.severity == "notice" and other.severity != "notice":
        return False  # a hint explains no alarm
    return any(_reaches(one.node, other.node, reach, place) for reach in reaches)


def _reaches(node: str, other: str, reach: Reach, place: Callable[[str], tuple[int, int] | None]) -> bool:
    if reach == "all":
        return True
    if not node or not other:
        return reach != "here"
    own, its = place(node), place(other)
    if own is None or its is None:
        return node == other
    if reach == "behind":
        return its[1] >= own[0]
    if reach == "before":
        return its[0] <= own[1]
    return its[0] <= own[1] and own[0] <= its[1]


def _places(names: Sequence[str]) -> Callable[[str], tuple[int, int] | None]:
    """Where the tensors of a node stand among all, the first and the last of them; None where there are none."""

    @functools.cache
    def place(node: str) -> tuple[int, int] | None:
        inner = f"{node}."
        inside = [number for number, name in enumerate(names) if name.startswith(inner) or name == node]
        if inside:
            return inside[0], inside[-1]
        outer = module_of(node)  # a function has no tensors: it is where its parent is
        return place(outer) if outer else None

    return place
