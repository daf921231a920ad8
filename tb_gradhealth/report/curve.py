"""The curve of the loss, with findings on its axis: drawn once, shown in many places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..cli.terminal import printable
from ..diagnosis.telling import where
from ..plugin.logged import Curve
from ..rows import Floats, Ints
from .axis import Axis, Span
from .markup import number, text

#: Pixels: of the chart, of a strip below a heatmap, of a finding's lane.
CHART, STRIP, LANE = 150, 34, 18
#: What the curve is drawn on before it is stretched, and what is left free above and below it.
WIDTH, HEIGHT, FREE = 1000, 100, 4
#: What spans more is drawn logarithmically.
DECADES = 1.5
LABEL = 30


class LossCurve:
    """``edges [cell + 1]``: the steps that the cells of the curve lie between."""

    def __init__(self, label: str, curve: Curve, edges: Ints, axis: Axis) -> None:
        self.label, self._axis, self._curve = label, axis, curve
        self._edges: Floats = WIDTH * (edges - axis.first) / max(1, axis.end - axis.first)
        self._x = (self._edges[:-1] + self._edges[1:]) / 2
        shown = np.concatenate([plane[np.isfinite(plane)] for plane in (curve.min, curve.mean, curve.max)])
        self.least, self.most = (float(shown.min()), float(shown.max())) if len(shown) else (math.nan, math.nan)
        self.logarithmic = self.least > 0 and math.log10(self.most / self.least) > DECADES
        self._broken = (curve.count > 0) & ~np.isfinite(curve.mean)

    def symbol(self) -> str:
        """What :meth:`chart` and :meth:`strip` refer to."""
        low, mean, high = map(self._y, (self._curve.min, self._curve.mean, self._curve.max))
        there = np.isfinite(low) & np.isfinite(high)
        band = "".join(
            f"M{_points(self._x[run], high[run])}L{_points(self._x[run][::-1], low[run][::-1])}z"
            for run in _stretches(there)
        )
        # What is logged now and then is one line all the same; what is not finite interrupts it.
        line = "".join(
            f"M{_points(self._x[run][known], mean[run][known])}h2"
            for run in _stretches(~self._broken)
            if (known := np.isfinite(mean[run])).any()
        )
        broken = "".join(
            f"M{self._edges[run.start]:.1f} 0H{self._edges[run.stop]:.1f}V{HEIGHT}H{self._edges[run.start]:.1f}z"
            for run in _stretches(self._broken)
        )
        return (
            f'<svg class="defined" aria-hidden="true"><symbol id="loss" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'preserveAspectRatio="none"><path class="band" d="{band}"/><path class="broken" d="{broken}"/>'
            f'<path class="curve" d="{line}"/></symbol></svg>'
        )

    def chart(self, spans: Sequence[Span]) -> str:
        """The curve, with a lane below for each finding."""
        marks = "; ".join(f"{one.label}, {one.steps}" for one in spans)
        most, least = (f"{number(one)}" if math.isfinite(one) else "" for one in (self.most, self.least))
        said = f"{self.label} over the steps, from {number(self.least)} to {number(self.most)}. {marks}"
        guides = "".join(
            f'<line class="guide {one.finding.severity}" {self._axis.line(one.finding.start)} y1="0" y2="{CHART}"/>'
            for one in spans
        )
        scale = f"{text(self.label, 24)}{', logarithmic' if self.logarithmic else ''}"
        return (
            f'<div class="plot"><div class="beside scale"><span>{most}</span><span>{scale}</span>'
            f"<span>{least}</span></div>"
            f'<svg class="chart" width="100%" height="{CHART}" role="img" aria-label="{text(said, 2000)}">'
            f'{guides}<use href="#loss" width="100%" height="{CHART}"/></svg>'
            f'{lanes(self._axis, spans)}<div class="beside"></div>{self._axis.drawing()}</div>'
            + ('<p class="legend"><span class="key"><span class="swatch bad"></span> NaN or Inf</span></p>')
            * bool(self._broken.any())
        )

    def strip(self, span: Span) -> tuple[str, str]:
        """What it is called, and the curve with one interval, for below a heatmap."""
        return text(self.label, 24), (
            f'<svg class="strip" width="100%" height="{STRIP}" role="img" '
            f'aria-label="{text(self.label)} over the same steps; those of the finding are shaded">'
            f'<rect class="shade {span.finding.severity}" {self._axis.extent(span.finding.start, span.finding.stop)} '
            f'height="{STRIP}"/><use href="#loss" width="100%" height="{STRIP}"/></svg>'
        )

    def _y(self, values: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.logarithmic:
                share = np.log(values / self.least) / math.log(self.most / self.least)
            else:
                share = (values - self.least) / (self.most - self.least) if self.most > self.least else values * 0 + 0.5
        found: Floats = FREE + (HEIGHT - 2 * FREE) * (1 - share)
        return found


def lanes(axis: Axis, spans: Sequence[Span]) -> str:
    """Where on the axis the findings are, a line each."""
    if not spans:
        return ""
    names = "".join(f'<li><a href="#finding-{one.number}"><b>{one.number}</b> {_short(one)}</a></li>' for one in spans)
    bars = "".join(
        f'<rect class="bar {one.finding.severity}" {axis.extent(one.finding.start, one.finding.stop)} '
        f'y="{LANE * row + 4}" height="{LANE - 8}" rx="2"><title>{text(f"{one.label}, {one.steps}")}</title></rect>'
        for row, one in enumerate(spans)
    )
    return (
        f'<ol class="beside lanes">{names}</ol>'
        f'<svg class="lanes" width="100%" height="{LANE * len(spans)}" aria-hidden="true">{bars}</svg>'
    )


def _short(span: Span) -> str:
    """The type, and of the node the end, which tells tensors of a model apart."""
    kind, node = printable(span.finding.type), printable(where(span.finding))
    room = max(8, LABEL - len(kind) - 1)
    return text(f"{kind} {node if len(node) <= room else '…' + node[1 - room :]}")


def _stretches(there: npt.NDArray[np.bool_]) -> Iterable[slice]:
    """The longest runs of True."""
    edges = np.flatnonzero(np.diff(there.astype(np.int8), prepend=0, append=0))
    return [slice(first, end) for first, end in edges.reshape(-1, 2).tolist()]


def _points(x: Floats, y: Floats) -> str:
    return "L".join(f"{one:.1f} {other:.1f}" for one, other in zip(x.tolist(), y.tolist(), strict=True))
