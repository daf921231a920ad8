"""What generated tensors hold: ordinary and extreme numbers, edges of every threshold, special values, raw bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gradhealth_kernels.cpu import HIGH, LOW
from gradhealth_kernels.elements import BITS, saturated_from
from gradhealth_kernels.statistics import BIG_FROM, SMALL_BELOW

Numbers = npt.NDArray[np.float64]

SPECIAL = (math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Draw:
    """``size`` numbers of a real ``dtype`` that a path will cut into chunks, multiply and compare."""

    generator: np.random.Generator
    size: int
    dtype: torch.dtype
    chunk: int
    inverse: float | None
    near_zero: float

    @property
    def smallest(self) -> float:
        info = torch.finfo(self.dtype)
        return info.smallest_normal * info.eps

    @property
    def largest(self) -> float:
        return torch.finfo(self.dtype).max

    def of(self, numbers: Numbers) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self.dtype)

    def signs(self) -> Numbers:
        return self.generator.choice([-1.0, 1.0], self.size)

    def exponents(self, share: float | Numbers) -> Numbers:
        """Shares in [-1, 1] of the dtype's range of exponents: -1 is its smallest number, 1 its largest."""
        shares = np.asarray(share, np.float64)
        low, high = math.log2(self.smallest), math.log2(self.largest)
        exponents: Numbers = np.round(np.where(shares < 0, -low, high) * shares)
        return exponents

    def normal(self, share: float | Numbers = 0.0) -> Numbers:
        with np.errstate(over="ignore"):
            return np.ldexp(self.generator.standard_normal(self.size), self.exponents(share).astype(np.int32))

    def around(self, *thresholds: float) -> list[float]:
        """Below, nearest to and above each threshold, of x times the inverse scale, as far as the dtype reaches."""
        factor = abs(float(np.float32(1.0 if self.inverse is None else self.inverse)))
        factor = factor if math.isfinite(factor) else 1.0
        found = []
        for threshold in thresholds:
            nearest = min(max(threshold / factor, self.smallest), self.largest)
            integer = BITS[self.dtype.itemsize]
            bits = int(torch.tensor(nearest, dtype=torch.float64).to(self.dtype).view(integer))
            # With the sign bit set it would be another number, and 0 of e8m0 is its smallest.
            near = torch.tensor([max(bits - 1, 0), bits, bits + 1]).to(integer).view(self.dtype)
            found += near.double().tolist()
        return found

    def range_edges(self) -> list[float]:
        """Around the magnitudes between which squares are summed as they are."""
        return self.around(*((SMALL_BELOW, BIG_FROM) if self.dtype is torch.float64 else (LOW, HIGH)))

    def saturation_edges(self) -> list[float]:
        return self.around(saturated_from(self.dtype), self.largest)

    def edges(self) -> list[float]:
        return [*self.around(self.near_zero, self.smallest), *self.range_edges(), *self.saturation_edges()]

    def some_of(self, values: list[float]) -> torch.Tensor:
        return self.of(self.generator.choice(values, self.size) * self.signs())

    def special(self, numbers: Numbers, places: npt.NDArray[np.intp]) -> torch.Tensor:
        """``numbers`` with NaN and infinities at those of ``places`` that there are."""
        places = places[(places >= 0) & (places < self.size)]
        numbers[places] = self.generator.choice(SPECIAL, len(places))
        return self.of(numbers)


def _alone(draw: Draw, numbers: Numbers, value: float) -> torch.Tensor:
    if draw.size:
        numbers[draw.generator.integers(draw.size)] = value
    return draw.of(numbers)


def _scale_of_each_chunk(draw: Draw) -> torch.Tensor:
    chunks = draw.size // draw.chunk + 1
    shares = draw.generator.uniform(-1, 0.9, chunks).repeat(draw.chunk)[: draw.size]
    return draw.of(draw.normal(shares))


def _all_scales(draw: Draw) -> Numbers:
    return draw.normal(draw.generator.uniform(-1, 0.98, draw.size))


