"""``python -m tb_gradhealth.demo``: train twice, say what happened, show it in TensorBoard."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from .report import first_step, read_run, screen, verdict
from .serve import serve

STEPS, FEWEST_STEPS = 400, 50
#: Where it shows: stream, tensor or module, metric, and what that is.
SIGNS = (
    ("gradients", "projection.weight", "near_zero_fraction", "near-zero share of its gradient"),
    ("activations", "tanh", "limit_fraction", "share of its outputs at the limit"),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev demo",
        description="Train a small character-level GPT on the source of Python's standard library, twice with the same "
        "seed, data and code: with standardised input descriptors (healthy) and with raw ones (dying). "
        "Then show both in TensorBoard's Grad Health tab.",
    )
    parser.add_argument("--steps", type=_steps, default=STEPS, metavar="N", help="steps of each run (%(default)s)")
    parser.add_argument(
        "--logdir", type=Path, metavar="DIR", help="where the runs are written (a new folder runs/demo-<time>)"
    )
    parser.add_argument("--no-serve", action="store_true", help="end after the summary, without TensorBoard")
    parser.add_argument("--port", type=_port, default=6006, metavar="P", help="TensorBoard's port (%(default)s)")
    options = parser.parse_args(arguments)
    if options.logdir is None:
        options.logdir = Path("runs", f"demo-{datetime.now():%Y%m%d-%H%M%S}")
    if options.logdir.exists() and (not options.logdir.is_dir() or any(options.logdir.iterdir())):
        parser.error(f"--logdir: expected a new or empty folder, got {options.logdir}: choose another name")
    return options


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_STEPS:
        raise argparse.ArgumentTypeError(
            f"expected a number of steps, {FEWEST_STEPS} or more so that there is a trend to see, got {text!r}"
        )
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 (any free one) to 65535, got {text!r}")
    return int(text)


def main() -> int:
    options = parse()
    # Threads that spin while they wait make a busy machine many times slower; set before OpenMP is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch takes seconds to load, which --help and a wrong option need not wait for.
    from . import text, train
    from .progress import Progress

    print("reading the standard library's source ...", flush=True)
    corpus = text.read(text.standard_library())
    size = sum(parameter.numel() for parameter in train.make_model(corpus).parameters())
    print(
        f"{len(corpus.tokens):,} characters, {corpus.vocabulary} tokens, {len(corpus.names)} descriptors of each; "
        f"a GPT of {size / 1e6:.2f} M parameters, {options.steps} steps a run"
    )
    runs: tuple[train.RunName, ...] = ("healthy", "dying")
    for run in runs:
        train.train(run, corpus, options.logdir / run, options.steps, Progress(run, options.steps))
    written: dict[str, Path] = {run: options.logdir / run / "gradhealth" for run in runs}
    print(screen(written))
    print()
    for stream, name, metric, what in SIGNS:
        found = {run: read_run(directory, stream) for run, directory in written.items()}
        half = first_step(found["dying"], name, metric, 0.5)
        print(verdict(found, name, metric, what) + ("" if half is None else f", half first at step {half}"))
    print(
        "The only difference: `dying` gets its descriptors raw. Large numbers of one sign push whole tanh units of\n"
        "the projection out of range, until no character gives them a gradient. The cure: standardise the inputs,\n"
        "or put a LayerNorm in front of the projection."
    )
    if options.no_serve:
        print(f"\nLook at it with: tensorboard --logdir {options.logdir}")
        return 0
    return serve(options.logdir, options.port)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
