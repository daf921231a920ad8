"""Generated cases for the measuring paths: any number of tensors, made again from a seed and a number.

Case ``i`` takes value ``i`` of each dimension below, over and over, in an order drawn from the seed. No two dimensions'
lengths have a common divisor, so by the Chinese remainder theorem ``a * b`` cases in a row hold every pair of values of
dimensions of length ``a`` and ``b``. What matters most stands in its dimension several times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from gradhealth_kernels.elements import EIGHT_BIT
from gradhealth_kernels.statistics import NEAR_ZERO

from .contents import CONTENTS, Draw


@dataclass(frozen=True)
class Setting:
    """What all cases of one launch share. Without ``inverse``, that of a loss scale, tensors are read as they are."""

    inverse: float | None = None
    near_zero: float = NEAR_ZERO
    chunk: int = 2**12

    def inverse_scale(self, device: torch.device) -> torch.Tensor | None:
        return None if self.inverse is None else torch.tensor([self.inverse], dtype=torch.float32, device=device)

    def __str__(self) -> str:
        scale = "unscaled" if self.inverse is None else f"times {self.inverse:.3g}"
        return f"{scale}, near zero {self.near_zero:g}, chunks of {self.chunk}"


COMPONENT = {torch.complex64: torch.float32}

_OFTEN = (torch.float16, torch.bfloat16, torch.float32)
_RARE = (torch.float64, torch.float64, torch.complex64, *sorted(EIGHT_BIT, key=str))
#: Twenty-three, whatever this torch lacks of the 8-bit ones.
DTYPES = tuple([*_OFTEN * 5, *_RARE, *_OFTEN * 2][:23])
#: Storage offsets in elements: every distance from a 16-byte boundary, for every size of element.
OFFSETS = tuple(range(18))
LAYOUTS = ("contiguous", "transposed", "gaps", "expanded", "sparse")
SIZES = (
    *("none", "one", "few"),
    *("vectors - 1", "vectors", "vectors + 1"),
    *("tiles - 1", "tiles", "tiles + 1"),
    *("chunk - 1", "chunk", "chunk + 1", "chunks"),
)
#: Chunks of 2^14 elements are long enough for several rounds of the kernels' unrolled loop.
SETTINGS = (
    *[Setting()] * 8,
    *[Setting(chunk=2**14)] * 3,
    *[Setting(near_zero=1e-3)] * 2,
    *(Setting(1 / 3000), Setting(2.0**-16, 1e-3, 2**14)),
    *map(Setting, (2.0**20, 3e-39, math.inf, math.nan)),
)


@dataclass(frozen=True)
class Plan:
    """What case ``index`` of a seed is to be."""

    seed: int
    index: int
    dtype: torch.dtype
    size: str
    offset: int
    layout: str
    content: str
    setting: Setting

    @classmethod
    def of(cls, seed: int, index: int) -> Plan:
        dimensions = (DTYPES, SIZES, OFFSETS, LAYOUTS, tuple(CONTENTS), SETTINGS)
        dtype, size, offset, layout, content, setting = (
            values[np.random.default_rng([seed, place]).permutation(len(values))[index % len(values)]]
            for place, values in enumerate(dimensions)
        )
        if layout == "sparse" and not _oracle_has_sparse(dtype, setting):
            layout = "gaps"
        return cls(seed, index, dtype, size, offset, layout, content, setting)

    @property
    def name(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        parts = (self.index, dtype, self.size, f"offset {self.offset}", self.layout, self.content, self.setting)
        return "/".join(map(str, parts))

    def tensor(self, device: torch.device) -> torch.Tensor:
        """Numbers on the host, the same for every device, then the view of memory there that holds them."""
        generator = np.random.default_rng([self.seed, self.index])
        setting, component = self.setting, COMPONENT.get(self.dtype, self.dtype)
        width = 2 if self.dtype.is_complex else 1
        elements = -(-_components(self.size, component.itemsize, setting.chunk, generator) // width)
        copies = _smallest_divisor(elements) if self.layout == "expanded" else 1
        drawn = elements // copies * width
        draw = Draw(generator, drawn, component, setting.chunk, setting.inverse, setting.near_zero)
        values = CONTENTS[self.content](draw)
        if self.dtype.is_complex:
            values = torch.view_as_complex(values.reshape(elements // copies, 2))
        if self.layout == "sparse":
            return _sparse(values, generator).to(device)
        step = int(generator.integers(2, 4)) if self.layout == "gaps" else 1
        view = _surrounded(values, self.offset, step, device)
        if self.layout == "transposed":
            rows = _smallest_divisor(elements)
            return view.view(rows, elements // rows).T
        return view.expand(copies, len(values)) if self.layout == "expanded" else view


def launches(
    seed: int, indices: Iterable[int], device: torch.device
) -> Iterator[tuple[Setting, dict[str, torch.Tensor]]]:
    """The cases of ``indices``, sorted by setting: tensors by name, with what one launch measures them."""
    groups: dict[Setting, list[Plan]] = {}
    for index in indices:
        plan = Plan.of(seed, index)
        groups.setdefault(plan.setting, []).append(plan)
    for setting, plans in groups.items():
        yield setting, {plan.name: plan.tensor(device) for plan in plans}


def number(name: str) -> int:
    """Index of the case that has this name."""
    return int(name.partition("/")[0])


def _oracle_has_sparse(dtype: torch.dtype, setting: Setting) -> bool:
    """Not in 8 bits, where torch adds no duplicates.

    Nor under a scale that is not finite: torch unscales only the elements that a sparse tensor holds, so what is left
    out stays 0, while the oracle multiplies all of it and has NaN there.
    """
    return dtype not in EIGHT_BIT and math.isfinite(setting.inverse or 0)


def _components(size: str, itemsize: int, chunk: int, generator: np.random.Generator) -> int:
    """Numbers in a tensor of the given class of size; a complex element is two."""
    kind, _, step = size.partition(" ")
    vector = 16 // itemsize
    whole = {
        "none": 0,
        "one": 1,
        "few": generator.integers(2, 8),
        "vectors": vector * generator.integers(1, 40),
        # The kernels' tiles are some power of two of vectors.
        "tiles": min(2 ** generator.integers(5, 10) * vector, chunk // 2) * generator.integers(1, 3),
        "chunk": chunk,
        "chunks": 2 * chunk + generator.integers(-1, chunk + 2),
    }[kind]
    # Half of the time the head before the first 16-byte boundary comes on top.
    head = generator.integers(vector) if kind in ("vectors", "tiles") and generator.random() < 0.5 else 0
    return int(whole + head) + int(step.replace(" ", "") or 0)


def _smallest_divisor(number: int) -> int:
    """Above 1; of a prime the prime itself, of 0 and 1 it is 1."""
    return next((divisor for divisor in range(2, number + 1) if number % divisor == 0), 1)


def _surrounded(values: torch.Tensor, offset: int, step: int, device: torch.device) -> torch.Tensor:
    """A view of ``values``, ``step`` elements apart, in memory that is NaN everywhere else."""
    size = offset + len(values) * step + 16
    nan = torch.full((size,), math.nan, dtype=COMPONENT.get(values.dtype, torch.float32))
    memory = torch.complex(nan, nan) if values.is_complex() else nan.to(values.dtype)
    places = slice(offset, offset + len(values) * step, step)
    memory[places] = values
    return memory.to(device)[places]


def _sparse(values: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """A COO tensor, half of it left out, of ``values`` in order; one in eight places is given twice, and adds up.

    Not more often, since the order of more than two could change their sum.
    """
    size = len(values)
    again = generator.permutation(size)[: size // 8]
    rows = np.concatenate([np.arange(size), again])
    chosen = np.concatenate([np.arange(size), generator.permutation(size)[: size // 8]])
    shuffled = generator.permutation(len(rows))
    indices = torch.from_numpy(2 * rows[shuffled])[None]
    return torch.sparse_coo_tensor(
        indices, values[torch.from_numpy(chosen[shuffled])], (2 * size + 3,), check_invariants=True
    )
