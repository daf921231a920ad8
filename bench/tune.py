"""Sweeps what the compiler cannot choose for stage 1: tiles in flight, warps, chunk size, packed instructions.

A point of the sweep is timed only if it agrees with the default's entries. The figures are for the choice of the
constants in ``gradhealth_kernels/constants.py`` and ``chunks.py``; those that people read come from ``kernels``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import torch

from gradhealth_kernels import constants
from gradhealth_kernels.pair import FusedPair, packed_possible
from gradhealth_kernels.statistics import COUNTS, NEAR_ZERO, table

from .kernels.timing import clock_for, in_turns
from .machine import describe
from .options import at_least, device, writable_file

SUMMARY = "sweep of the fused kernels' constants on a GPU"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Point(NamedTuple):
    """Tiles in flight per thread, warps per program, elements per chunk, whether instructions are packed."""

    unroll: int
    warps: int
    chunk: int
    asm: bool

    def __str__(self) -> str:
        return f"unroll {self.unroll}, {self.warps} warps, chunk {self.chunk // 1024} Ki{', packed' * self.asm}"


DEFAULT = Point(constants.UNROLL, constants.WARPS, 2**16, False)


def points(asm: bool) -> Iterator[Point]:
    """All points, the default first."""
    made = itertools.product((1, 2, 4, 8), (4, 8, 16), (2**14, 2**15, 2**16, 2**17), (False, True) if asm else (False,))
    yield DEFAULT
    yield from (point for point in itertools.starmap(Point, made) if point != DEFAULT)


class Contender:
    """Measures the same tensors as the others, with the constants of one point."""

    def __init__(self, point: Point, tensors: list[torch.Tensor]) -> None:
        self.point, self._items = point, [(i, tensor, 0) for i, tensor in enumerate(tensors)]
        self._pair: Any = FusedPair(tensors[0].device, len(tensors), NEAR_ZERO, point.chunk, asm=point.asm)
        self.out = torch.zeros((len(tensors), len(table(False))), dtype=torch.int64, device=tensors[0].device)
        with mock.patch.multiple(constants, ROWS=32 * point.warps, UNROLL=point.unroll, WARPS=point.warps):
            self._pair.measure(self._items, self.out)

    def __call__(self) -> None:
        with mock.patch.object(constants, "WARPS", self.point.warps):
            self._pair.repeat(self.out, None)

    def agrees_with(self, other: Contender) -> bool:
        counts = slice(len(COUNTS))
        mine, its = (one.out[:, len(COUNTS) :].view(torch.float64) for one in (self, other))
        return torch.equal(self.out[:, counts], other.out[:, counts]) and torch.allclose(
            mine, its, rtol=1e-5, atol=1e-3
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = at_least(1)
    parser.add_argument("--dtype", choices=DTYPES, default="bf16", help="of the tensors (default %(default)s)")
    parser.add_argument("--elements", type=number, default=2**31, help="in all tensors (default %(default)s)")
    parser.add_argument("--tensors", type=number, default=64, help="(default %(default)s)")
    parser.add_argument("--repeats", type=number, default=9, help="turns (default %(default)s)")
    parser.add_argument("--best", type=number, default=12, help="points to print (default %(default)s)")
    # A string, so that the default too is looked at, and only when this command runs.
    parser.add_argument("--device", type=device, default="cuda", help="default %(default)s")
    parser.add_argument("--json", type=writable_file, help="also write all points to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    generator = torch.Generator(options.device).manual_seed(0)
    size = options.elements // options.tensors
    tensors = [
        torch.empty(size, dtype=DTYPES[options.dtype], device=options.device).normal_(generator=generator)
        for _ in range(options.tensors)
    ]
    contenders: list[Contender] = []
    for point in points(packed_possible(options.device)):
        contender = Contender(point, tensors)
        if contenders and not contender.agrees_with(contenders[0]):
            raise SystemExit(f"{point}: entries differ from the default's, so no figure is printed")
        contenders.append(contender)
    runs = {str(one.point): one for one in contenders}
    seconds = in_turns(runs, clock_for(options.device), options.repeats, lambda text: print(text, file=sys.stderr))
    report(options, seconds, sum(tensor.nbytes for tensor in tensors))


def report(options: argparse.Namespace, seconds: dict[str, dict[int, float]], size: int) -> None:
    medians = {name: statistics.median(taken.values()) for name, taken in seconds.items()}
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print(f"{options.elements:,} elements of {options.dtype}, {options.tensors} tensors; median of {options.repeats}")
    for name in sorted(medians, key=medians.__getitem__)[: options.best]:
        print(f"{medians[name] * 1e3:9.3f} ms {size / medians[name] / 1e9:8.0f} GB/s   {name}")
    print(f"default: {medians[str(DEFAULT)] * 1e3:.3f} ms")
    if options.json is not None:
        rows = {name: {"ms": median * 1e3, "gb_s": size / median / 1e9} for name, median in medians.items()}
        options.json.write_text(json.dumps({"machine": describe(), "dtype": options.dtype, "points": rows}, indent=1))