def _subnormal(draw: Draw) -> torch.Tensor:
    multiples = draw.generator.integers(0, int(1 / torch.finfo(draw.dtype).eps), draw.size)
    return draw.of(multiples * draw.smallest * draw.signs())


def _powers_of_two(draw: Draw) -> torch.Tensor:
    return draw.of(np.exp2(draw.exponents(draw.generator.uniform(-1, 0.99, draw.size))) * draw.signs())


def _bits(draw: Draw) -> torch.Tensor:
    itemsize = draw.dtype.itemsize
    patterns = np.frombuffer(draw.generator.bytes(draw.size * itemsize), f"i{itemsize}").copy()
    return torch.from_numpy(patterns).view(draw.dtype)


def _cancelling(draw: Draw) -> torch.Tensor:
    numbers = draw.normal()
    numbers[1::2] = -numbers[: 2 * (draw.size // 2) : 2]
    return draw.of(numbers)


def _special_head(draw: Draw) -> torch.Tensor:
    return draw.special(draw.normal(), np.arange(draw.generator.integers(1, 20)))


def _special_tail(draw: Draw) -> torch.Tensor:
    return draw.special(draw.normal(), draw.size - 1 - np.arange(draw.generator.integers(1, 20)))


def _special_borders(draw: Draw) -> torch.Tensor:
    borders = np.arange(0, draw.size + draw.chunk, draw.chunk)
    return draw.special(draw.normal(), np.concatenate([borders - 1, borders]))


def _special_places(draw: Draw) -> torch.Tensor:
    places = draw.generator.integers(0, max(draw.size, 1), draw.generator.integers(1, 4))
    return draw.special(draw.normal(), places)


def _special_extremes(draw: Draw) -> torch.Tensor:
    return draw.special(_all_scales(draw), np.flatnonzero(draw.generator.random(draw.size) < 0.01))


CONTENTS: dict[str, Callable[[Draw], torch.Tensor]] = {
    # Of float32's exponents these shares are 2^-142, 2^-45, 1, 2^45, 2^90 and 2^119.
    "normal, smallest": lambda draw: draw.of(draw.normal(-0.95)),
    "normal, small": lambda draw: draw.of(draw.normal(-0.3)),
    "normal": lambda draw: draw.of(draw.normal()),
    "normal, large": lambda draw: draw.of(draw.normal(0.35)),
    "normal, larger": lambda draw: draw.of(draw.normal(0.7)),
    "normal, largest": lambda draw: draw.of(draw.normal(0.93)),
    "all scales": lambda draw: draw.of(_all_scales(draw)),
    "a scale per chunk": _scale_of_each_chunk,
    "positive": lambda draw: draw.of(np.abs(draw.normal())),
    "negative": lambda draw: draw.of(-np.abs(draw.normal())),
    "cancelling": _cancelling,
    "constant": lambda draw: draw.of(np.full(draw.size, draw.generator.standard_normal())),
    "zeros": lambda draw: draw.of(np.zeros(draw.size) * draw.signs()),
    "mostly zeros": lambda draw: draw.of(draw.normal() * (draw.generator.random(draw.size) < 0.1)),
    "subnormal": _subnormal,
    "smallest": lambda draw: draw.some_of([0.0, draw.smallest]),
    "around near zero": lambda draw: draw.some_of([*draw.around(draw.near_zero, draw.smallest), 0.0]),
    "around saturation": lambda draw: draw.some_of(draw.saturation_edges()),
    "around the range": lambda draw: draw.some_of(draw.range_edges()),
    "an edge among zeros": lambda draw: _alone(draw, np.zeros(draw.size), draw.generator.choice(draw.edges())),
    "an outlier": lambda draw: _alone(draw, draw.normal(-0.6), draw.largest / 3),
    "powers of two": _powers_of_two,
    "largest": lambda draw: draw.of(draw.largest * draw.signs()),
    "bits": _bits,
    "special head": _special_head,
    "special tail": _special_tail,
    "special chunk borders": _special_borders,
    "special places": _special_places,
    "special among all scales": _special_extremes,
}
