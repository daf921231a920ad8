"""Ratios to the roof as horizontal bars, a panel per case. Needs matplotlib, the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .contenders import OURS
from .table import size_of

INK, MUTED, GRID = "#1f2328", "#6b7280", "#e3e6ea"
COLOURS = {"ours": "#0f766e", "all": "#94a3b8", "less": "#d3d9e1", "roof": INK}
EXPLAINED = {
    "ours": "ours: all entries",
    "all": "all entries, or nine quantities",
    "less": "less: one norm, or the model as one",
    "roof": "the roof: its time and rate",
}
#: Contenders that yield as much as ours does, if not always as well.
AS_MUCH = ("compile", "eager", "naive")
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_BAR, _HEAD = 0.25, 0.62  # inches: a bar's share of the height, and a panel's title with its axis


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws what ``--json`` writes. All panels have one scale, so bars compare across cases."""
    cases = [case for case in result["cases"] if any(row["ratio"] is not None for row in case["contenders"])]
    if not cases:
        raise SystemExit("--plot: expected at least one case with figures beside the roof's: see what was skipped")
    rows = -(-len(cases) // 2)
    longest = max(len(case["contenders"]) for case in cases)
    height = 1.1 + rows * (_HEAD + _BAR * longest)
    figure, grid = plt.subplots(rows, min(2, len(cases)), figsize=(11, height), squeeze=False, layout="constrained")
    ratios = [row["ratio"] for case in cases for row in case["contenders"] if row["ratio"] is not None]
    limits = min(0.8, *ratios) / 1.25, max(2.0, *ratios) * 2.2
    for axes, case in zip(grid.flat, cases, strict=False):
        _panel(axes, case, result["roof"], limits)
    for axes in list(grid.flat)[len(cases) :]:
        axes.set_axis_off()
    _head(figure, result)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def _panel(axes: Axes, case: Mapping[str, Any], roof: str, limits: tuple[float, float]) -> None:
    rows = sorted((row for row in case["contenders"] if row["ratio"] is not None), key=lambda row: float(row["ratio"]))
    names, ratios = [row["name"] for row in rows], [row["ratio"] for row in rows]
    kinds = [_kind(name, roof) for name in names]
    # Bars on a log axis have no zero to begin at: they begin at the roof.
    axes.barh(names, [r - 1.0 for r in ratios], left=1.0, height=0.66, color=[COLOURS[kind] for kind in kinds])
    axes.plot([1.0], [roof], marker="D", markersize=4.5, color=COLOURS["roof"], zorder=3)
    axes.axvline(1.0, color=COLOURS["roof"], linewidth=1.0)
    for place, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        text = f"{row['ratio']:.3g} ×" if kind != "roof" else f"{_time(row['median'])}, {_rate(row)}"
        weight = "bold" if kind == "ours" else "normal"
        end = max(1.0, row["ratio"]) * (1.18 if kind == "roof" else 1.08)
        axes.text(end, place, text, va="center", fontsize=8, color=INK, weight=weight)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if limits[0] <= tick <= limits[1]]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(case["name"], loc="left", fontsize=10, weight="bold", color=INK, pad=16)
    size = f"{case['description']}; {size_of(case['bytes'])} of {case['dtype']}"
    axes.text(0.0, 1.03, size, transform=axes.transAxes, fontsize=7.5, color=MUTED, in_layout=False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    for label, kind in zip(axes.get_yticklabels(), kinds, strict=True):
        label.set_color(INK)
        label.set_fontweight("bold" if kind == "ours" else "normal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _head(figure: Any, result: Mapping[str, Any]) -> None:
    machine = result["machine"]
    where = machine.get("gpu", machine["processor"])
    figure.suptitle(
        f"Time of one call / the roof's ({result['roof']!r})", x=0.01, ha="left", fontsize=13, weight="bold", color=INK
    )
    handles = [Patch(color=COLOURS[kind], label=text) for kind, text in EXPLAINED.items()]
    title = f"{where}   ·   torch {machine['torch']}   ·   triton {machine['triton']}"
    legend = figure.legend(
        handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8, title=title, alignment="left"
    )
    legend.get_title().set_color(MUTED)
    legend.get_title().set_fontsize(8)


def _kind(name: str, roof: str) -> str:
    if name == roof:
        return "roof"
    return "ours" if name == OURS else "all" if name in AS_MUCH else "less"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _rate(row: Mapping[str, Any]) -> str:
    return f"{row['bytes_per_second'] / 1e9:.3g} GB/s"
