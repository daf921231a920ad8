"""Generated cases (``tests/kernels/generated.py``) through every way to measure, each against the float64 oracle.

The ways are the fused kernels, plain torch and the CPU path; for one case in seven also the kernels with the signed
extremes, and in place, where the products must be torch's and the entries those of the products. Where the GPU has
packed instructions, the kernels run with and without them. Without a GPU they run in Triton's interpreter at a tenth of
a second a program, which tells whether they compute and read the right things, but nothing about compilers, rounding
on the device or races.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import shlex
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gradhealth_kernels import reference
from gradhealth_kernels.cpu import CpuMeter
from gradhealth_kernels.device import PlainMeter
from gradhealth_kernels.elements import EIGHT_BIT, Item, prepare
from gradhealth_kernels.pair import FusedPair, packed_possible
from gradhealth_kernels.statistics import ENTRY_DTYPE, SIGNED_DTYPE, Entries, neutral, table
from tests.kernels.cases import differences
from tests.kernels.generated import Plan, Setting, launches, number

from . import options as of_command

SUMMARY = "generated cases through the fused kernels, plain torch and the CPU path, against float64"
INTERPRET = "TRITON_INTERPRET"
SHOWN = 10
GARBAGE = -(2**51) - 7  # a NaN when read as float64
#: One case in so many goes the ways that are not every case's. It divides no dimension's length, so in time all meet.
SOME = 7
#: What tensors are multiplied by in place where the setting has no factor: no power of two, so products are rounded.
FACTOR = 0.3

Measure = Callable[[Sequence[torch.Tensor], Setting], Entries]
"""Tensors of one device → entries ``[tensor]``."""
Check = Callable[[Sequence[torch.Tensor], Setting], list[list[str]]]
"""Tensors of one device → what is wrong with each."""


@dataclass(frozen=True)
class Way:
    """A check, and which tensors it is for: those of one case in ``one_in`` that it ``takes``."""

    check: Check
    one_in: int = 1
    takes: Callable[[torch.Tensor], bool] = lambda tensor: True


def ways(device: torch.device) -> dict[str, Way]:
    found = {"plain torch": Way(entries_by(plain)), "CPU path": Way(entries_by(host))}
    for asm in (False, True) if packed_possible(device) else (False,):
        kernels = "packed kernels" if asm else "fused kernels"
        found |= {
            kernels: Way(entries_by(fused(asm))),
            f"{kernels}, signed": Way(entries_by(fused(asm, signed=True), signed=True), SOME),
            f"{kernels}, in place": Way(in_place(asm), SOME, _is_read_in_its_dtype),
        }
    return found


def entries_by(measure: Measure, signed: bool = False) -> Check:
    """Whether the entries are the oracle's."""

    def check(tensors: Sequence[torch.Tensor], setting: Setting) -> list[list[str]]:
        scale = setting.inverse_scale(torch.device("cpu"))
        return [
            differences(got, reference.measure(tensor.cpu(), setting.near_zero, scale, signed))
            for got, tensor in zip(measure(tensors, setting), tensors, strict=True)
        ]

    return check


def in_place(asm: bool) -> Check:
    """Whether the products are torch's, and the entries the oracle's of what was written."""

    def check(tensors: Sequence[torch.Tensor], setting: Setting) -> list[list[str]]:
        device = tensors[0].device
        # Copies of the memory around them too, so that they lie as far from 16 bytes.
        items = _items([copy.deepcopy(tensor) for tensor in tensors])
        factor = torch.tensor(FACTOR if setting.inverse is None else setting.inverse, dtype=torch.float64)
        products = [_product(dense, factor.to(device)) for _, dense, _ in items]
        pair = FusedPair(device, len(items), setting.near_zero, setting.chunk, asm=asm)
        out = _garbage(len(items), device)
        pair.measure(items, out)
        pair.scale(out, factor.to(device))
        wrong = []
        for (_, written, _), product, got in zip(items, products, _entries(out), strict=True):
            said = differences(got, reference.measure(written.cpu(), setting.near_zero))
            # Triton's interpreter rounds to bfloat16 towards zero.
            if device.type != "cpu" or written.dtype is not torch.bfloat16:
                said += _unequal(written.cpu(), product.cpu())
            wrong.append(said)
        return wrong

    return check


def fused(asm: bool, signed: bool = False) -> Measure:
    def measure(tensors: Sequence[torch.Tensor], setting: Setting) -> Entries:
        device = tensors[0].device
        pair = FusedPair(device, len(tensors), setting.near_zero, setting.chunk, signed, asm)
        out = _garbage(len(tensors), device, signed)
        pair.measure(_items(tensors), out, setting.inverse_scale(device))
        return _entries(out)

    return measure


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


