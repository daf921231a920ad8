"""A recorded run of known gradients, and what is to be read of it: straight from the elements, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.statistics import neutral
from tests.synthetic import NAMES, Recording, gradients, measured

STEPS, EVERY = 95, 10
#: Of a log-coded magnitude (docs/format.md).
RELATIVE = 2e-3
#: head.weight has no gradient in these steps; elements of embed are not finite at these: (step, element, value).
MISSING = (30, 47)
BAD = ((41, 2, np.nan), (41, 3, np.inf), (64, 0, -np.inf))
SPIKE = 77  # step at which blocks.1.attn.weight is a thousand times as large
ROWS = [(first, min(first + EVERY, STEPS)) for first in range(0, STEPS, EVERY)]
NODES = ("", "blocks", "blocks.0", "blocks.0.attn", "blocks.1", "blocks.1.attn", "head", *NAMES)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """``elements [step, tensor, element]``, NaN throughout where a tensor has no gradient."""

    elements: Values
    recording: Recording

    def inside(self, node: str) -> list[int]:
        """The tensors of a node."""
        return [i for i, name in enumerate(NAMES) if node in ("", name) or name.startswith(f"{node}.")]

    def finite(self, node: str, step: int) -> Values:
        """The finite elements of a node at a step."""
        x = self.elements[step, self.inside(node)].ravel()
        return x[np.isfinite(x)]

    def norm(self, node: str) -> Values:
        """``[step]``, NaN where there is none."""
        every = [self.finite(node, step) for step in range(len(self.elements))]
        return np.array([np.sqrt((x**2).sum()) if len(x) else np.nan for x in every])


def planted(**changes: object) -> Planted:
    elements = gradients(STEPS, len(NAMES))
    embed, head, attn = (NAMES.index(name) for name in ("embed", "head.weight", "blocks.1.attn.weight"))
    elements[SPIKE, attn] *= 1000
    for step, element, value in BAD:
        elements[step, embed, element] = value
    entries = measured(elements)
    entries[slice(*MISSING), head] = neutral((1,))
    elements[slice(*MISSING), head] = np.nan
    logged = {step: [("loss", 100.0 - step), *([("lr", 0.5)] if step < 50 else [])] for step in range(0, STEPS, 7)}
    recording = Recording(entries, every=EVERY, logged=logged)
    return Planted(elements, recording.again(**changes))


def written(root: Path, archive: bool = True) -> Planted:
    """The run ``root``, as a writer with ``logdir=root`` would have recorded it."""
    run = planted()
    run.recording.write(root / "gradhealth", archive=archive)
    return run


def over(values: Values, combine: np.ufunc | None, intervals: list[tuple[int, int]]) -> list[float]:
    """``values [step]`` merged over the steps of each interval that have one; NaN where none has."""
    found = []
    for first, stop in intervals:
        there = values[first:stop][~np.isnan(values[first:stop])]
        merged = there.mean() if combine is None and len(there) else combine.reduce(there) if len(there) else np.nan
        found.append(float(merged))
    return found
