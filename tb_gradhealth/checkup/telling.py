"""A report as text: the verdict, findings, what was seen, and a table from the input to the output."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from ..cli.terminal import Colour, printable, size
from ..diagnosis.finding import Finding
from ..diagnosis.telling import figure, steps, where
from .batches import Given
from .examined import Examined
from .report import Report

Paint = Callable[[str, Colour], str]

COLOURS: dict[str, Colour] = {"critical": "red", "high": "red", "medium": "yellow", "low": "yellow", "notice": "dim"}
#: Characters of a bar and of a name; rows of the table; causes and actions of a finding; modules.
BAR, NAME, ROWS, LISTED, LARGEST = 8, 34, 40, 3, 6


def plain(text: str, colour: Colour) -> str:
    return text


def text(report: Report, paint: Paint = plain) -> str:
    return "\n".join(lines(report, paint))


def lines(report: Report, paint: Paint = plain) -> list[str]:
    colour = COLOURS[report.alarms[0].severity] if report.alarms else "green"
    found = [f"{printable(report.model)}: {paint(printable(report.verdict), colour)}"]
    for one, others in report.groups:
        found += ["", *_finding(one, paint)]
        found += [f"  {'then':9}{_headline(other, paint)}" for other in others]
    found += ["", *_summary(report.examined), *_table(report.examined)]
    notices = [one for one in report.findings if one.severity == "notice"]
    if notices:
        found += ["", "hints, which are no alarm:"]
    for one in notices:
        found += [paint(f"  {_headline(one, plain)}", "dim"), paint(f"    {printable(one.innocent)}", "dim")]
    if report.skipped:
        found += ["", "not looked at:", *(f"  {printable(one)}" for one in report.skipped)]
    return found


def _headline(one: Finding, paint: Paint) -> str:
    seen = "" if one.detected == 0 else f", {steps(one)}"
    head = f"{paint(one.severity, COLOURS[one.severity])} {one.type} in {printable(where(one), 80)}{seen}"
    return f"{head}: {printable('; '.join(map(figure, one.evidence)))}"


def _finding(one: Finding, paint: Paint) -> list[str]:
    severity = paint(f"{one.severity:8}", COLOURS[one.severity])
    found = [f"{severity} {paint(f'{one.type} in {printable(where(one), 80)}', 'bold')}"]
    told = [("when", steps(one))] if one.detected else []
    told += [("evidence", figure(each)) for each in one.evidence]
    told += [("causes", cause) for cause in one.causes[:LISTED]]
    told += [("do", action) for action in one.actions[:LISTED]]
    told += [("unless", one.innocent), ("rule", one.rule)]
    before = ""
    for head, content in told:
        found.append(f"  {'' if head == before else head:9}{printable(content)}")
        before = head
    return found


def _summary(examined: Examined) -> list[str]:
    told = [("parameters", _counts(examined))]
    told += [("", line) for line in _modules(examined)]
    told += [("input", _given(one)) for one in examined.inputs]
    told += [("target", _given(one)) for one in examined.targets]
    if examined.seen.ran:
        told.append(("loss", f"{examined.loss:.4g}"))
    if examined.gradients is not None:
        told.append(("gradients", f"norm {examined.gradient_norm:.3g}"))
    told += [("memory", line) for line in _memory(examined)]
    if examined.seconds is not None:
        forward, backward = 1e3 * examined.seconds.forward, 1e3 * examined.seconds.backward
        told.append(("time", f"forward {forward:.3g} ms, backward {backward:.3g} ms"))
    before, found = "", []
    for head, content in told:
        found.append(f"{'' if head == before else head:12}{printable(content)}")
        before = head or before
    return found


def _counts(examined: Examined) -> str:
    parts = examined.parts
    total, trained = sum(one.numel for one in parts), sum(one.numel for one in parts if one.trains)
    dtypes = ", ".join(dict.fromkeys(one.dtype for one in parts))
    told = [f"{total:,} in {len(parts)} tensors", f"{trained:,} trained", f"{total - trained:,} frozen", dtypes]
    tied = [f"{one.name} = {' = '.join(one.aliases)}" for one in parts if one.aliases]
    if tied:
        told.append(f"tied: {'; '.join(tied[:LISTED])}")
    if any(one.listed is not None for one in parts):
        told.append(f"{sum(bool(one.listed) for one in parts)} tensors in the optimizer")
    return ", ".join(one for one in told if one)


def _modules(examined: Examined) -> list[str]:
    """Where most parameters are, by the first part of their names; and their dtypes, if there are several."""
    modules: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for one in examined.parts:
        modules[one.name.partition(".")[0]] += one.numel
        dtypes[one.dtype] += one.numel
    return [
        ", ".join(f"{name} {count:,}" for name, count in counts.most_common(LARGEST))
        for counts in (modules, dtypes)
        if len(counts) > 1
    ]


def _given(one: Given) -> str:
    dtype = str(one.tensor.dtype).removeprefix("torch.")
    head = f"{one.name} {list(one.tensor.shape)} {dtype}, {one.minimum:.4g} to {one.maximum:.4g}"
    return f"{head}, mean {one.mean:.3g}, std {one.std:.3g}" if one.floats else head


def _memory(examined: Examined) -> list[str]:
    memory = examined.memory
    told = [f"parameters {size(memory.parameters)}", f"buffers {size(memory.buffers)}" if memory.buffers else ""]
    told += [f"gradients {size(memory.gradients)}"]
    told += [] if memory.kept is None else [f"kept for the backward pass {size(memory.kept)}"]
    told += [] if memory.optimizer is None else [f"{memory.optimizer_name} would keep {size(memory.optimizer)}"]
    found = [", ".join([*(one for one in told if one), f"in all {size(memory.needed)}"])]
    if memory.resident is not None:
        start, between, after = map(size, memory.resident)
        found.append(f"of the process {start} at the start, {between} after the forward pass, {after} after backward")
    if memory.peak is not None and memory.room is not None:
        found.append(f"of the device at most {size(memory.peak)} of {size(memory.room)}")
    return found


def _table(examined: Examined) -> list[str]:
    """A line for each layer, as they ran: its weight beside the default, what it returned, its gradient."""
    calls = [(place, one) for place, one in enumerate(examined.calls) if one.number == 0]
    of = {examined.parts[place].module: place for place in reversed(examined.depth)}
    calls = [(place, one) for place, one in calls if one.name in of or one.kind in ("activation", "norm", "attention")]
    if not calls:
        return []
    ratio, gradients, returned = examined.parameters.ratio, examined.gradient_rms(), examined.returned
    columns = (
        ("weight, x default", [ratio[of[one.name]] if one.name in of else math.nan for _, one in calls]),
        ("output RMS", [returned.rms[place] for place, _ in calls]),
        ("spread in batch", [one.spread for _, one in calls]),
        ("gradient RMS", [gradients[of[one.name]] if one.name in of else math.nan for _, one in calls]),
    )
    names = [printable(one.name) for _, one in calls]
    names = [one if len(one) <= NAME else "…" + one[1 - NAME :] for one in names]
    width = max(5, *map(len, names))
    cells = [_column([float(value) for value in values]) for _, values in columns]
    wide = [max(len(head), 8 + BAR) for head, _ in columns]
    head = "  ".join([f"{'layer':{width}}", *(f"{name:{w}}" for (name, _), w in zip(columns, wide, strict=True)), ""])
    found = ["", f"{head}silent or |x| > 3"]
    for row, (name, (_, call)) in enumerate(zip(names, calls, strict=True)):
        if len(names) > ROWS and ROWS // 2 <= row < len(names) - ROWS // 2:
            if row == ROWS // 2:
                found.append(f"… {len(names) - ROWS} more …")
            continue
        told = "  ".join([f"{name:{width}}", *(f"{cell[row]:{w}}" for cell, w in zip(cells, wide, strict=True)), ""])
        share = call.beyond if call.function not in ("", "relu") else call.silent if call.function else math.nan
        found.append((told + ("" if math.isnan(share) else f"{100 * share:.0f} %")).rstrip())
    return found


def _column(values: Sequence[float]) -> list[str]:
    """Figures, each with a bar of its place among them by its logarithm."""
    logs = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
    low, high = (min(logs), max(logs)) if logs else (0.0, 0.0)
    found = []
    for value in values:
        if math.isnan(value):
            found.append("")
            continue
        place = (math.log10(value) - low) / (high - low) if value > 0 and math.isfinite(value) and high > low else 0.0
        found.append(f"{value:<7.2g} {'#' * (1 + round((BAR - 1) * place))}" if value else "0")
    return found
