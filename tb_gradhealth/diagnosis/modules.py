"""What modules do, told from what they return: which of them are activation functions, and whose output they get."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from ..rows import Floats
from .memory import Mask
from .row import MAX, MEAN, MIN, Frame, Tensors
from .structure import Parameters, looks_embedded, module_of

#: What a module looks like so far; the names of the functions stand for all that have their range.
RELU, TANH, SIGMOID, GELU = "relu", "tanh", "sigmoid", "gelu"
#: Of tanh half of all outputs are negative; the least of GELU and SiLU is -0.17 and -0.28.
_BELOW_GELU = -0.3


class Modules:
    """The modules of the stream of activations. Kinds of modules are not recorded: their range tells, over all rows."""

    def __init__(self, tensors: Tensors, parameters: Parameters) -> None:
        self.tensors = tensors
        count = len(tensors)
        self._low, self._high = np.full(count, np.inf), np.full(count, -np.inf)
        self._zeros = np.zeros(count, np.bool_)
        self._like: dict[str, Mask] = {}
        #: Activation functions that have a limit, at which they have no slope.
        self.limited = np.zeros(count, np.bool_)
        #: Linear layers, convolutions, activation functions and recurrent layers, whose outputs are the hidden signal.
        self.hidden = np.zeros(count, np.bool_)
        with_weights = {
            module_of(name): place for place, name in enumerate(parameters.names) if parameters.matrix[place]
        }
        recurrent = {
            module_of(name) for name, is_one in zip(parameters.names, parameters.recurrent, strict=True) if is_one
        }
        self._recurrent = np.array([name in recurrent for name in tensors.names], np.bool_)
        self._has_recurrent = bool(self._recurrent.any())
        #: Whether a module has a matrix of its own.
        self.layer = np.array([name in with_weights for name in tensors.names], np.bool_)
        #: For each module the one with weights that it is, or that comes before it; "" where that is not known.
        self.owner = _owners(tensors.names, with_weights, {module_of(name) for name in parameters.names})
        #: The tensor that is an owner's matrix.
        self.matrix_of = with_weights
        self.units = np.array([_units(shape) for shape in tensors.shapes], np.float64)

    def see(self, frame: Frame) -> None:
        """One more row; metrics that there are not tell nothing."""
        values = frame.values
        if "minimum" in values and np.count_nonzero((low := values["minimum"][MIN]) < self._low):
            self._low = np.fmin(self._low, low)
            self._like.clear()
        if "maximum" in values and np.count_nonzero((high := values["maximum"][MAX]) > self._high):
            self._high = np.fmax(self._high, high)
            self._like.clear()
        if "zero_fraction" in values and np.count_nonzero((zeros := values["zero_fraction"][MEAN] > 0) > self._zeros):
            self._zeros |= zeros
            self._like.clear()
        if "limit_fraction" in values:
            self.limited |= _known(values["limit_fraction"][MEAN])
        if "dead_unit_fraction" in values:
            self.hidden |= _known(values["dead_unit_fraction"][MEAN])
        if self._has_recurrent:
            self.hidden |= self._recurrent & (frame.with_data > 0)

    def like(self, kind: str) -> Mask:
        """Those whose outputs so far are in the range of a function."""
        if kind not in self._like:
            self._like[kind] = self._looks_like(kind)
        return self._like[kind]

    def any_like(self, kind: str) -> bool:
        return bool(np.count_nonzero(self.like(kind)))

    def _looks_like(self, kind: str) -> Mask:
        low, high = self._low, self._high
        if kind == RELU:
            fits = (low == 0) & self._zeros
        elif kind == TANH:
            fits = (low < _BELOW_GELU) & (low >= -1.001) & (high <= 1.001)
        elif kind == SIGMOID:
            fits = (low >= 0) & (high <= 1.001) & ~self._zeros
        else:
            fits = (low < 0) & (low >= _BELOW_GELU)
        found: Mask = self.limited & fits
        return found

    def bounded_first(self) -> bool:
        """Whether the first function that the input meets, behind its layer, saturates on both sides."""
        known = (~self.layer | self._recurrent) & np.isfinite(self._low)
        if not np.count_nonzero(known):
            return False
        first = int(known.argmax())
        return bool(self.like(TANH)[first] or self.like(SIGMOID)[first] or self._recurrent[first])


def _owners(names: tuple[str, ...], with_matrix: Container[str], with_weights: Container[str]) -> list[str]:
    """A function that stands behind several layers of its own parent may be called behind any of them: it has none."""
    found, last, layers = [], "", list[str]()
    for name in names:
        if name in with_matrix:
            last = name
            if not looks_embedded(name):
                layers.append(module_of(name))
        found.append("" if name not in with_weights and layers.count(module_of(name)) > 1 else last)
        if name not in with_weights:
            layers.clear()
    return found


def _known(figures: Floats) -> Mask:
    """Which are not NaN: that alone is not equal to itself."""
    known: Mask = figures == figures
    return known


def _units(shape: tuple[int, ...]) -> float:
    """Of an output without its batch: channels of images, features of all else."""
    return float(shape[0] if len(shape) == 3 else shape[-1]) if shape else 1.0
