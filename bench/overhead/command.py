"""What a monitor costs a training step: the writer in its settings, and hooks as people write them.

Each contender trains beside a bare twin of its own, from the same seed on the same data; where ``clip`` is in its name,
both clip. Blocks of steps take turns: contenders in an order that moves on by one each round, twins as A B, B A.

Printed are the median over pairs of what a monitored block takes beyond the bare one, and, since that scatters by whole
per cent, the time within the monitor's own calls and on its own threads as a share of the bare step: CPU time on both
sides, on CUDA the device's. Both have a 95 % bootstrap interval. Nothing is printed unless all pairs end bit-identical
(where clipping rounds differently: nearly) and the files hold every gradient of every step.

On CUDA the 1.3 B GPT trains, with deterministic algorithms, and as many pairs at a time as memory holds.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from ..machine import describe
from . import monitors
from .monitors import Contender
from .pairing import Pair, WrongResult
from .summary import Summary, summarise
from .trainings import SIZES, Block, Size, deterministic

SUMMARY = "step time of a GPT with and without the writer, and with hooks"
#: Share of the device's memory that may be in use.
MEMORY = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [contender.name for contender in monitors.CONTENDERS]
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to train (default cuda, if there is one)")
    parser.add_argument("--model", choices=SIZES, help="what to train (default reference on the CPU, 1.3b on CUDA)")
    parser.add_argument("--contender", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of blocks of each contender (default %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="steps of a block (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads on the CPU (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    for name, least in (("pairs", 2), ("steps", 1), ("threads", 1)):
        if getattr(options, name) < least:
            raise SystemExit(f"--{name}: expected at least {least}, got {getattr(options, name)}: pass a larger number")
    torch.set_num_threads(options.threads)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    size = SIZES[options.model or ("1.3b" if device.type == "cuda" else "reference")]
    chosen = [c for c in monitors.CONTENDERS if options.contender is None or c.name in options.contender]
    try:
        summaries = compare(size, device, chosen, options.pairs, options.steps)
    except WrongResult as error:
        raise SystemExit(f"{error}: no figure is printed") from error
    head = f"{size.label}, {size.tokens:,} tokens a step, {options.pairs} pairs of {options.steps}-step blocks"
    show(head, device, summaries)
    if options.json is not None:
        contenders = {name: asdict(summary) for name, summary in summaries.items()}
        written = {"machine": describe(), "training": head, "device": device.type, "contenders": contenders}
        options.json.write_text(json.dumps(written, indent=1) + "\n")


def compare(
    size: Size, device: torch.device, contenders: Sequence[Contender], pairs: int, steps: int
) -> dict[str, Summary]:
    """By contender, what ``pairs`` pairs of blocks of ``steps`` steps tell. Raises WrongResult on a red gate."""
    waiting = list(contenders)
    summaries: dict[str, Summary] = {}
    with deterministic(device), _no_warning_of_ours(), tempfile.TemporaryDirectory() as directory:
        while waiting:
            together: list[Pair] = []
            _forget_peak(device)
            while waiting and (not together or _another_fits(device, len(together))):
                contender = waiting.pop(0)
                _say(f"{contender.name}: first steps")
                together.append(Pair(contender, size, device, Path(directory) / contender.name))
                together[-1].warm_up(steps)
            for pair, blocks in zip(together, _take_turns(together, pairs, steps), strict=True):
                pair.finish()
                summaries[pair.contender.name] = summarise(blocks, on_device=device.type == "cuda")
            # The models must be gone before the next ones are made.
            del together, pair
            gc.collect()
        _say("")
    return summaries


def _another_fits(device: torch.device, pairs: int) -> bool:
    """Whether there is memory for one more pair beside ``pairs`` that have trained."""
    if device.type != "cuda":
        return True
    each = torch.cuda.memory_allocated(device) / pairs
    _, total = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_allocated(device) + each <= MEMORY * total


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _take_turns(together: Sequence[Pair], rounds: int, steps: int) -> list[list[tuple[Block, Block]]]:
    """``[contender][round]``: blocks of the bare and the monitored training."""
    measured: list[list[tuple[Block, Block]]] = [[] for _ in together]
    for turn in range(rounds):
        for place in range(len(together)):
            which = (place + turn) % len(together)
            pair = together[which]
            _say(f"round {turn + 1} of {rounds}: {pair.contender.name}")
            measured[which].append(pair.measure(steps, bare_first=turn % 2 == 0))
    return measured


@contextmanager
def _no_warning_of_ours() -> Iterator[None]:
    """A writer that warned did not do what is to be measured: kernels given up for plain torch, say."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
    finally:
        for warning in caught:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    ours = [str(warning.message) for warning in caught if str(warning.message).startswith("tb_gradhealth:")]
    if ours:
        raise WrongResult(f"expected a writer that has nothing to warn of, got {ours[0]!r}")


def _say(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


Column = tuple[str, Callable[[Summary], str]]
_PAIRED: list[Column] = [
    ("bare ms", lambda s: f"{s.bare_ms:.2f}"),
    ("with ms", lambda s: f"{s.with_ms:.2f}"),
    ("step time", lambda s: f"{100 * (s.ratio - 1):+.2f} %"),
    ("95 % interval", lambda s: _interval(s.ratio_interval, 1.0)),
]
_OWN: list[Column] = [
    ("own", lambda s: _share(s.own)),
    ("95 % interval", lambda s: _interval(s.own_interval)),
]
_ON_CPU: list[Column] = [
    ("own: loop", lambda s: _share(s.own_loop)),
    ("threads", lambda s: _share(s.own_threads)),
    *_OWN,
]
_ON_DEVICE: list[Column] = [*_OWN, ("host ms", lambda s: f"{s.host_ms:.3f}")]


def show(head: str, device: torch.device, summaries: dict[str, Summary]) -> None:
    """The table."""
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print(f"{head}\n")
    columns = _PAIRED + (_ON_DEVICE if device.type == "cuda" else _ON_CPU)
    cells = [[title for title, _ in columns], *([cell(s) for _, cell in columns] for s in summaries.values())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, row in zip(["", *summaries], cells, strict=True):
        print(f"{name:11s}" + "".join(f"{cell:>{width + 2}s}" for cell, width in zip(row, widths, strict=True)))
    print()
    for contender in monitors.CONTENDERS:
        if contender.name in summaries:
            print(f"{contender.name:11s}  {contender.meaning}")
    clock = "the GPU was at work for it" if device.type == "cuda" else "CPU time it took"
    print(f"own: {clock}, beyond what clipping took the bare twin, as a share of the bare step")


def _share(share: float) -> str:
    return f"{_percent(share)} %"


def _interval(interval: tuple[float, float], origin: float = 0.0) -> str:
    low, high = (_percent(share - origin) for share in interval)
    return f"{low} … {high}"


def _percent(share: float) -> str:
    rounded = round(100 * share, 2) + 0.0  # no -0.00
    return f"{rounded:.2f}"
