"""``diff``: two recorded runs → what differs, and from which step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..diagnosis import RULES, Finding, Rule, diagnose
from ..nodes import Index
from ..reading.choose import row_steps
from ..reading.opened import OpenRun, open_run
from ..store.format import FACTOR
from ..store.timeline import Timeline
from .difference import Difference, Setting, TensorDifference
from .logged import Scalars
from .parting import PLANES, Figure, Trend
from .rows import DATA, Asked, side_by_side
from .settings import settings as recorded_differently

#: Values of a stream that are read of one run, and rows whose scalars are: where there are more, coarser rows are.
VALUES, LOGGED_ROWS = 1 << 27, 20_000
#: Rows of these that are looked at in the finest ones: those in which tensors part first.
REFINED = 3
#: What a signed figure is held beside: the first of these metrics that was recorded.
SIZES = ("rms", "mean_abs", "abs_max", "norm")
#: Findings are told apart in so many rows at most.
DIAGNOSED = 4096

Progress = Callable[[float, float], None]


def diff(
    a: str | os.PathLike[str] | OpenRun,
    b: str | os.PathLike[str] | OpenRun,
    tolerance: float = 0.0,
    rules: Sequence[Rule] = RULES,
    progress: Progress = lambda done, total: None,
) -> Difference:
    """What differs between two runs that are finished, or as far as they have come: how they were recorded, what the
    loop logged, every metric of every tensor that both have, and findings.

    Figures part where they are further apart than ``tolerance``: |a − b| beside the larger of |a| and |b|; of fractions
    |a − b| itself; of signed figures |a − b| beside the RMS of the tensor. With 0 they must be equal as they
    are recorded: scalars to the last bit, magnitudes to 0.18 %, other metrics as ``docs/format.md`` says.

    Rows of different cadence are compared on the coarser grid that both fit in, by their extremes and totals, since
    a mean of means is not the mean that is stored. Long runs are compared in coarser rows, and the finest looked at
    where these part first. Memory is bounded. Raises FileNotFoundError where there is no run.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected a number from 0 up, got {tolerance}")
    runs = _opened(a), _opened(b)
    both = _Both(*runs, tolerance, progress)
    shared = [stream for stream in runs[0].streams if stream in runs[1].streams]
    scalars = both.scalars() if shared else None
    for number, stream in enumerate(shared):
        both.compare(stream, number, len(shared))
    settings = (*recorded_differently(*runs), *both.settings, *(scalars.settings() if scalars else ()))
    logged = scalars.found() if scalars else []
    tensors = sorted(both.tensors, key=lambda one: (one.first.start, -one.first.relative))
    only_a, only_b = _findings(*runs, rules) if settings or logged or tensors else ((), ())
    return Difference(
        tolerance,
        both.steps,
        both.rows,
        settings,
        tuple(logged),
        tuple(tensors),
        both.compared,
        only_a,
        only_b,
        (
            *both.problems,
            *(f"{name}: {problem}" for name, run in zip("AB", runs, strict=True) for problem in run.problems),
        ),
    )


def _opened(run: str | os.PathLike[str] | OpenRun) -> OpenRun:
    return run if isinstance(run, OpenRun) else open_run(run)


