"""CPU time of the diagnosis engine for a row of many tensors, with every stream that a rule looks at.

Figures are healthy but for noise, so that each rule works and none finds anything. The slow stream has a sample every
ten rows. Rows are made before the clock starts.
"""

from __future__ import annotations

import argparse
import time

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tensors", type=int, default=1000, help="parameters (1000)")
    parser.add_argument("--rows", type=int, default=1000, help="rows that are timed (1000)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    engine = Engine(RULES)
    rows = made(engine, options.tensors, WARM_UP + options.rows)
    seconds = []
    for row in rows:
        began = time.thread_time()
        engine.add(row)
        seconds.append(time.thread_time() - began)
    if engine.findings or engine.problems:
        raise SystemExit(f"expected healthy rows, but {engine.findings[:1]} and {engine.problems}")
    timed = np.array(seconds[WARM_UP:]) * 1e3
    print(
        f"{options.tensors:,} tensors, {len(RULES)} rules, {len(timed):,} rows: median {np.median(timed):.2f} ms, p90 "
        f"{np.percentile(timed, 90):.2f} ms of CPU a row (goal {GOAL:g} ms)"
    )


def made(engine: Engine, count: int, rows: int) -> list[Row]:
    """Rows of blocks of a linear layer and a normalisation; spectra in every tenth."""
    generator = np.random.default_rng(0)
    blocks = range(count // 4)
    kinds = {"fc.weight": (64, 64), "fc.bias": (64,), "norm.weight": (64,), "norm.bias": (64,)}
    parameters = [(f"blocks.{block}.{name}", shape) for block in blocks for name, shape in kinds.items()]
    modules = [(f"blocks.{block}.{name}", (64,)) for block in blocks for name in ("fc", "norm", "act")]
    of_batches = [("batch", (32, 64))]
    tensors = {"activations": modules, **dict.fromkeys(("inputs", "predictions", "attention"), of_batches)}
    frames: dict[str, list[Frame]] = {}
    for stream, metrics in engine.wanted.items():
        names, shapes = zip(*tensors.get(stream, parameters), strict=True)
        known = Tensors(names, shapes, ("float32",) * len(names))
        frames[stream] = []
        for _ in range(8):  # variants, taken in turn
            values = {
                metric: LEVELS.get((stream, metric), 0.01) * generator.uniform(0.9, 1.1, (3, len(names)))
                for metric in metrics
            }
            whole = {metric: plane[:, 0] for metric, plane in values.items()}
            there, never = np.ones(len(names), np.int64), np.full(len(names), NEVER)
            frames[stream].append(Frame(known, values, whole, there, never))
    logged = {"loss": Scalar(1, 1.0, 1.0, 1.0), "lr": Scalar(1, 1e-3, 1e-3, 1e-3)}
    return [
        Row(
            step,
            step + 1,
            {stream: some[step % 8] for stream, some in frames.items() if stream != "spectrum" or step % 10 == 0},
            logged,
        )
        for step in range(rows)
    ]