def _items(tensors: Sequence[torch.Tensor]) -> list[Item]:
    return [(index, *prepare(tensor)) for index, tensor in enumerate(tensors)]


def _is_read_in_its_dtype(tensor: torch.Tensor) -> bool:
    """Not as float32 in place of 8 bits, nor as what a sparse tensor holds: such copies have no products to keep."""
    return tensor.layout is torch.strided and tensor.dtype not in EIGHT_BIT


def _garbage(tensors: int, device: torch.device, signed: bool = False) -> torch.Tensor:
    return torch.full((tensors, len(table(signed))), GARBAGE, device=device)


def _entries(words: torch.Tensor) -> Entries:
    dtype = SIGNED_DTYPE if words.shape[1] == len(table(True)) else ENTRY_DTYPE
    entries: Entries = words.cpu().numpy().view(dtype)[:, 0]
    return entries


def _product(dense: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """What torch's clipping makes of a gradient: below float64 the factor is a float32."""
    wide = dense.dtype is torch.float64
    product: torch.Tensor = torch._foreach_mul([dense], factor if wide else factor.float())[0]
    return product


def _unequal(written: torch.Tensor, product: torch.Tensor) -> list[str]:
    """Names the first element that is another number; NaN is NaN, whatever its bits."""
    got, right = written.flatten(), product.flatten()
    places = ((got != right) & ~(got.isnan() & right.isnan())).nonzero()[:, 0].tolist()
    return [f"product {place}: expected {right[place].item()!r}, got {got[place].item()!r}" for place in places[:1]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number_of = of_command.at_least(1)
    parser.add_argument("--cases", type=number_of, default=2000, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=of_command.at_least(0), default=0, help="of all of them (default %(default)s)")
    parser.add_argument(
        "--only", metavar="NAME", help="one case of that seed, by the name or number it was printed with"
    )
    parser.add_argument(
        "--device",
        type=of_command.device,
        default=of_command.usual_device(),
        help="cpu interprets (default %(default)s)",
    )
    parser.add_argument(
        "--batch", type=number_of, default=100, help="cases between two lines of progress (default %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.device.type == "cpu" and os.environ.get(INTERPRET) != "1":
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
    chosen, available = _chosen(options), ways(options.device)
    begin, ran = time.perf_counter(), Counter(dict.fromkeys(available, 0))
    for start in range(0, len(chosen), options.batch):
        indices = chosen[start : start + options.batch]
        wrong: dict[str, list[str]] = {}
        for setting, cases in launches(options.seed, indices, options.device):
            for name, way in available.items():
                taken = {case: t for case, t in cases.items() if number(case) % way.one_in == 0 and way.takes(t)}
                ran[name] += len(taken)
                for case, said in zip(taken, way.check(list(taken.values()), setting) if taken else [], strict=True):
                    if said:
                        wrong.setdefault(case, []).extend(f"{name}: {problem}" for problem in said)
        if wrong:
            _report(wrong, options)
            return 1
        print(f"\r  case {indices.stop}/{chosen.stop}, {time.perf_counter() - begin:.0f} s", end="", flush=True)
    print(f"\r{len(chosen)} cases, {time.perf_counter() - begin:.1f} s, 0 differences", end="")
    print(" in " + "; ".join(f"{times} by {name}" for name, times in ran.items()))
    return 0


def _chosen(options: argparse.Namespace) -> range:
    if options.only is None:
        return range(options.cases)
    if not options.only.partition("/")[0].isdecimal():
        raise SystemExit(f"expected a case's name, which begins with its number, got {options.only!r}")
    index = number(options.only)
    name = Plan.of(options.seed, index).name
    if "/" in options.only and options.only != name:
        raise SystemExit(f"expected a case of seed {options.seed}, whose case {index} is {name!r}; give --seed too")
    return range(index, index + 1)


def _report(wrong: dict[str, list[str]], options: argparse.Namespace) -> None:
    print(f"\rwrong: {len(wrong)}" + (f", the first {SHOWN}:" if len(wrong) > SHOWN else ""))
    for name, said in list(wrong.items())[:SHOWN]:
        print(f"\n{name}")
        for problem in said:
            print(f"  {problem}")
        again = f"--device {options.device} --seed {options.seed} --only {shlex.quote(name)}"
        print(f"  again: python -m bench fuzz {again}")
