"""A made-up training: entries of every step, as a transformer's gradients have them, to be had from any step on.

Norms wander slowly (waves whose spectrum is that of a random walk), jitter within a chunk of steps as a random walk
does, and scatter from step to step, partly all together, since a hard batch is hard for each layer. What is counted
follows the magnitudes. Now and then a gradient is zero throughout or has a NaN; :class:`Events` are planted on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.statistics import NEAR_ZERO, Entries, neutral
from tb_gradhealth.store.scalars import Scalar

from .model import Model

WAVES = 12
#: What all tensors share of a step's noise, what each has alone, and the walk within a chunk; in units of ln(rms).
SHARED, OWN, WALK = 0.1, 0.15, 0.01
ZERO, NOT_A_NUMBER = 1e-5, 1e-6  # how often, of tensors × steps
SPIKE, DROP = 1e6, 1e-12
KINDS = ("spike", "drop", "nan")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """What happens to one tensor at one step, ``[event]`` in step order. A ``size`` is a norm, of NaN their number."""

    step: Ints
    tensor: Ints
    kind: Ints  # into KINDS
    size: Floats


def planted(count: int, steps: int, tensors: int, seed: int) -> Events:
    """``count`` events at random places, none twice; every kind as often."""
    generator = np.random.default_rng([seed, 1])
    places = np.sort(generator.choice(steps * tensors, count, replace=False))
    kind = generator.permutation(np.arange(count) % len(KINDS))
    scale = generator.uniform(1, 10, count)
    size = np.choose(kind, [SPIKE * scale, DROP * scale, np.ceil(scale)])
    return Events(places // tensors, places % tensors, kind, size)


class Training:
    """``entries(first, stop)`` is the same however the steps are asked for: each ``chunk`` of steps is drawn from a
    generator of its own."""

    def __init__(self, model: Model, steps: int, chunk: int, seed: int, events: Events | None = None) -> None:
        generator = np.random.default_rng([seed, 0])
        self.steps, self.chunk, self.seed = steps, chunk, seed
        self._last: tuple[int, Entries] = (-1, neutral((0,)))
        self.sizes = np.array(model.sizes, np.int64)
        self.events = planted(0, steps, len(self.sizes), seed) if events is None else events
        count = len(self.sizes)
        depth = np.linspace(0, 1, count)
        # Biases and norms have larger elements than matrices, late layers larger ones than early ones.
        self._base = (
            np.log(1e-3) - 0.35 * np.log(self.sizes / self.sizes.min()) + depth + generator.normal(0, 0.7, count)
        )
        periods = np.geomspace(640, 2 * max(steps, 640), WAVES)
        self._waves = 2 * np.pi / periods
        self._heights = 0.5 * np.sqrt(periods / periods[-1])[:, None] * generator.normal(0, 1, (WAVES, count))
        self._phases = generator.uniform(0, 2 * np.pi, (WAVES, count))
        self._embeddings = np.array([len(shape) == 2 and shape[0] > 10_000 for shape in model.shapes.values()])
        self._peak = np.sqrt(2 * np.log(self.sizes))

    def entries(self, first: int, stop: int) -> Entries:
        """``[step, tensor]`` of the steps ``[first, stop)``."""
        parts = []
        for chunk in range(first // self.chunk, -(-stop // self.chunk)):
            if self._last[0] != chunk:
                self._last = chunk, self._drawn(chunk)
            begin = chunk * self.chunk
            parts.append(self._last[1][max(first - begin, 0) : stop - begin])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def loss(self, step: int) -> float:
        """What the loop logs."""
        return 2.5 + 8.0 / (1 + step / 1000) + 0.05 * np.sin(step)

    def _drawn(self, chunk: int) -> Entries:
        generator = np.random.default_rng([self.seed, 2, chunk])
        count = len(self.sizes)
        shape = (self.chunk, count)
        log_rms = self._slow(chunk) + generator.normal(0, SHARED, (self.chunk, 1))
        log_rms += _bridge(generator, shape)
        log_rms += OWN * generator.standard_normal(shape, np.float32)
        rms = np.exp(log_rms)
        entries = neutral(shape)
        entries["count"] = self.sizes
        entries["sum_sq"] = rms**2 * self.sizes
        flat = 0.75 + 0.01 * generator.standard_normal(shape, np.float32)
        entries["sum_abs"] = flat * rms * self.sizes
        entries["sum"] = rms * np.sqrt(self.sizes) * generator.standard_normal(shape, np.float32)
        peak = self._peak * (1 + 0.15 * np.abs(generator.standard_normal(shape, np.float32)))
        entries["abs_max"] = rms * np.minimum(peak, np.sqrt(self.sizes))
        small = np.minimum(0.8 * NEAR_ZERO / rms, 0.5)
        entries["near_zero"] = np.minimum(generator.poisson(small * self.sizes), self.sizes)
        self._unused_rows(generator, entries)
        self._accidents(generator, entries)
        self._plant(entries, chunk * self.chunk)
        return entries

    def _slow(self, chunk: int) -> Floats:
        """ln(rms) ``[step, tensor]`` without noise: straight between the ends of a chunk."""
        ends = []
        for step in (chunk * self.chunk, (chunk + 1) * self.chunk):
            waves = np.sin(self._waves[:, None] * step + self._phases)
            ends.append(self._base + (self._heights * waves).sum(axis=0) - 0.8 * np.log1p(step / (0.02 * self.steps)))
        at = (np.arange(self.chunk) / self.chunk)[:, None]
        slow: Floats = (1 - at) * ends[0] + at * ends[1]
        return slow

    def _unused_rows(self, generator: np.random.Generator, entries: Entries) -> None:
        """Of an embedding only the rows of the batch's tokens have a gradient."""
        for tensor in np.flatnonzero(self._embeddings):
            unused = generator.normal(0.9, 0.003, len(entries)).clip(0, 1)
            entries["zero"][:, tensor] = (unused * self.sizes[tensor]).astype(np.int64)
            entries["near_zero"][:, tensor] = np.maximum(entries["near_zero"][:, tensor], entries["zero"][:, tensor])

    def _accidents(self, generator: np.random.Generator, entries: Entries) -> None:
        drawn = generator.random(entries.shape, np.float32)
        _set_to_zero(entries, drawn < ZERO)
        # A float32 below 1 is at most 1 - 2^-24.
        entries["nan"][drawn > 1 - NOT_A_NUMBER] = 1

    def _plant(self, entries: Entries, first_step: int) -> None:
        events = self.events
        some = slice(*np.searchsorted(events.step, [first_step, first_step + len(entries)]))
        for step, tensor, kind, size in zip(
            events.step[some], events.tensor[some], events.kind[some], events.size[some], strict=True
        ):
            at = (step - first_step, tensor)
            if KINDS[kind] == "nan":
                entries["nan"][at] = int(size)
                continue
            count = self.sizes[tensor]
            rms = size / np.sqrt(count)
            entries["sum_sq"][at], entries["sum_abs"][at], entries["sum"][at] = size**2, 0.75 * rms * count, 0.0
            entries["abs_max"][at], entries["nan"][at] = 4 * rms, 0
            entries["zero"][at] = 0
            entries["near_zero"][at] = count if KINDS[kind] == "drop" else 0


def _bridge(generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """A random walk ``[step, tensor]`` that comes back to where it began."""
    walk = WALK * np.cumsum(generator.standard_normal(shape, np.float32), axis=0, dtype=np.float64)
    back: Floats = walk - np.linspace(0, 1, shape[0])[:, None] * walk[-1]
    return back


def _set_to_zero(entries: Entries, where: npt.NDArray[np.bool_]) -> None:
    for name in ("sum_sq", "sum_abs", "sum", "abs_max"):
        entries[name][where] = 0
    for name in ("zero", "near_zero"):
        entries[name][where] = entries["count"][where]


def logged(training: Training, first: int, stop: int) -> dict[str, Scalar]:
    """The loss of the steps ``[first, stop)``, as a row keeps it."""
    values = [training.loss(step) for step in range(first, stop)]
    return {"loss": Scalar(len(values), sum(values), min(values), max(values))}
