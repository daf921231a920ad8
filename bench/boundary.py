"""What the host does per step beside the reduction itself: looking at every gradient, and handing the tables over.

Nothing is launched: in the place of the two kernels' launches stands an empty function, and tensors on the CPU count
as a device's, so the figures are the host's alone and hold without a GPU. Gradients lie where they lay:

- in cache: the same objects, seen a moment ago;
- same objects (``zero_grad(set_to_none=False)``), after the other contenders had the cache, as in training;
- new objects from each backward pass (``set_to_none=True`` with an allocator that hands out the same memory).

Contenders take turns, a figure is a median. Nothing is printed unless each scan sees every change: of address, size,
dtype, order and presence.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gradhealth_kernels import device_ring, launch, scan
from gradhealth_kernels.constants import READ, SCALED
from gradhealth_kernels.device import CheckedMeter
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.scan import CppScan, PythonScan

from .machine import describe
from .options import at_least, writable_file

SUMMARY = "host time per step of looking at gradients, with a stand-in for the launches"
COUNTS = (1, 300, 10_000)
ELEMENTS = 64
KINDS = ("in cache", "same objects", "new objects")


class WrongResult(RuntimeError):
    """A change went unseen, so the times mean nothing."""


class Proven(CheckedMeter):
    """Takes the fused kernels to be right, since the stand-in computes nothing that could be compared."""

    def __init__(self, device: torch.device, tensors: int, near_zero: float, signed: bool) -> None:
        super().__init__(device, tensors, near_zero, signed)
        self._fused = FusedPair(device, tensors, near_zero)
        self._proof.settled = {READ, SCALED}


@contextmanager
def stand_in() -> Iterator[None]:
    """Tensors on the CPU count as a device's, launches do nothing."""
    places: Any = (launch, "stays"), (device_ring, "meter_for"), (FusedPair, "_launch")
    replacements: Any = (lambda device: True, Proven, lambda self, out, variant, factor: None)
    before = [getattr(owner, name) for owner, name in places]
    for (owner, name), replacement in zip(places, replacements, strict=True):
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for (owner, name), original in zip(places, before, strict=True):
            setattr(owner, name, original)


class Training:
    """Parameters whose gradients are parts of one buffer, so that new gradients lie where the old ones lay."""

    def __init__(self, count: int) -> None:
        self.parameters = [torch.nn.Parameter(torch.zeros(ELEMENTS)) for _ in range(count)]
        self._buffer = torch.ones(count * ELEMENTS)
        self.backward()

    def backward(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
        torch.cat(list(self.parameters)).backward(self._buffer)  # type: ignore[no-untyped-call]


def contenders(count: int) -> dict[str, Callable[[list[torch.nn.Parameter]], None]]:
    """By name, what measures a step of ``count`` gradients."""
    made: dict[str, Callable[[list[torch.nn.Parameter]], None]] = {}
    plain = StepRing(count, 1)
    made["no scan"] = lambda parameters: plain.measure(0, [parameter.grad for parameter in parameters])
    scans: dict[str, Any] = {"Python": PythonScan()}
    module = scan._built()
    if module is not None:
        scans["C++"] = CppScan(module)
    for name, chosen in scans.items():
        ring = StepRing(count, 1)
        ring._scan = chosen
        made[name] = _step(ring)
        _check(name, ring, Training(count))
    return made


def _step(ring: StepRing) -> Callable[[list[torch.nn.Parameter]], None]:
    return lambda parameters: ring.measure_gradients(0, parameters)


def _check(name: str, ring: StepRing, training: Training) -> None:
    """After each change the table that the kernels would read must say where the gradients are now."""
    first: Any = training.parameters[0]
    changes: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "new objects at the same addresses": training.backward,
        "another address": lambda: setattr(first.grad, "data", first.grad.data.clone()),
        "fewer elements": lambda: setattr(first.grad, "data", first.grad.data[:7]),
        "another dtype": lambda: setattr(first.grad, "data", first.grad.data.view(torch.bfloat16)),
        "gaps": lambda: setattr(first.grad, "data", torch.ones(20)[::2]),
        "absent": lambda: setattr(first, "grad", None),
        "back again": training.backward,
    }
    for change, make in changes.items():
        make()
        for _ in range(2):
            ring.measure_gradients(0, training.parameters)
            gradients = [parameter.grad for parameter in training.parameters]
            meter: Any = next(iter(ring._rings.values()))._meter
            if not any(gradient is not None for gradient in gradients):
                continue
            expected = [(0, 0) if g is None else (g.data_ptr(), g.numel()) for g in gradients]
            found = list(map(tuple, meter._fused._table[:2].T.tolist()))
            # A gradient with gaps is copied: its address is the copy's.
            if change == "gaps":
                expected[0] = (found[0][0], expected[0][1])
            if found != expected:
                raise WrongResult(f"{name} scan, {len(gradients)} tensors: {change} went unseen: no figure is printed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=at_least(1), default=300, help="steps per figure (default %(default)s)")
    parser.add_argument("--json", type=writable_file, help="also write the result to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    rows = []
    with stand_in():
        for count in COUNTS:
            steps = contenders(count)
            training = Training(count)
            for kind in KINDS:
                for name, quantiles in _measured(steps, training, kind, options.steps).items():
                    low, middle, high = quantiles
                    rows.append({"tensors": count, "gradients": kind, "scan": name, "us": middle, "iqr": [low, high]})
    _print(rows)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": describe(), "rows": rows}, indent=1) + "\n")


def _measured(
    steps: dict[str, Callable[[list[torch.nn.Parameter]], None]], training: Training, kind: str, repeats: int
) -> dict[str, list[float]]:
    """Quartiles of a step's microseconds for each contender."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 3):
        for name, step in steps.items():
            if kind == "new objects":
                training.backward()
            elif kind == "in cache":
                step(training.parameters)
            begin = time.perf_counter()
            step(training.parameters)
            end = time.perf_counter()
            # The first steps upload the tables.
            if repeat >= 3:
                seconds[name].append(end - begin)
    return {name: [float(x) * 1e6 for x in np.percentile(taken, [25, 50, 75])] for name, taken in seconds.items()}


def _print(rows: list[dict[str, Any]]) -> None:
    for key, value in describe().items():
        print(f"{key:10s} {value}")
    print("host time of a step whose gradients lie where they lay; in the launches' place stands an empty function")
    print("tensors  gradients     scan          µs a step   (quartiles)         µs a tensor")
    for row in rows:
        low, high = row["iqr"]
        each = row["us"] / row["tensors"]
        print(
            f"{row['tensors']:7d}  {row['gradients']:12s}  {row['scan']:8s} {row['us']:12.1f}   "
            f"({low:.1f} … {high:.1f}){'':4s}{each:10.3f}"
        )
