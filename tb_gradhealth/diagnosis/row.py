"""What the engine is fed: all that is known of an interval of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..notes import Note
from ..rows import Floats, Ints
from ..store.scalars import Scalar

#: Planes of a metric.
MEAN, MIN, MAX = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Tensors:
    """The tensors of a stream in model order; one object for as long as they stay the same."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __deepcopy__(self, memo: object) -> Tensors:
        return self  # another one would count as other tensors


@dataclass(frozen=True, eq=False)
class Frame:
    """One stream over the steps of a row; of a sampled stream one of them, and mean, min and max are the same."""

    tensors: Tensors
    values: Mapping[str, Floats]  # metric → [mean min max, tensor], NaN where no step had it
    whole: Mapping[str, Floats]  # metric → [mean min max] of the whole stream
    with_data: Ints  # [tensor], steps in which the tensor was there
    first_bad: Ints  # [tensor], first step with a NaN or infinity, NEVER if none


@dataclass(frozen=True, eq=False)
class Row:
    """The steps ``[start, stop)``."""

    start: int
    stop: int
    frames: Mapping[str, Frame]  # by stream; those that have something new
    logged: Mapping[str, Scalar] = field(default_factory=dict)
    notes: Sequence[Note] = ()