class _Both:
    """Two runs while they are compared."""

    def __init__(self, a: OpenRun, b: OpenRun, tolerance: float, progress: Progress) -> None:
        self._a, self._b, self._tolerance, self._progress = a, b, tolerance, progress
        self.rows: dict[str, int] = {}
        self.steps: tuple[int, int] | None = None
        self.tensors: list[TensorDifference] = []
        self.compared = 0
        self.settings: list[Setting] = []
        self.problems: list[str] = []

    def scalars(self) -> Scalars:
        """Of the first stream's rows, which hold what the loop logged; they say which steps are compared."""
        lines = self._a.timeline(), self._b.timeline()
        a, b = (_asked(line, (), (), logged=True) for line in lines)
        steps = max(row_steps(line.cell, line.first, line.end, LOGGED_ROWS, None) for line in lines)
        first, end = max(line.first for line in lines), min(line.end for line in lines)
        found = Scalars(first, end, self._tolerance)
        covered = [one.covered(steps, first, end) if first < end else 0 for one in (a, b)]
        compared = 0
        for mine, theirs in side_by_side(a, b, steps):
            found.add(mine, theirs)
            compared += int((mine.stop - mine.start).sum())
            self.steps = int(mine.start[0]) if self.steps is None else self.steps[0], int(mine.stop[-1])
        if covered[0] != covered[1]:
            there = (f"{count:,} of the {end - first:,} steps" for count in covered)
            self.settings.append(Setting("rows", "", "", *there))
        if compared < min(covered):
            self.problems.append(
                f"{min(covered) - compared:,} of {min(covered):,} steps are not compared: rows of one run are "
                "there only in part, or reach over those of the other"
            )
        if steps > max(line.cell for line in lines) and (earliest := found.earliest()) is not None:
            finer = found.again()
            for mine, theirs in side_by_side(a, b, 1, earliest):
                finer.add(mine, theirs)
            found.refine(finer, earliest)
        return found

    def compare(self, stream: str, number: int, streams: int) -> None:
        """All metrics and counts of the tensors that both have in a stream."""
        a, b = self._a.timeline(stream), self._b.timeline(stream)
        theirs = set(b.tensors)
        names = [a.tree.names[leaf] for leaf in a.tree.leaf_nodes if a.tree.names[leaf] in theirs]
        metrics = [name for name in a.metrics if name in b.metrics]
        if not names or not metrics:
            return
        if a.cell != b.cell and (a.sampled or b.sampled):
            self.problems.append(f"{stream}: not compared, since it was sampled at other steps")
            return
        asked = _asked(a, names, metrics), _asked(b, names, metrics)
        first, end = max(a.first, b.first), min(a.end, b.end)
        most = max(1, VALUES // asked[0].width)
        steps = max(row_steps(one.cell, one.first, one.end, most, None) for one in (a, b)) if first < end else 1
        trend = Trend(first, end)

        def progress(step: int) -> None:
            self._progress(number + (step - first) / max(1, end - first), streams)

        figures = self._figures(asked, steps, None, a, trend, progress)
        if figures is None:
            self.problems.append(f"{stream}: no row of one run has the same steps as some rows of the other")
            return
        self.compared += len(names)
        if steps > max(a.cell, b.cell):
            for between in _earliest(figures)[:REFINED]:
                self._refine(figures, asked, between, most, a)
        self.tensors += _parted(stream, names, figures, trend)

    def _refine(
        self,
        figures: Sequence[Figure],
        asked: tuple[Asked, Asked],
        between: tuple[int, int],
        most: int,
        about: Timeline,
    ) -> None:
        """In which finer rows of the steps ``between`` they part: of so many at most, then of those the first again."""
        cells = [one.timeline.cell for one in asked]
        while between[1] - between[0] > max(cells):
            steps = max(row_steps(cell, *between, most, None) for cell in cells)
            steps = max(1, min(steps, (between[1] - between[0]) // FACTOR))
            finer = self._figures(asked, steps, between, about, Trend(*between), lambda step: None)
            if finer is None:
                return
            for coarse, fine in zip(figures, finer, strict=True):
                coarse.refine(fine, between)
            inside = _earliest(finer)
            if not inside or inside[0] == between:
                return
            between = inside[0]

    def _figures(
        self,
        asked: tuple[Asked, Asked],
        steps: int,
        between: tuple[int, int] | None,
        about: Timeline,
        trend: Trend,
        progress: Callable[[int], None],
    ) -> list[Figure] | None:
        """The metrics and counts of the rows that show intervals of so many ``steps``; None where there is no row."""
        nodes, stream = len(asked[0].which), about.sessions[0].schema.stream
        metrics = [Figure(name, about.metrics[name].kind, PLANES, nodes, self._tolerance) for name in asked[0].metrics]
        counts = [Figure(name, "count", ("total",), nodes, self._tolerance) for name in (DATA, *asked[0].counts)]
        beside = next((name for name in SIZES if name in asked[0].metrics), None)
        seen = False
        for mine, theirs in side_by_side(*asked, steps, between):
            seen = True
            parts, alone = trend.parts(mine.start), mine.alone & theirs.alone
            for figure in metrics:
                planes = mine.metrics[figure.name], theirs.metrics[figure.name]
                size = None if beside is None else np.fmax(mine.metrics[beside][-1], theirs.metrics[beside][-1])
                figure.add(mine.start, mine.stop, alone, *planes, parts, size)
            for figure in counts:
                total, other = (one.counts[figure.name][None].astype(np.float64) for one in (mine, theirs))
                figure.add(mine.start, mine.stop, alone, total, other, parts)
            if between is None:
                self.rows[stream] = max(self.rows.get(stream, 0), int((mine.stop - mine.start).max()))
            progress(int(mine.stop[-1]))
        return [*metrics, *counts] if seen else None


def _asked(timeline: Timeline, names: Sequence[str], metrics: Sequence[str], logged: bool = False) -> Asked:
    place = {timeline.tree.names[leaf]: leaf for leaf in timeline.tree.leaf_nodes.tolist()}
    which: Index = np.array([place[name] for name in names], np.intp)
    counts = dict.fromkeys(name for session in timeline.sessions for name in session.schema.counts)
    return Asked(timeline, which, metrics, [*counts] if metrics else [], logged)


def _earliest(figures: Iterable[Figure]) -> list[tuple[int, int]]:
    """The rows in which anything parts first, in step order."""
    found = {one for figure in figures for one in figure.intervals()}
    return sorted(found)


def _parted(stream: str, names: Sequence[str], figures: Sequence[Figure], trend: Trend) -> list[TensorDifference]:
    found = []
    for node, name in enumerate(names):
        apart = [figure for figure in figures if figure.start[node] >= 0]
        if apart:
            leading = min(apart, key=lambda figure: int(figure.start[node]))
            course = None if leading.trend is None else leading.trend[:, node]
            found.append(
                TensorDifference(
                    stream,
                    name,
                    leading.parting(node),
                    tuple(figure.name for figure in apart),
                    float(leading.largest[node]),
                    trend.shown(course),
                )
            )
    return found


def _findings(a: OpenRun, b: OpenRun, rules: Sequence[Rule]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Those that only one of them has: of a rule and a node, whenever it was."""
    found: list[dict[tuple[str, str], Finding]] = [
        {(one.rule, one.node): one for one in reversed(diagnose(run, None, rules, most=DIAGNOSED).findings)}
        for run in (a, b)
    ]
    mine, theirs = (
        tuple(one for key, one in reversed(list(here.items())) if key not in there and one.severity != "notice")
        for here, there in (found, found[::-1])
    )
    return mine, theirs
