"""Every case by every contender: correctness first, then times against the roof.

Results are compared with a float64 oracle; if one of them is wrong, that is printed and no figure at all. What was
timed is compared again before its figures are printed. Each timed call begins with a cold cache, contenders take turns,
and the roof is measured twice, which shows the noise. On a GPU the roof is a kernel that only reads, over the same
chunks as ours; on a CPU it is x.sum(), and all run in one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..machine import describe
from ..options import at_least, usual_device, writable_file, writable_png
from ..options import device as device_named
from . import table
from .cases import CASES, Case
from .contender import Contender
from .contenders import CONTENDERS, ROOFS
from .gate import RedGate
from .memory import unfit
from .one_case import gate, launches_of, timed
from .timing import COLD, clock_for

SUMMARY = "time of one read, all entries, against the roof, torch and Triton as usually written"
REPEATS = {"cpu": 20, "cuda": 50}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--case", action="append", metavar="NAME", help="only this case (repeatable)")
    parser.add_argument("--contender", action="append", metavar="NAME", help="only this one and the roof (repeatable)")
    parser.add_argument("--list", action="store_true", help="list cases and contenders, and end")
    parser.add_argument(
        "--device", type=device_named, help="cpu, cuda or cuda:INDEX (default: cuda where there is one)"
    )
    parser.add_argument("--repeats", type=at_least(1), help="turns per case (default 20 on a CPU, 50 on a GPU)")
    parser.add_argument("--json", type=writable_file, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--plot", type=writable_png, metavar="FILE.png", help="also draw the ratios (needs matplotlib)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.list:
        print(table.listing(CASES, CONTENDERS))
        return
    device = options.device or usual_device()
    repeats = options.repeats or REPEATS[device.type]
    cases = _named("case", CASES, options.case)
    contenders = _named("contender", CONTENDERS, options.contender, always=ROOFS[device.type])
    draw = _plotter(options.plot)
    if device.type == "cpu":
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(device)

    def save(result: dict[str, Any]) -> None:
        if options.json is not None:
            options.json.write_text(json.dumps(result, indent=1) + "\n")

    try:
        result = measure(cases, contenders, device, repeats, options.case is not None, save)
    except RedGate as error:
        raise SystemExit(f"the gate is red, no figure follows: {error}") from None
    if draw is not None:
        draw(result, options.plot)


def measure(
    cases: Sequence[Case],
    contenders: Sequence[Contender],
    device: torch.device,
    repeats: int,
    named: bool = False,
    save: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Prints a table per case, returns what the results file holds, and hands it to ``save`` after each case.

    ``named``: the cases were asked for, so those meant for other devices run too, if there is the memory.
    Raises RedGate before anything is timed or printed, or when a contender that was timed gives wrong results by then.
    """
    verdicts = {}
    skipped = []
    for case in cases:
        reason = unfit(case, device, named)
        if reason is not None:
            skipped.append({"name": case.name, "reason": reason})
            continue
        _line(f"gate: {case.name}")
        verdicts[case.name] = gate(case, contenders, device, _progress)
    chosen = [case for case in cases if case.name in verdicts]
    result: dict[str, Any] = {
        "machine": describe(),
        "device": str(device),
        "roof": ROOFS[device.type],
        "repeats": repeats,
        "cold": COLD[device.type],
        "cases": [],
        "skipped": skipped,
    }
    _progress("")
    print(table.head(result))
    clock = clock_for(device)
    for case in chosen:
        _line(f"{case.name}: in turns")
        rows = timed(case, contenders, verdicts[case.name], clock, device, repeats, _progress)
        _progress("")
        print(table.of_case(rows, device.type), flush=True)
        result["cases"].append(rows)
        save(result)
    if device.type == "cuda":
        for case, rows in zip(chosen, result["cases"], strict=True):
            _line(f"{case.name}: launches")
            launches_of(case, contenders, rows["contenders"], _progress, device)
            save(result)
        _progress("")
        print(table.of_launches(result["cases"]))
    if skipped:
        print(table.of_skipped(skipped))
    return result


def _named(kind: str, registry: Sequence[Any], names: Sequence[str] | None, always: str | None = None) -> list[Any]:
    """The entries of a registry that were asked for, in its order, all for None; ``always`` is among them."""
    known = [entry.name for entry in registry]
    for name in names or ():
        if name not in known:
            raise SystemExit(f"--{kind}: expected one of {', '.join(known)}, got {name!r}; --list describes them")
    return [entry for entry in registry if names is None or entry.name in (*names, always)]


def _plotter(path: Path | None) -> Callable[[dict[str, Any], Path], None] | None:
    """The plot's function, imported before hours are spent on what it cannot draw."""
    if path is None:
        return None
    try:
        from .plot import plot
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"--plot: expected matplotlib, but {error}; install it with pip install 'tb-gradhealth[bench]'"
        ) from None
    return plot


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _line(text: str) -> None:
    """Where there is no terminal to write over: a line per case, so that a log tells where a run is."""
    if not sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
