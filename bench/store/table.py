"""What was measured, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..machine import describe
from .figure import Figure


def show(heads: Mapping[str, str], versions: Mapping[str, str], found: Mapping[str, Sequence[Figure]]) -> None:
    for key, value in {**describe(), **versions}.items():
        print(f"{key:12s}{value}")
    width = max(len(figure.name) for figures in found.values() for figure in figures)
    for case, figures in found.items():
        print(f"\n{heads[case]}")
        for figure in figures:
            print(f"  {figure.name:{width}s}  {_number(figure.value):>9s} {figure.unit:6s}{_verdict(figure)}".rstrip())
    figures = [figure for group in found.values() for figure in group if figure.met is not None]
    if figures:
        print(f"\n{sum(figure.met is True for figure in figures)} of {len(figures)} figures are reached")


def _verdict(figure: Figure) -> str:
    limit = ""
    if figure.limit is not None:
        sign = "≥" if figure.at_least else "≤"
        limit = f"{sign} {_number(figure.limit)}{'' if figure.met else '  MISSED'}"
    return f"  {limit:18s}{figure.note}"


def _number(value: float) -> str:
    if value == int(value) and abs(value) >= 100:
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
