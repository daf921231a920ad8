"""Every case by every contender: correctness first, then times against the roof.

Results are compared with a float64 oracle; if one of them is wrong, that is printed and no figure at all. Each timed
call begins with a cold cache, contenders take turns. On a GPU the roof is a kernel that only reads, over the same
chunks as ours; on a CPU it is x.sum(), and all run in one thread.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..machine import describe
from . import table
from .beside import beside
from .cases import CASES, Case
from .contender import Contender, Prepared, Unavailable
from .contenders import CONTENDERS, ROOFS
from .gate import RedGate, Truth, check
from .memory import available, unfit
from .timing import COLD, Clock, clock_for, in_turns, summarise

SUMMARY = "time of one read, all entries, against the roof, torch and Triton as usually written"
REPEATS = {"cpu": 20, "cuda": 50}

Progress = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--case", action="append", metavar="NAME", help="only this case (repeatable)")
    parser.add_argument("--contender", action="append", metavar="NAME", help="only this one and the roof (repeatable)")
    parser.add_argument("--list", action="store_true", help="list cases and contenders, and end")
    parser.add_argument("--device", help="cpu, cuda or cuda:INDEX (default: cuda where there is one)")
    parser.add_argument("--repeats", type=int, help="turns per case (default 20 on a CPU, 50 on a GPU)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="also draw the ratios (needs matplotlib)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.list:
        print(table.listing(CASES, CONTENDERS))
        return
    device = _device(options.device)
    repeats = REPEATS[device.type] if options.repeats is None else options.repeats
    if repeats < 1:
        raise SystemExit(f"--repeats: expected at least 1, got {repeats}; leave it out for the usual number")
    cases = _named("case", CASES, options.case)
    contenders = _named("contender", CONTENDERS, options.contender, always=ROOFS[device.type])
    draw = _plotter(options.plot)
    if device.type == "cpu":
        torch.set_num_threads(1)

    def save(result: dict[str, Any]) -> None:
        if options.json is not None:
            options.json.write_text(json.dumps(result, indent=1) + "\n")

    try:
        result = measure(cases, contenders, device, repeats, options.case is not None, save)
    except RedGate as error:
        raise SystemExit(f"the gate is red, no figure is printed: {error}") from None
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
    Raises RedGate before anything is timed or printed.
    """
    verdicts = {}
    skipped = []
    for case in cases:
        reason = unfit(case, device, named)
        if reason is not None:
            skipped.append({"name": case.name, "reason": reason})
            continue
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
        rows = timed(case, contenders, verdicts[case.name], clock, device, repeats, _progress)
        _progress("")
        print(table.of_case(rows, device.type), flush=True)
        result["cases"].append(rows)
        save(result)
    if skipped:
        print(table.of_skipped(skipped))
    return result


@dataclass
class Verdict:
    """Of one case: contenders that passed → their largest error, the others → why they cannot run."""

    truth: Truth
    errors: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def gate(case: Case, contenders: Sequence[Contender], device: torch.device, progress: Progress) -> Verdict:
    """Runs each contender once and compares. Raises RedGate."""
    progress(f"gate: {case.name}: float64 oracle")
    gc.collect()
    tensors = case.tensors(device)
    verdict = Verdict(Truth.of(tensors))
    for contender in contenders:
        progress(f"gate: {case.name}: {contender.name}")
        try:
            verdict.errors[contender.name] = _error(contender, case, tensors, verdict.truth)
        except Unavailable as error:
            verdict.reasons[contender.name] = str(error)
        except RedGate as error:
            raise RedGate(f"{contender.name} on {case.name}: {error}") from None
    return verdict


def _error(contender: Contender, case: Case, tensors: Sequence[torch.Tensor], truth: Truth) -> float:
    prepared = _prepare(contender, case, tensors)
    return check(contender, prepared.read(prepared.run()), truth)


def timed(
    case: Case,
    contenders: Sequence[Contender],
    verdict: Verdict,
    clock: Clock,
    device: torch.device,
    repeats: int,
    progress: Progress,
) -> dict[str, Any]:
    """One case of the results file."""
    gc.collect()
    tensors = case.tensors(device)
    reasons = dict(verdict.reasons)
    runs: dict[str, Callable[[], Any]] = {}
    for contender in contenders:
        if contender.name in reasons:
            continue
        progress(f"{case.name}: {contender.name} prepares")
        try:
            runs[contender.name] = _prepare(contender, case, tensors).run
        except Unavailable as error:
            reasons[contender.name] = str(error)
    seconds = in_turns(runs, clock, repeats, lambda text: progress(f"{case.name}: {text}"))
    roof = seconds.get(ROOFS[device.type])
    rows = []
    computes = {contender.name: contender.computes for contender in contenders}
    for name, call in runs.items():
        progress(f"{case.name}: {name}: launches and memory")
        figures = summarise(seconds[name], roof, case.bytes, verdict.errors[name], beside(call, device))
        rows.append({"name": name, "computes": computes[name], **asdict(figures)})
    return {
        "name": case.name,
        "description": case.description,
        "dtype": str(case.dtype).removeprefix("torch."),
        "tensors": len(case.shapes),
        "elements": case.elements,
        "bytes": case.bytes,
        "contenders": rows,
        "skipped": [{"name": name, "reason": reason} for name, reason in reasons.items()],
    }


def _prepare(contender: Contender, case: Case, tensors: Sequence[torch.Tensor]) -> Prepared:
    device = tensors[0].device
    if device.type not in contender.devices:
        raise Unavailable(f"runs on {' and '.join(contender.devices)} alone")
    if contender.spoils and case.content == "poisoned":
        raise Unavailable("would overwrite gradients that are not finite with NaN")
    needed = case.memory - case.bytes + contender.copies * case.bytes
    if contender.copies and needed > available(device):
        raise Unavailable(f"needs {needed / 1e9:.1f} GB more memory, {available(device) / 1e9:.1f} GB are free")
    return contender.prepare(tensors)


def _device(name: str | None) -> torch.device:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in REPEATS:
        raise SystemExit(f"--device: expected cpu, cuda or cuda:INDEX, got {name!r}")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("--device: expected a CUDA device, torch sees none here; --device cpu runs the CPU cases")
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    return device


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
