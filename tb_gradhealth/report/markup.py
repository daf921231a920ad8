"""Pieces of HTML and SVG: text that came from files is escaped here, and nowhere else is markup made of it."""

from __future__ import annotations

import html
import math

from ..cli.terminal import printable

#: Characters of a name and of a sentence that are shown.
LONGEST_NAME, LONGEST_TEXT = 160, 600


def text(content: str, most: int = LONGEST_TEXT) -> str:
    """``content`` from a file as text, or within an attribute: markup is escaped, invisible characters spelled out."""
    return html.escape(printable(content[: most + 1], most))


def name(content: str, most: int = LONGEST_NAME) -> str:
    """The name of a node; of a long one the end, which tells tensors of a model apart."""
    shown = printable(content[-most:] if len(content) > most else content)
    shown = shown if len(shown) <= most and len(content) <= most else "…" + shown[1 - most :]
    return f'<code class="name">{html.escape(shown)}</code>' if content else "the whole model"


def number(value: float) -> str:
    """In four characters or so: 12, 0.35, 3.1e-05."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    whole = value == int(value) and abs(value) < 1e6
    shown = f"{value:,.0f}" if whole else f"{value:.3g}"
    return shown.replace("-", "−") if value < 0 and "e" not in shown else shown


def percent(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
