"""What many rules look at, worked out once a row: loss, learning rate, gradients, weights and what updates are beside
them, each with the reference that it is held against."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar, cast

import numpy as np

from ..rows import NEVER, Floats
from ..store.scalars import Scalar
from .memory import Mask, Memory, Past, Spacing, larger, median, middle, smaller
from .modules import Modules
from .row import MAX, MEAN, Frame, Row, Tensors
from .structure import Parameters, parameters

#: What signals are made of; rules name what they need beside.
READ: dict[str, tuple[str, ...]] = {
    "gradients": ("norm", "rms"),
    "weights": ("norm",),
    "updates": ("norm", "rms", "update_ratio"),
    "inputs": ("mean", "std"),
    "activations": ("minimum", "maximum", "zero_fraction", "limit_fraction", "dead_unit_fraction", "rms"),
}
_LOSS = re.compile(r"^(train(ing)?[_/.])?loss([_/.](train(ing)?|total))?$", re.IGNORECASE)
_OTHER_DATA = r"(val(id(ation)?)?|eval|test)"
_HELD_OUT = re.compile(rf"^({_OTHER_DATA}[_/.]loss|loss[_/.]{_OTHER_DATA})$", re.IGNORECASE)

#: Steps from which the reference of the loss is taken: with three, fine-tuning looked like growth.
REFERENCE_STEPS = 20
#: A loss below this share of its start is that of a model that has learnt what there is.
CONVERGED = 0.05
#: A loss below this share of its start: the model learns with what it has; above this multiple of its best no more.
LEARNT, RELAPSED = 0.7, 1.5
#: A weight smaller than this share of its default is zero by design, as the last layer of a residual branch.
ZERO_INIT = 1e-3
_EMPTY = np.zeros(0)

T = TypeVar("T")


class Signals:
    """The row that came last, and what is known of those before it. Scalars are NaN where nothing is known."""

    def __init__(self) -> None:
        self._memory, self._spacing = Memory(), Spacing()
        self.parameters: Parameters = _nobody()
        self.modules: Modules | None = None
        self.row = Row(0, 1, {})
        self.start, self.stop = 0, 1  # of the row
        self.began = -1
        self.applied = True
        self.skipped: frozenset[int] = frozenset()
        self.loss = self.loss_5 = self.loss_11 = math.nan
        #: The largest of the first :data:`REFERENCE_STEPS` steps, the first one, and the least so far; the last of
        #: these also of the medians of 11 steps.
        self.loss_reference = self.loss_start = self.loss_best = self.loss_best_11 = math.nan
        self.loss_broke = False  # a loss was logged, and is not finite
        self.held_out = math.nan  # loss on data that the model does not learn from
        self.held_out_broke = False  # one was logged, and is not finite
        self.lr = self.lr_most = self.loss_scale = math.nan
        self.norm = self.norm_start = math.nan
        self.rms = self.weight = self.first_weight = self.update = self.ratio = _EMPTY
        #: What a weight began with, or half of the default for its shape where that is more.
        self.weight_scale = _EMPTY
        self._all_weighed = False  # whether each of the first weights is known
        self.live = self.zero_init = np.zeros(0, np.bool_)
        #: Tensors whose gradient had a NaN or an infinity in a step that was made.
        self.bad = np.zeros(0, np.bool_)
        #: Whether there are some: nothing else that is seen then means anything.
        self.lost = False
        #: The largest update beside its weight among matrices, now and over the last 20 steps.
        self.step_size = self.step_size_20 = math.nan
        #: |mean| + standard deviation of the inputs as they were first seen.
        self.input_scale = math.nan
        #: Matrices that are not zero by design, and those of them that are not the last one of the model.
        self.matrices = self.inner = np.zeros(0, np.bool_)
        #: Matrices that have a gradient in this row: all of them, and those that are not zero by design.
        self.live_matrices = self.moving = np.zeros(0, np.bool_)
        self._norms = Past()
        self._of_row: dict[Callable[[Signals], object], object] = {}

    @property
    def spacing(self) -> int:
        """Steps from row to row."""
        return self._memory.spacing

    @property
    def age(self) -> int:
        """Steps from the first one of all to the end of this row."""
        return self.row.stop - self.began

    def frame(self, stream: str) -> Frame | None:
        return self.row.frames.get(stream)

    def values(self, stream: str, metric: str, plane: int = MEAN) -> Floats:
        """``[tensor]`` of a stream that this row has, NaN throughout for a metric that was not recorded."""
        frame = self.row.frames[stream]
        if metric in frame.values:
            found: Floats = frame.values[metric][plane]
            return found
        return np.full(len(frame.tensors), np.nan)

    def of_row(self, work_out: Callable[[Signals], T]) -> T:
        """What a function makes of this row, worked out once for all rules that ask for it."""
        if work_out not in self._of_row:
            self._of_row[work_out] = work_out(self)
        return cast(T, self._of_row[work_out])

    @property
    def usual_step(self) -> float:
        """The median update beside its weight among matrices."""
        ratios = self.ratio[self.moving] if len(self.ratio) else self.ratio
        return middle(ratios) if np.count_nonzero(np.isfinite(ratios)) else math.nan

    @property
    def positive(self) -> bool:
        """Whether the loss is one that ratios say something of."""
        return self.loss_start > 0 and self.loss_best > 0

    @property
    def converged(self) -> bool:
        return self.loss_start > 0 <= self.loss_best and self.loss_5 < CONVERGED * self.loss_start

    @property
    def learns(self) -> bool:
        """Whether the loss fell well below its start, and stays near its best."""
        fallen = self.positive and self.loss_11 < LEARNT * self.loss_start
        return fallen and not self.loss_11 > RELAPSED * self.loss_best_11

    @property
    def harmed(self) -> bool:
        """Whether the loss is well above its best, or above all of its start."""
        return self.loss_11 > RELAPSED * self.loss_best_11 or self.loss_5 > 1.25 * self.loss_reference

    @property
    def large_steps(self) -> bool:
        """Whether some weight moved by 2 % in one of the last 20 steps; True where that is not known."""
        return not self.step_size_20 <= 0.02

    def update_row(self, row: Row) -> None:
        """``row`` is the one that rules look at from now on."""
        self.row, self.start, self.stop = row, row.start, row.stop
        self._of_row.clear()
        if self.began < 0:
            self.began = row.start
        self._memory.spacing = self._spacing.add(row.start, row.stop)
        self.skipped = frozenset([note.step for note in row.notes if note.kind == "skipped"])
        self.applied = len(self.skipped) < row.stop - row.start
        self._logged(row.logged)
        if (frame := row.frames.get("gradients")) is not None:
            self._gradients(frame)
        if (frame := row.frames.get("activations")) is not None:
            if self.modules is None or self.modules.tensors is not frame.tensors:
                self.modules = Modules(frame.tensors, self.parameters)
            self.modules.see(frame)
        if "inputs" in row.frames and math.isnan(self.input_scale):
            sizes = np.abs(self.values("inputs", "mean")) + self.values("inputs", "std")
            self.input_scale = float(np.nanmean(sizes)) if np.isfinite(sizes).any() else math.nan
        self._steps(row.frames.get("weights"), row.frames.get("updates"))

    def forget(self) -> None:
        """Other tensors come: what is known of each is void, what is known of the whole stays."""
        self.parameters, self.modules = _nobody(), None
        self.first_weight = self.ratio = self.weight_scale = _EMPTY

    def _logged(self, logged: Mapping[str, Scalar]) -> None:
        means = meanings(tuple(logged))
        if means.rates:
            self.lr = max([logged[name].max for name in means.rates])
            self.lr_most = larger(self.lr_most, self.lr)
        if (scale := logged.get("loss_scale")) is not None:
            self.loss_scale = scale.min
        self.held_out = math.nan if means.held_out is None else _mean(logged[means.held_out])
        self.held_out_broke = means.held_out is not None and not math.isfinite(self.held_out)
        one = None if means.loss is None else logged[means.loss]
        self.loss = math.nan if one is None else _mean(one)
        self.loss_broke = one is not None and not math.isfinite(self.loss)
        if one is None:
            return
        finite = self.loss if math.isfinite(self.loss) else math.nan
        recent = self._memory.recent("loss", finite, 11)
        self.loss_11 = median(recent)
        if len(recent) * self._memory.spacing >= 11:
            self.loss_best_11 = smaller(self.loss_best_11, self.loss_11)
        self.loss_5 = median(recent[-max(1, math.ceil(5 / self._memory.spacing)) :])
        self.loss_best = smaller(self.loss_best, finite)
        if math.isnan(self.loss_start):
            self.loss_start = finite
        if self.age <= REFERENCE_STEPS or math.isnan(self.loss_reference):
            largest = one.max if math.isfinite(one.max) else finite
            self.loss_reference = larger(self.loss_reference, largest)

    def _gradients(self, frame: Frame) -> None:
        if self.parameters.tensors is not frame.tensors:
            self.parameters = parameters(frame.tensors)
            self._begin_with(np.full(len(frame.tensors), np.nan), np.zeros(len(frame.tensors), np.bool_))
            self.ratio = self.weight = self.update = np.full(len(frame.tensors), np.nan)
        self.live = frame.with_data > 0
        self.live_matrices = self.parameters.matrix & self.live
        self.rms = self.values("gradients", "rms")
        self.bad = frame.first_bad < NEVER
        if self.skipped:
            self.bad &= ~np.isin(frame.first_bad, sorted(self.skipped))
        self.lost = bool(np.count_nonzero(self.bad))
        self.moving = self.matrices & self.live
        if not self.skipped and not self.lost and "norm" in frame.whole:
            self.norm = float(frame.whole["norm"][MEAN])
            if self.age <= REFERENCE_STEPS or math.isnan(self.norm_start):
                self._norms.add(float(frame.whole["norm"][MAX]))
                self.norm_start = self._norms.median()

    def _steps(self, weights: Frame | None, updates: Frame | None) -> None:
        count = len(self.parameters.tensors)
        if updates is not None and len(updates.tensors) == count:
            self.update = self.values("updates", "norm")
        if weights is not None and len(weights.tensors) == count:
            self.weight = self.values("weights", "norm")
        elif updates is not None and len(updates.tensors) == count:
            self.weight = self.update / self.values("updates", "update_ratio")
        else:
            return
        if not self._all_weighed and np.count_nonzero(new := np.isnan(self.first_weight) & ~np.isnan(self.weight)):
            first = np.where(new, self.weight, self.first_weight)
            self._begin_with(first, first <= ZERO_INIT * np.nan_to_num(self.parameters.default))
            self.moving = self.matrices & self.live
        if updates is None:
            return
        # A weight that began near zero, or shrank to it, is held against what a layer of its shape begins with.
        self.ratio = self.update / np.fmax(self.weight, self.weight_scale)
        largest = self.ratio[self.moving.nonzero()]
        self.step_size = float(np.fmax.reduce(largest)) if len(largest) else math.nan
        recent = self._memory.recent("step size", self.step_size, 20)
        self.step_size_20 = float(np.fmax.reduce(recent))

    def _begin_with(self, first_weight: Floats, zero_init: Mask) -> None:
        """What is known of the first weights, NaN for nothing, and which of them are zero by design."""
        self.first_weight, self.zero_init = first_weight, zero_init
        self._all_weighed = not np.count_nonzero(np.isnan(first_weight))
        self.weight_scale = np.fmax(first_weight, self.parameters.default / 2)
        self.matrices = self.parameters.matrix & ~self.zero_init
        self.inner = self.matrices & ~self.parameters.head

    @property
    def initial_ratio(self) -> float:
        """The median norm of the inner matrices as they began, beside the default for their shapes."""
        which = self.inner & ~np.isnan(self.first_weight)
        ratios = self.first_weight[which] / self.parameters.default[which]
        return float(np.median(ratios)) if len(ratios) else math.nan

    @property
    def is_first(self) -> bool:
        """Whether this is the first row of all."""
        return self.row.start == self.began


def _nobody() -> Parameters:
    return parameters(Tensors((), (), ()))


@functools.lru_cache(maxsize=1024)
def is_loss(name: str) -> bool:
    """Whether a scalar is the loss that the model learns from, going by its name."""
    return bool(_LOSS.match(name))


@functools.lru_cache(maxsize=1024)
def is_held_out(name: str) -> bool:
    return bool(_HELD_OUT.match(name))


class Meanings(NamedTuple):
    """Of scalars the names of those that are looked at."""

    rates: tuple[str, ...]
    loss: str | None
    held_out: str | None


@functools.lru_cache(maxsize=64)
def meanings(names: tuple[str, ...]) -> Meanings:
    shortest = sorted(names, key=len)
    return Meanings(
        tuple(name for name in names if name == "lr" or name.startswith("lr/")),
        next(filter(is_loss, shortest), None),
        next(filter(is_held_out, shortest), None),
    )


def _mean(one: Scalar) -> float:
    return one.sum / one.count if one.count else math.nan
