"""THE table of what deserves a look: what is found in the cells of a timeline, how grave it is, what is said of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..nodes import Index
from ..rows import Floats
from ..store.cells import BAD, NO_GRADIENT, Grid
from ..store.timeline import Timeline

Severity = Literal["critical", "warning", "notice"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "notice")
Mask = npt.NDArray[np.bool_]

#: Cells with data that a tensor needs for anything to be usual there.
USUAL_CELLS = 8


class Look:
    """Some nodes of a timeline in the cells of a grid. What is usual for a node, its median over the run, comes from a
    look at the whole run: ``usual [node]``."""

    def __init__(self, timeline: Timeline, which: Index, grid: Grid, usual: Floats | None = None) -> None:
        self._timeline, self._which, self._grid, self._usual = timeline, which, grid, usual
        self._planes: dict[tuple[str, str], Floats] = {}

    @functools.cached_property
    def flags(self) -> npt.NDArray[np.uint8]:
        return self._timeline.flags(self._which, self._grid)

    @functools.cached_property
    def nothing(self) -> Mask:
        """``[node, cell]``: where no element was measured."""
        known = self._timeline.metrics
        any_metric = "norm" if "norm" in known else next(iter(known))
        return np.isnan(self.plane(any_metric, "max")) & (self.flags & sum(BAD.values()) == 0)

    def plane(self, metric: str, view: str) -> Floats:
        """``[node, cell]``; NaN where no step had the metric, or none was recorded."""
        if metric not in self._timeline.metrics:
            return np.full((len(self._which), self._grid.count), np.nan)
        if (metric, view) not in self._planes:
            self._planes[metric, view] = self._timeline.plane(metric, self._which, self._grid, view)
        return self._planes[metric, view]

    def usual(self, metric: str) -> Floats:
        """``[node]``: the median of the largest values of all cells; NaN where there are fewer than
        :data:`USUAL_CELLS`."""
        return median(self.plane(metric, "max")) if self._usual is None else self._usual


def median(values: Floats) -> Floats:
    """``[node]``, of those of each row that are not NaN; NaN for fewer than :data:`USUAL_CELLS`."""
    count = values.shape[1] - np.isnan(values).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    middle = ordered[np.arange(len(values)), count // 2]
    shown: Floats = np.where(count < USUAL_CELLS, np.nan, middle)
    return shown


@dataclass(frozen=True)
class Rule:
    """``found`` tells the cells ``[node, cell]`` of a look; ``metric`` shows it best, by its largest value.
    Elements that are not finite are flagged in cells of every metric: for them it is the one that says most of what is
    around them."""

    kind: str
    severity: Severity
    metric: str
    found: Callable[[Look], Mask]
    says: str


# THE thresholds. All are choices of this project, made so that the demo's healthy training of 400 steps has no alert.

#: Mean share of elements below the stream's threshold of near zero: of 100 elements one at most still learns. The
#: demo's largest is 0.15.
NEAR_ZERO = 0.99
#: Largest share of elements that are three doublings or less from overflow: of a tensor of usual size far more than
#: the tail of its distribution. The demo's is 0.
SATURATED = 0.01
#: Largest norm over its median: the demo's reach 24 in their first steps, where gradients are largest.
SPIKE = 50.0
#: Steps without gradient that are a warning; fewer are a notice. Alternating optimizers and layers that are dropped at
#: random come back within a few steps.
LONG = 100


def _flagged(bit: int) -> Callable[[Look], Mask]:
    return lambda look: look.flags & bit > 0


def _no_gradient(look: Look) -> Mask:
    return (look.flags & NO_GRADIENT > 0) & look.nothing


def _gaps(look: Look) -> Mask:
    return (look.flags & NO_GRADIENT > 0) & ~look.nothing


def _near_zero(look: Look) -> Mask:
    return look.plane("near_zero_fraction", "mean") >= NEAR_ZERO


def _saturated(look: Look) -> Mask:
    return look.plane("saturated_fraction", "max") > SATURATED


def _spike(look: Look) -> Mask:
    usual = look.usual("norm")[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        return (look.plane("norm", "max") >= SPIKE * usual) & (usual > 0)


#: Gravest first.
RULES: tuple[Rule, ...] = (
    Rule("nan", "critical", "norm", _flagged(BAD["nan"]), "NaN in {subject}, first {first}"),
    Rule("pos_inf", "critical", "norm", _flagged(BAD["pos_inf"]), "+Inf in {subject}, first {first}"),
    Rule("neg_inf", "critical", "norm", _flagged(BAD["neg_inf"]), "−Inf in {subject}, first {first}"),
    Rule("no_gradient", "warning", "norm", _no_gradient, "no {what} reached {subject} in {steps}"),
    Rule(
        "near_zero",
        "warning",
        "near_zero_fraction",
        _near_zero,
        "on average {percent} or more of the {what} of {subject} is near zero in {steps}",
    ),
    Rule(
        "saturated",
        "warning",
        "saturated_fraction",
        _saturated,
        "up to {value:.2%} of the {what} of {subject} is about to overflow in {steps}",
    ),
    Rule(
        "spike", "notice", "norm", _spike, "the norm of {subject} jumped to {value:.3g}, {times:,.0f} times its median"
    ),
    Rule("gaps", "notice", "norm", _gaps, "no {what} reached {subject} in some of {steps}"),
)
