"""What the reader gives back beside what the training was, within the bounds that the codes promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.statistics import merge as merge_space
from tb_gradhealth import rows as interval
from tb_gradhealth.nodes import Index
from tb_gradhealth.rows import Floats, Rows
from tb_gradhealth.store.cells import RowSpan
from tb_gradhealth.store.timeline import Timeline

from .cases import Case
from .figure import WrongResult
from .progress import Progress
from .training import Training

#: Relative error by kind of metric (``store/codes.py``), of a fraction f that of f or 1 - f, whichever is less.
BOUND = {"magnitude": 1.8e-3, "fraction": 5e-4, "signed": 1.23e-4, "count": 0.0}
#: The smallest fraction that has a code, and sums in another order.
LEAST_FRACTION, SUMMED = 2.0**-40, 1e-12
#: Rows that are looked at, the nodes of each, and the steps × tensors that may be drawn again for all of them.
PLACES, NODES, MOST = 24, 64, 100_000_000


def check(case: Case, whole: int, timeline: Timeline, seed: int) -> int:
    """Compares rows at random places, the more of them the shorter they are; returns how many numbers.

    Raises WrongResult.
    """
    if timeline.first != 0 or timeline.end > case.steps:
        raise WrongResult(f"{case.name}: expected steps [0, {case.steps}), read [{timeline.first}, {timeline.end})")
    generator = np.random.default_rng(seed)
    training = case.training()
    nodes = np.union1d(0, generator.choice(len(case.tree), min(NODES, len(case.tree)), replace=False))
    spans = {}
    for step in generator.integers(timeline.end, size=PLACES).tolist():
        span = next(timeline.rows(step, step + 1))
        start, stop = span.figures_of[0].tolist()
        spans[start, stop] = span
    compared = drawn = 0
    with Progress(f"{case.name}: comparing", len(spans)) as progress:
        for done, ((start, stop), span) in enumerate(sorted(spans.items(), key=lambda one: one[0][1] - one[0][0])):
            steps = min(stop, whole) - min(start, whole) + (stop - max(start, min(stop, whole))) // case.sampled_width
            drawn += steps * case.tensors
            if compared and drawn > MOST:
                break
            compared += _compare(case, _truth(case, training, whole, start, stop, nodes), span, nodes)
            progress.at(done + 1)
    return compared


def _truth(case: Case, training: Training, whole: int, start: int, stop: int, nodes: Index) -> Rows:
    """The one row ``[start, stop)`` of ``nodes``, straight from the training."""
    tree, width = case.tree, case.sampled_width
    parts = []

    def add(first: int, last: int, wide: int) -> None:
        for begin in range(first, last, training.chunk):
            entries = training.entries(begin, min(begin + training.chunk, last))[:, tree.leaf_order]
            each = interval.from_steps(begin, merge_space(entries, tree.start[nodes], tree.stop[nodes]))
            bad = np.where(each.first_bad == interval.NEVER, interval.NEVER, each.first_bad * wide)
            parts.append(interval.merge(replace(each, first_bad=bad), [0]))

    add(start, min(stop, whole), 1)
    if stop > whole:
        add(max(start, whole) // width, -(-stop // width), width)
    return interval.merge(interval.concatenate(parts), [0])


def _compare(case: Case, truth: Rows, span: RowSpan, nodes: Index) -> int:
    where = f"{case.name}, steps [{', '.join(map(str, span.figures_of[0]))})"
    compared = 0
    for position, metric in enumerate(case.schema.metrics):
        over = truth.steps_of(metric.over)[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            exact = np.stack([truth.sum[position, 0] / over, truth.min[position, 0], truth.max[position, 0]])
        exact[:, over == 0] = np.nan
        read = span.metric(metric.name, nodes)[:, 0]
        wrong = ~_close(read, exact, metric.kind)
        compared += read.size
        if wrong.any():
            plane, node = np.argwhere(wrong)[0]
            raise WrongResult(
                f"{where}: {('mean', 'min', 'max')[plane]} of {metric.name} of {case.tree.names[nodes[node]]!r} is "
                f"{exact[plane, node]!r}, read was {read[plane, node]!r}"
            )
    counts, steps = span.counts(nodes)[:, 0], span.steps(nodes)[:, 0]
    expected = np.stack([truth.steps[0], truth.finite_steps[0], truth.first_bad[0]])
    for what, exact_ints, read_ints in (("counts", truth.counts[:, 0], counts), ("steps", expected, steps)):
        if what == "steps" and [span.start[0], span.stop[0]] != span.figures_of[0].tolist():
            continue  # of a row that is shown in part they are those of the part, as far as anybody knows
        compared += read_ints.size
        if not np.array_equal(exact_ints, read_ints):
            raise WrongResult(f"{where}: {what} are not those recorded")
    return compared


def _close(read: Floats, exact: Floats, kind: str) -> npt.NDArray[np.bool_]:
    """``[plane, node]``; the mean may differ by what each of the sums that it comes from does."""
    size = np.abs(exact)
    coded, least = (np.minimum(exact, 1 - exact), LEAST_FRACTION) if kind == "fraction" else (size, 0.0)
    with np.errstate(invalid="ignore"):
        close: npt.NDArray[np.bool_] = np.abs(read - exact) <= BOUND[kind] * coded + least + SUMMED * size
    return close | (np.isnan(read) & np.isnan(exact)) | (read == exact)
