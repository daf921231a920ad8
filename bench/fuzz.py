"""Generated cases (``tests/kernels/generated.py``) through every way to measure, each against the float64 oracle.

The ways are the fused kernels, plain torch and the CPU path. On a GPU the kernels run as they do in training; without
one they run in Triton's interpreter at a tenth of a second a program, which tells whether they compute and read the
right things, but nothing about compilers, rounding on the device or races.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch

from gradhealth_kernels import reference
from gradhealth_kernels.cpu import CpuMeter
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.elements import Item, prepare
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import ENTRIES, ENTRY_DTYPE, Entries, neutral
from tests.kernels.cases import differences
from tests.kernels.generated import Plan, Setting, launches

SUMMARY = "generated cases through the fused kernels, plain torch and the CPU path, against float64"
INTERPRET = "TRITON_INTERPRET"
SHOWN = 10
GARBAGE = -(2**51) - 7  # a NaN when read as float64

Way = Callable[[Sequence[torch.Tensor], Setting], Entries]
"""Tensors of one device → entries ``[tensor]``."""


def fused(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
    device = tensors[0].device
    pair = FusedPair(device, len(tensors), setting.near_zero, setting.chunk)
    out = _garbage(len(tensors), device)
    pair.measure(_items(tensors), out, setting.inverse_scale(device))
    return _entries(out)


def plain(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
    device = tensors[0].device
    out = _garbage(len(tensors), device)
    PlainMeter(setting.near_zero).measure(_items(tensors), out, setting.inverse_scale(device))
    return _entries(out)


def host(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
    out = neutral((len(tensors),))
    inverse_scale = setting.inverse_scale(torch.device("cpu"))
    factor = None if inverse_scale is None else inverse_scale.item()
    CpuMeter(setting.near_zero).measure(_items([tensor.cpu() for tensor in tensors]), out, factor)
    return out


WAYS: dict[str, Way] = {"fused kernels": fused, "plain torch": plain, "CPU path": host}


def _items(tensors: Sequence[torch.Tensor]) -> list[Item]:
    return [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]


def _garbage(tensors: int, device: torch.device) -> torch.Tensor:
    return torch.full((tensors, len(ENTRIES)), GARBAGE, device=device)


def _entries(words: torch.Tensor) -> Entries:
    entries: Entries = words.cpu().numpy().view(ENTRY_DTYPE)[:, 0]
    return entries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--cases", type=int, default=2000, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all of them (default %(default)s)")
    parser.add_argument(
        "--only", metavar="NAME", help="one case of that seed, by the name or number it was printed with"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default=device, help="cpu interprets (default %(default)s)"
    )
    parser.add_argument(
        "--batch", type=int, default=100, help="cases between two lines of progress (default %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.device == "cpu" and os.environ.get(INTERPRET) != "1":
        raise SystemExit(_in_the_interpreter())
    with warnings.catch_warnings():
        # In the interpreter NumPy overflows where a GPU does so in silence.
        warnings.simplefilter("ignore", RuntimeWarning)
        raise SystemExit(fuzz(options))


def _in_the_interpreter() -> int:
    """This command again, in a process where Triton is not imported yet: it looks at the variable only then."""
    if importlib.util.find_spec("triton") is None:
        raise SystemExit("expected triton, whose interpreter runs the kernels, found none: pip install triton")
    return subprocess.run([sys.executable, *sys.orig_argv[1:]], env={**os.environ, INTERPRET: "1"}).returncode


def fuzz(options: argparse.Namespace) -> int:
    """Exit status: 1 as soon as a batch holds a case that some way measures wrongly."""
    device = torch.device(options.device)
    chosen = _chosen(options)
    begin, programs = time.perf_counter(), 0
    for start in range(0, len(chosen), options.batch):
        indices = chosen[start : start + options.batch]
        wrong: dict[str, list[str]] = {}
        for setting, cases in launches(options.seed, indices, device):
            wrong |= _wrong(cases, setting)
            programs += _programs(list(cases.values()), setting.chunk)
        if wrong:
            _report(wrong, options)
            return 1
        print(f"\r  case {indices.stop}/{chosen.stop}, {time.perf_counter() - begin:.0f} s", end="", flush=True)
    seconds = time.perf_counter() - begin
    print(f"\r{len(chosen)} cases, {programs} programs, {seconds:.1f} s, 0 differences")
    return 0


def _chosen(options: argparse.Namespace) -> range:
    if options.only is None:
        return range(options.cases)
    number, _, rest = options.only.partition("/")
    if not number.isdecimal():
        raise SystemExit(f"expected a case's name, which begins with its number, got {options.only!r}")
    name = Plan.of(options.seed, int(number)).name
    if rest and options.only != name:
        raise SystemExit(f"expected a case of seed {options.seed}, whose case {number} is {name!r}; give --seed too")
    return range(int(number), int(number) + 1)


def _wrong(cases: dict[str, torch.Tensor], setting: Setting) -> dict[str, list[str]]:
    """What each way gets wrong, by the case's name."""
    tensors = list(cases.values())
    scale = setting.inverse_scale(torch.device("cpu"))
    expected = [reference.measure(tensor.cpu(), setting.near_zero, scale) for tensor in tensors]
    wrong: dict[str, list[str]] = {}
    for way, measure in WAYS.items():
        for name, got, right in zip(cases, measure(tensors, setting), expected, strict=True):
            said = [f"{way}: {problem}" for problem in differences(got, right)]
            if said:
                wrong.setdefault(name, []).extend(said)
    return wrong


def _programs(tensors: Sequence[torch.Tensor], chunk: int) -> int:
    """Stage 1 runs one program per chunk, stage 2 one per tensor."""
    elements = np.array([prepare(tensor)[0].numel() for tensor in tensors])
    return int((-(-elements // chunk)).sum()) + len(tensors)


def _report(wrong: dict[str, list[str]], options: argparse.Namespace) -> None:
    print(f"\rwrong: {len(wrong)}" + (f", the first {SHOWN}:" if len(wrong) > SHOWN else ""))
    for name, said in list(wrong.items())[:SHOWN]:
        print(f"\n{name}")
        for problem in said:
            print(f"  {problem}")
        again = f"--device {options.device} --seed {options.seed} --only {shlex.quote(name)}"
        print(f"  again: python -m bench fuzz {again}")
