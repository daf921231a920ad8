"""What a monitor costs a training step: the writer in its settings, and hooks as people write them.

Each contender trains beside a bare twin of its own, from the same seed on the same data; where ``clip`` is in its name,
both clip. Blocks of steps take turns: contenders in an order that moves on by one each round, twins as A B, B A.

Printed are the median over pairs of what a monitored block takes beyond the bare one, and, since that scatters by whole
per cent, the time within the monitor's own calls and on its own threads as a share of the bare step: CPU time on both
sides, on CUDA the device's. Both have a 95 % bootstrap interval, or, of fewer than six pairs, the range. No figure of
a contender is printed or written unless its pair ends bit-identical (where clipping rounds differently: nearly) and
its files hold every gradient of every step; nothing is printed unless that holds for all.

On CUDA the 1.3 B GPT trains, with deterministic algorithms, and as many pairs at a time as memory holds. After each
such batch ``--json`` is written, so that a run which is ended leaves what it has.

With ``--memory`` a tiny GPT trains for 24,000 steps with every stream instead, and what the process holds is printed.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from .. import options as of_command
from ..machine import describe
from . import memory, monitors
from .monitors import Contender
from .pairing import Pair, WrongResult, warm_up_steps
from .summary import Summary, kind_of_interval, summarise
from .table import show
from .trainings import SIZES, Block, Size, deterministic

SUMMARY = "step time of a GPT with and without the writer, and with hooks"
#: Model, pairs and steps of a block. On CUDA all contenders together must fit into ten minutes, on two cores five of
#: them into eight; a row of the usual length is then a block, and one of the spectrum is all blocks.
USUAL = {"cpu": ("reference", 10, 10), "cuda": ("1.3b", 6, 5)}
#: Share of the device's memory that may be in use.
MEMORY = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [contender.name for contender in monitors.CONTENDERS]
    number = of_command.at_least(1)
    (model, pairs, steps), on_cuda = USUAL["cpu"], USUAL["cuda"]
    parser.add_argument(
        "--device",
        type=of_command.device,
        default=of_command.usual_device(),
        help="where to train (default %(default)s)",
    )
    parser.add_argument("--model", choices=SIZES, help=f"what to train (default {model}, on CUDA {on_cuda[0]})")
    parser.add_argument("--contender", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument(
        "--pairs",
        type=of_command.at_least(2),
        help=f"pairs of blocks of each contender (default {pairs}, on CUDA {on_cuda[1]})",
    )
    parser.add_argument("--steps", type=number, help=f"steps of a block (default {steps}, on CUDA {on_cuda[2]})")
    parser.add_argument(
        "--memory",
        action="store_true",
        help=f"measure memory instead, over --steps steps (default {memory.STEPS:,}) with every stream; on the CPU",
    )
    parser.add_argument("--threads", type=number, default=2, help="torch's threads on the CPU (default %(default)s)")
    parser.add_argument("--json", type=of_command.writable_file, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.memory:
        memory.show(options.steps or memory.STEPS)
        return
    device: torch.device = options.device
    usual_model, usual_pairs, usual_steps = USUAL[device.type]
    size = SIZES[options.model or usual_model]
    pairs, steps = options.pairs or usual_pairs, options.steps or usual_steps
    chosen = [c for c in monitors.CONTENDERS if options.contender is None or c.name in options.contender]
    head = ", ".join([*described(size, device), f"{pairs} pairs of {steps}-step blocks"])
    each = 2 * (warm_up_steps(steps) + pairs * steps)
    print(f"{head}: {len(chosen)} contenders, {len(chosen) * each:,} steps in all", file=sys.stderr)
    found: dict[str, Summary] = {}
    try:
        for finished in compare(size, device, chosen, pairs, steps):
            found |= finished
            if options.json is not None:
                options.json.write_text(_as_json(head, size, device, chosen, found))
    except WrongResult as error:
        raise SystemExit(f"{error}: no figure is printed") from error
    speed = f"bare step: {_tokens_per_second(size, found):,.0f} tokens a second, median over the contenders' twins"
    show([head, speed], device, chosen, found)


def described(size: Size, device: torch.device) -> list[str]:
    """What sets a share of the step: the model, and how it is trained."""
    how = ["bf16 autocast"] if size.autocast else []
    return [size.label, f"{size.tokens:,} tokens a step", *how, *["deterministic algorithms"] * (device.type == "cuda")]


def _as_json(
    head: str, size: Size, device: torch.device, chosen: Sequence[Contender], found: Mapping[str, Summary]
) -> str:
    """Of the contenders so far. Times are in ms, shares are of 1."""
    written = {
        "machine": describe(),
        "training": head,
        "device": device.type,
        "bare_tokens_per_second": _tokens_per_second(size, found),
        "intervals": kind_of_interval(min(summary.pairs for summary in found.values())),
        "contenders": {name: asdict(summary) for name, summary in found.items()},
        "unfinished": [contender.name for contender in chosen if contender.name not in found],
    }
    return json.dumps(written, indent=1) + "\n"


def _tokens_per_second(size: Size, found: Mapping[str, Summary]) -> float:
    return statistics.median(size.tokens / summary.bare_ms * 1e3 for summary in found.values())


def compare(
    size: Size, device: torch.device, contenders: Sequence[Contender], pairs: int, steps: int
) -> Iterator[dict[str, Summary]]:
    """By contender, what ``pairs`` pairs of blocks of ``steps`` steps tell, of as many as memory holds at a time.

    Raises WrongResult on a red gate.
    """
    waiting = list(contenders)
    with deterministic(device), tempfile.TemporaryDirectory() as directory:
        while waiting:
            with _no_warning_of_ours():
                finished = _compare_together(waiting, size, device, pairs, steps, Path(directory))
            # The models must be gone before the next ones are made.
            gc.collect()
            _say("")
            yield finished


def _compare_together(
    waiting: list[Contender], size: Size, device: torch.device, pairs: int, steps: int, directory: Path
) -> dict[str, Summary]:
    """Of the first of ``waiting``, which it takes away."""
    together: list[Pair] = []
    _forget_peak(device)
    while waiting and (not together or _another_fits(device, len(together))):
        contender = waiting.pop(0)
        _say(f"{contender.name}: first steps")
        together.append(Pair(contender, size, device, directory / contender.name))
        together[-1].warm_up(steps)
    finished: dict[str, Summary] = {}
    for pair, blocks in zip(together, _take_turns(together, pairs, steps), strict=True):
        pair.finish()
        finished[pair.contender.name] = summarise(blocks, on_device=device.type == "cuda")
    return finished


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
