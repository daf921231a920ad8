"""What the kernels' benchmark prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..machine import counted
from .cases import Case
from .contender import Contender


def head(result: Mapping[str, Any]) -> str:
    """Machine, versions and what the columns mean."""
    machine = [f"{key:10s} {value}" for key, value in result["machine"].items()]
    explained = (
        f"Every result has agreed with float64. Times of one call with a cold cache, {result['cold']}: "
        f"{counted(result['repeats'], 'turn')} (slow contenders have fewer); median, 10th and 90th percentile. "
        "GB/s: bytes of the gradients / median. × roof: median over turns of the time / that of "
        f"{result['roof']!r} in the same turn. "
        "error: the largest that the gate saw, relative to the sum of the terms' magnitudes."
    )
    return "\n".join([*machine, "", *textwrap.wrap(explained, 110)])


def of_case(case: Mapping[str, Any], device: str) -> str:
    gpu = device == "cuda"
    titles = ["", "ms", "p10 … p90", "GB/s", "× roof", "turns", "error", "extra MB"]
    if gpu:
        titles += ["host µs", "waits"]
    rows = [titles, *(_row(row, gpu) for row in case["contenders"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    size = f"{_size(case['tensors'], case['elements'])} {case['dtype']}, {size_of(case['bytes'])}"
    lines = ["", f"{case['name']}: {case['description']} ({size})"]
    named = [""] + [row["computes"] for row in case["contenders"]]
    for row, computes in zip(rows, named, strict=True):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(["", *cells, computes]).rstrip())
    lines += [f"  {row['name'].ljust(widths[0])}  skipped: {row['reason']}" for row in case["skipped"]]
    noise = case["noise"]
    if noise is not None:
        spread = f"{noise['p10']:.3f} … {noise['p90']:.3f}"
        lines.append(f"  {noise['name']}: {noise['ratio']:.3f} × roof, {spread}: a difference within that is noise")
    return "\n".join(lines)


def _row(row: Mapping[str, Any], gpu: bool) -> list[str]:
    ratio, extra = row["ratio"], row["extra"]
    cells = [
        row["name"],
        _digits(row["median"] * 1e3),
        f"{_digits(row['p10'] * 1e3)} … {_digits(row['p90'] * 1e3)}",
        _digits(row["bytes_per_second"] / 1e9),
        "" if ratio is None else _digits(ratio),
        str(row["turns"]),
        "exact" if row["error"] == 0.0 else f"{row['error']:.0e}",
        "" if extra is None else _digits(extra / 1e6),
    ]
    if gpu:
        cells += [_digits(row["host_us"]), "waits" if row["waits"] else "none"]
    return cells


def of_launches(cases: Sequence[Mapping[str, Any]]) -> str:
    """Kernels per call, counted once nothing was left to time."""
    lines = ["", "kernels launched per call"]
    for case in cases:
        counts = [f"{row['name']} {'?' if row['launches'] is None else row['launches']}" for row in case["contenders"]]
        lines += textwrap.wrap(
            f"{case['name']}: {', '.join(counts)}", 110, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines)


def of_skipped(skipped: Sequence[Mapping[str, str]]) -> str:
    width = max(len(case["name"]) for case in skipped)
    return "\n".join(["", "skipped", *(f"  {case['name'].ljust(width)}  {case['reason']}" for case in skipped)])


def listing(cases: Sequence[Case], contenders: Sequence[Contender]) -> str:
    width = max(len(name) for name in [*(case.name for case in cases), *(each.name for each in contenders)])
    lines = ["cases"]
    for case in cases:
        size = f"{_size(len(case.shapes), case.elements)} elements, {size_of(case.bytes)}"
        lines.append(f"  {case.name.ljust(width)}  {case.description}: {size}; {', '.join(case.devices)}")
    lines += ["", "contenders"]
    for contender in contenders:
        lines.append(f"  {contender.name.ljust(width)}  {contender.computes}; {', '.join(contender.devices)}")
    return "\n".join(lines)


def _digits(value: float) -> str:
    """Three significant digits, never in exponents."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}"


def _size(tensors: int, elements: int) -> str:
    return f"{counted(tensors, 'tensor')}, {elements / 1e6:,.1f} M"


def size_of(value: float) -> str:
    return f"{value / 1e9:.2f} GB" if value >= 1e8 else f"{value / 1e6:.1f} MB"
