"""Rows made up for the engine: a small model whose figures a test sets, all else in good health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tb_gradhealth.diagnosis import RULES, Engine, Finding, Frame, Row, Tensors
from tb_gradhealth.notes import Note
from tb_gradhealth.rows import NEVER
from tb_gradhealth.store.scalars import Scalar

NAMES = ("net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias", "net.4.weight", "net.4.bias", "net.6.weight")
SHAPES = ((32, 12), (32,), (32, 32), (32,), (32, 32), (32,), (4, 32))
PARAMETERS = Tensors(NAMES, SHAPES, ("float32",) * len(NAMES))
#: A ReLU behind each layer but the last.
MODULES = Tensors(tuple(f"net.{place}" for place in range(7)), ((32,),) * 6 + ((4,),), ("float32",) * 7)
INPUT, OUTPUT = Tensors(("x",), ((16, 12),), ("float32",)), Tensors(("y",), ((16, 4),), ("float32",))

Values = Sequence[float] | float

#: A healthy figure for each metric; all weights have the norm that torch begins with.
HEALTH: Mapping[tuple[str, str], Values] = {
    ("gradients", "norm"): 0.1,
    ("gradients", "rms"): 0.01,
    ("gradients", "near_zero_fraction"): 0.01,
    ("gradients", "zero_fraction"): 0.01,
    ("weights", "norm"): tuple(
        float(np.sqrt(np.prod(shape) / (3 * shape[-1]))) if len(shape) > 1 else 1.0 for shape in SHAPES
    ),
    ("updates", "norm"): 0.003,
    ("updates", "rms"): 1e-4,
    ("updates", "update_ratio"): 1e-3,
    ("spectrum", "rank"): 8.0,
    ("dead_rows", "dead_row_fraction"): 0.0,
    ("activations", "rms"): 0.5,
    ("activations", "mean"): 0.1,
    ("activations", "std"): 0.5,
    ("activations", "mean_abs"): 0.4,
    ("activations", "minimum"): (-2, 0, -2, 0, -2, 0, -2),
    ("activations", "maximum"): 2.0,
    ("activations", "zero_fraction"): (0, 0.5, 0, 0.5, 0, 0.5, 0),
    ("activations", "limit_fraction"): (np.nan, 0.5, np.nan, 0.5, np.nan, 0.5, np.nan),
    ("activations", "dead_unit_fraction"): 0.0,
    ("activations", "batch_spread"): 0.5,
    ("inputs", "mean"): 0.0,
    ("inputs", "std"): 1.0,
    ("inputs", "dead_features"): 0.0,
    ("inputs", "batch_spread"): 1.0,
    ("predictions", "batch_spread"): 0.9,
    ("predictions", "rms"): 1.0,
}
TENSORS = {"activations": MODULES, "inputs": INPUT, "predictions": OUTPUT}
LOGGED = {"loss": 1.0, "lr": 1e-3}


@dataclass
class Step:
    """One row: what differs from health. ``without``: streams that it lacks; ``absent``: tensors without gradient."""

    figures: dict[tuple[str, str], Values] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)
    whole: dict[tuple[str, str], float] = field(default_factory=dict)
    bad: dict[str, tuple[str, ...]] = field(default_factory=dict)  # stream → tensors with a NaN
    absent: tuple[str, ...] = ()
    skipped: bool = False
    without: tuple[str, ...] = ()

    def row(self, start: int, every: int, tensors: Mapping[str, Tensors] = TENSORS) -> Row:
        frames: dict[str, Frame] = {}
        for stream in dict.fromkeys(stream for stream, _ in (*HEALTH, *self.figures)):
            if stream in self.without:
                continue
            known = tensors.get(stream, tensors.get("gradients", PARAMETERS))
            values = {
                metric: np.broadcast_to(np.asarray(value, np.float64), (3, len(known))).copy()
                for (other, metric), value in {**HEALTH, **self.figures}.items()
                if other == stream
            }
            there = np.full(len(known), every)
            for place, name in enumerate(known.names):
                if stream in ("gradients", "dead_rows") and name in self.absent:
                    there[place] = 0
                    for plane in values.values():
                        plane[:, place] = np.nan
            bad = [start if name in self.bad.get(stream, ()) else NEVER for name in known.names]
            whole = {metric: np.full(3, self.whole.get((stream, metric), 0.2)) for metric in values}
            frames[stream] = Frame(known, values, whole, there, np.array(bad, np.int64))
        notes = [Note(step, "skipped") for step in range(start, start + every)] if self.skipped else []
        logged = {name: Scalar(1, value, value, value) for name, value in {**LOGGED, **self.logged}.items()}
        return Row(start, start + every, frames, logged, notes)


def rows(steps: Iterable[Step], every: int = 1, tensors: Mapping[str, Tensors] = TENSORS) -> list[Row]:
    return [step.row(place * every, every, tensors) for place, step in enumerate(steps)]


def found(
    steps: Iterable[Step], every: int = 1, rule: str | None = None, tensors: Mapping[str, Tensors] = TENSORS
) -> tuple[Finding, ...]:
    """What the engine finds, of one rule or of all."""
    engine = Engine([one for one in RULES if rule is None or one.name == rule])
    for row in rows(steps, every, tensors):
        engine.add(row)
    assert engine.problems == []
    return engine.findings


def healthy(count: int) -> list[Step]:
    return [Step() for _ in range(count)]


def with_figure(stream: str, metric: str, value: Values, step: Step | None = None) -> Step:
    """A step with one figure changed."""
    step = Step() if step is None else step
    return replace(step, figures={**step.figures, (stream, metric): value})


def at(value: float, *places: int, of: int = len(NAMES), others: float) -> tuple[float, ...]:
    """A figure for some tensors, and one for all others."""
    return tuple(value if place in places else others for place in range(of))
