"""Layer × step: the heatmap of a metric, with the findings marked in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import colours
from .axis import Span
from .figures import Plane
from .markup import name, number, text

#: Pixels of a row; characters of a name beside it, and findings whose numbers stand there.
ROW, LABEL, NUMBERS = 15, 34, 3
RAMP = colours.ramp()
_SPECIAL = {
    colours.NOT_FINITE: ("bad", "NaN or Inf"),
    colours.ZERO: ("zero", "exactly 0"),
    colours.NOTHING: ("none", "no data"),
}


def heatmap(plane: Plane, marks: Sequence[tuple[int | slice, Span]], strip: tuple[str, str] | None = None) -> str:
    """``marks``: a row of the plane, or all of them, and the finding that lies there; ``strip``: the name of a drawing
    below on the same axis, and that drawing."""
    indices = plane.scale.indices(plane.values, plane.flags)
    height = ROW * len(plane.nodes)
    labels = "".join(
        _label(node, [span for place, span in marks if place == row]) for row, node in enumerate(plane.nodes)
    )
    below = f'<div class="beside quiet">{strip[0]}</div>{strip[1]}' if strip else ""
    return (
        f'<div class="plot"><ol class="beside layers" aria-hidden="true">{labels}</ol>'
        f'<svg class="heat" width="100%" height="{height}" role="img" aria-label="{text(described(plane), 2000)}">'
        f'<rect class="ground" width="100%" height="{height}"/>'
        f'<image width="100%" height="{height}" preserveAspectRatio="none" href="{colours.picture(indices)}"/>'
        f"{''.join(_mark(plane, row, span) for row, span in marks)}</svg>"
        f'{below}<div class="beside"></div>{plane.axis.drawing()}</div>'
        f"{legend(plane, set(np.unique(indices).tolist()))}"
    )


def _label(node: str, spans: Sequence[Span]) -> str:
    numbers = "".join(f'<b class="{span.finding.severity}">{span.number}</b>' for span in spans[:NUMBERS])
    return f'<li class="marked">{name(node, LABEL)}{numbers}</li>' if spans else f"<li>{name(node, LABEL)}</li>"


def _mark(plane: Plane, row: int | slice, span: Span) -> str:
    first, rows = (0, len(plane.nodes)) if isinstance(row, slice) else (row, 1)
    # Around whole cells: those are what has the colours.
    edges = plane.edges[1:-1]
    start = plane.edges[np.searchsorted(edges, span.finding.start, "right")]
    stop = plane.edges[1 + np.searchsorted(edges, span.finding.stop - 1, "right")]
    place = f'{plane.axis.around(int(start), int(stop))} y="{ROW * first - 1}" height="{ROW * rows + 2}"'
    said = text(f"{span.number}: {span.label}, {span.steps}")
    return f'<rect class="halo" {place}/><rect class="mark" {place}><title>{said}</title></rect>'


def described(plane: Plane) -> str:
    """What a heatmap shows, for those who do not see it."""
    about = f"Heatmap of {plane.metric} over the steps, {plane.label}, {len(plane.nodes)} layers"
    finite = np.isfinite(plane.values)
    if not finite.any():
        return f"{about}: nothing is finite"
    largest = np.where(finite, plane.values, -np.inf)
    row, cell = np.unravel_index(int(np.argmax(largest)), largest.shape)
    return (
        f"{about}: from {number(float(plane.values[finite].min()))} to {number(float(largest.max()))}, the largest in "
        f"{plane.nodes[row] or 'the whole model'} from step {plane.edges[cell]} on"
    )


def legend(plane: Plane, seen: set[int]) -> str:
    """Which colour is what; of those that are no number only what is seen."""
    scale = plane.scale
    unit = f" ({text(plane.unit)})" if plane.unit else ""
    far = "" if scale.knee is None else f"{number(scale.knee)}, the brightest up to "
    special = "".join(
        f'<span class="key"><span class="swatch {kind}"></span> {what}</span>'
        for index, (kind, what) in _SPECIAL.items()
        if index in seen
    )
    ramp = (
        f'<span>{number(scale.low)} <img class="ramp" src="{RAMP}" alt="from dark to bright"> '
        f"{far}{number(scale.high)}{', logarithmic' if scale.logarithmic else ''}</span>"
    )
    return (
        f'<p class="legend"><span>{text(plane.label)} · <b>{text(plane.name)}</b>{unit}, largest in a cell</span>'
        f"{ramp if np.isfinite(plane.values).any() else ''}{special}</p>"
    )
