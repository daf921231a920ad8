"""One case: every contender through the gate; later, prepared anew, in turns, and through the gate again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from .beside import beside, launches
from .cases import Case
from .contender import Contender, Prepared, Unavailable
from .contenders import OURS, ROOFS
from .gate import RedGate, Truth, check
from .memory import available
from .timing import Clock, in_turns, noise, summarise

Progress = Callable[[str], None]


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
        with _or_skipped(contender, device, verdict.reasons):
            prepared = _prepare(contender, case, tensors)
            verdict.errors[contender.name] = _error(contender, case, prepared, verdict.truth)
    return verdict


def timed(
    case: Case,
    contenders: Sequence[Contender],
    verdict: Verdict,
    clock: Clock,
    device: torch.device,
    repeats: int,
    progress: Progress,
) -> dict[str, Any]:
    """One case of the results file. Raises RedGate where what was timed no longer gives right results."""
    gc.collect()
    tensors = case.tensors(device)
    reasons = dict(verdict.reasons)
    ready = _warm(case, contenders, tensors, reasons, progress)
    runs = {name: prepared.run for name, prepared in ready.items()}
    roof, again = ROOFS[device.type], f"{ROOFS[device.type]} again"
    if roof in runs:
        runs[again] = runs[roof]
    seconds = in_turns(runs, clock, repeats, lambda text: progress(f"{case.name}: {text}"))
    rows = []
    for contender in contenders:
        name = contender.name
        if name not in ready:
            continue
        progress(f"{case.name}: {name}: the gate again, and memory")
        with _or_skipped(contender, device, reasons):
            error = max(verdict.errors[name], _error(contender, case, ready[name], verdict.truth))
            figures = summarise(seconds[name], seconds.get(roof), case.bytes, error, beside(ready[name].run, device))
            rows.append({"name": name, "computes": contender.computes, **asdict(figures)})
    return {
        "name": case.name,
        "description": case.description,
        "dtype": str(case.dtype).removeprefix("torch."),
        "tensors": len(case.shapes),
        "elements": case.elements,
        "bytes": case.bytes,
        "contenders": rows,
        "noise": asdict(noise(again, seconds[again], seconds[roof])) if roof in seconds else None,
        "skipped": [{"name": name, "reason": reason} for name, reason in reasons.items()],
    }


def launches_of(
    case: Case,
    contenders: Sequence[Contender],
    rows: Sequence[dict[str, Any]],
    progress: Progress,
    device: torch.device,
) -> None:
    """Adds the launches of a call to the rows of contenders that were timed."""
    gc.collect()
    tensors = case.tensors(device)
    by_name = {row["name"]: row for row in rows}
    ready = _warm(case, [c for c in contenders if c.name in by_name], tensors, {}, progress)
    for name, prepared in ready.items():
        progress(f"{case.name}: {name}: launches")
        by_name[name]["launches"] = launches(prepared.run, device)


def _warm(
    case: Case,
    contenders: Sequence[Contender],
    tensors: Sequence[torch.Tensor],
    reasons: dict[str, str],
    progress: Progress,
) -> dict[str, Prepared]:
    """Contenders that can run, prepared and called once, so that nothing is compiled in a turn."""
    ready: dict[str, Prepared] = {}
    device = tensors[0].device
    for contender in contenders:
        if contender.name in reasons:
            continue
        progress(f"{case.name}: {contender.name} prepares")
        with _or_skipped(contender, device, reasons):
            prepared = _prepare(contender, case, tensors)
            prepared.run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            ready[contender.name] = prepared
    return ready


def _error(contender: Contender, case: Case, prepared: Prepared, truth: Truth) -> float:
    results = prepared.read(prepared.run())
    try:
        return check(contender, results, truth)
    except RedGate as error:
        raise RedGate(f"{contender.name} on {case.name}: {error}") from None


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


@contextmanager
def _or_skipped(contender: Contender, device: torch.device, reasons: dict[str, str]) -> Iterator[None]:
    """A contender that fails is skipped and the reason kept, but never the two that a comparison is about."""
    try:
        yield
    except RedGate:
        raise
    except Unavailable as error:
        reasons[contender.name] = str(error)
    # Out of memory, a compiler's bug: whatever it is, the others' figures do not depend on it.
    except Exception as error:
        if contender.name in (OURS, ROOFS[device.type]):
            raise
        reasons[contender.name] = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
