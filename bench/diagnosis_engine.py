"""CPU time of the diagnosis engine for a row of many tensors, with every stream that a rule looks at.

Figures are healthy but for noise, so that each rule works and none finds anything; of a sick model (``--sick``) most
rules find something in each row that is timed. The slow stream has a sample every ten rows. Rows are made before the
clock starts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

import numpy as np

from tb_gradhealth.diagnosis import RULES, Engine, Frame, Row, Tensors
from tb_gradhealth.rows import NEVER
from tb_gradhealth.store.scalars import Scalar

SUMMARY = "CPU time of the diagnosis engine, a row of 1,000 tensors"
#: What a row is held against, in milliseconds.
GOAL = 1.0
WARM_UP = 100
#: Figures that are not of the size 0.01.
LEVELS = {
    ("updates", "update_ratio"): 1e-3,
    ("updates", "norm"): 3e-3,
    ("weights", "norm"): 4.6,
    ("spectrum", "rank"): 20.0,
    ("activations", "batch_spread"): 0.5,
    ("activations", "minimum"): 0.0,
    ("predictions", "batch_spread"): 0.5,
    ("inputs", "batch_spread"): 0.5,
    ("attention", "attention_entropy"): 0.5,
}
#: The same of a sick model, from the row :data:`ONSET` on: so many times what they were.
ONSET = 40
SICK = {
    ("gradients", "norm"): 1e5,
    ("gradients", "near_zero_fraction"): 80.0,
    ("gradients", "zero_fraction"): 90.0,
    ("weights", "norm"): 20.0,
    ("updates", "norm"): 2e4,
    ("spectrum", "rank"): 0.05,
    ("dead_rows", "dead_row_fraction"): 90.0,
    ("activations", "dead_unit_fraction"): 90.0,
    ("activations", "batch_spread"): 1e-3,
    ("inputs", "mean"): 5e3,
    ("inputs", "dead_features"): 30.0,
    ("predictions", "batch_spread"): 1e-2,
    ("attention", "attention_entropy"): 0.02,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tensors", type=int, default=1000, help="parameters (1000)")
    parser.add_argument("--rows", type=int, default=1000, help="rows that are timed (1000)")
    parser.add_argument("--sick", action="store_true", help="rows in which most rules find something")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    engine = Engine(RULES)
    rows = made(engine, options.tensors, WARM_UP + options.rows, ONSET if options.sick else None)
    seconds, found = [], 0
    for row in rows:
        began = time.thread_time()
        found = len(engine.add(row))
        seconds.append(time.thread_time() - began)
    if engine.problems or (engine.findings and not options.sick):
        raise SystemExit(f"expected healthy rows, but {engine.findings[:1]} and {engine.problems}")
    timed = np.array(seconds[WARM_UP:]) * 1e3
    print(
        f"{options.tensors:,} tensors, {len(RULES)} rules, {len(timed):,} rows: median {np.median(timed):.2f} ms, p90 "
        f"{np.percentile(timed, 90):.2f} ms of CPU a row (goal {GOAL:g} ms)"
        + (f"; {found} findings in the last one" if options.sick else "")
    )


def made(engine: Engine, count: int, rows: int, onset: int | None = None) -> list[Row]:
    """Rows of blocks of a linear layer and a normalisation; spectra in every tenth. Sick from the row ``onset`` on."""
    generator = np.random.default_rng(0)
    blocks = range(count // 4)
    kinds = {"fc.weight": (64, 64), "fc.bias": (64,), "norm.weight": (64,), "norm.bias": (64,)}
    parameters = [(f"blocks.{block}.{name}", shape) for block in blocks for name, shape in kinds.items()]
    modules = [(f"blocks.{block}.{name}", (64,)) for block in blocks for name in ("fc", "norm", "act")]
    of_batches = [("batch", (32, 64))]
    tensors = {"activations": modules, **dict.fromkeys(("inputs", "predictions", "attention"), of_batches)}
    healthy: dict[str, list[Frame]] = {}
    sick: dict[str, list[Frame]] = {}
    for stream, metrics in engine.wanted.items():
        names, shapes = zip(*tensors.get(stream, parameters), strict=True)
        known = Tensors(names, shapes, ("float32",) * len(names))
        for frames, times in ((healthy, {}), (sick, SICK)):
            frames[stream] = [_frame(stream, metrics, known, times, generator) for _ in range(8)]  # taken in turn
    found = []
    for step in range(rows):
        is_sick = onset is not None and step >= onset
        loss = 10.0 if is_sick else 1.0
        frames = {
            stream: some[step % 8]
            for stream, some in (sick if is_sick else healthy).items()
            if stream != "spectrum" or step % 10 == 0
        }
        found.append(
            Row(step, step + 1, frames, {"loss": Scalar(1, loss, loss, loss), "lr": Scalar(1, 1e-3, 1e-3, 1e-3)})
        )
    return found


def _frame(
    stream: str,
    metrics: Sequence[str],
    known: Tensors,
    times: Mapping[tuple[str, str], float],
    generator: np.random.Generator,
) -> Frame:
    count = len(known)
    values = {}
    for metric in metrics:
        level = LEVELS.get((stream, metric), 0.01) * times.get((stream, metric), 1.0)
        values[metric] = level * generator.uniform(0.9, 1.1, (3, count))
    whole = {metric: plane[:, 0] for metric, plane in values.items()}
    return Frame(known, values, whole, np.ones(count, np.int64), np.full(count, NEVER))
