"""What a stream's rows should say, worked out in float64 from tensors that were kept beside the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tb_gradhealth.reading.opened import OpenRun
from tests import directly

Tensor = npt.NDArray[np.float64]
Step = Mapping[str, Tensor]  # by name
#: A figure of a node from its tensors, beside the metrics that every stream has.
Further = Callable[[int, Sequence[str]], float]

CODED = 2e-3  # relative error of a magnitude
#: What rounding in float32 leaves where sums cancel: of a difference of squares, beside the RMS, and of a sum of both
#: signs, beside the mean magnitude.
CANCELLED = {"std": ("rms", 2e-3), "mean": ("mean_abs", 1e-5)}


def inside(node: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if node == "" or name == node or name.startswith(f"{node}.")]


def assert_rows(
    run: OpenRun, stream: str, sampled: Mapping[int, Step], further: Mapping[str, Further] | None = None
) -> None:
    """Each row of ``stream`` is one of the steps ``sampled``, with each metric of each node as ``directly`` has it."""
    names = list(dict.fromkeys(name for step in sampled.values() for name in step))
    further = further or {}
    timeline = run.timeline(stream)
    assert set(timeline.metrics) == {*directly.METRICS, *further}
    for metric in timeline.metrics:
        found = run.read(stream, metric, view="max")
        least = run.read(stream, metric, view="min")
        assert found.steps[:, 0].tolist() == list(sampled), stream
        for row, node in enumerate(found.nodes):
            own = inside(node, names)
            if metric in further:
                expected = [further[metric](step, own) for step in sampled]
            else:
                expected = directly.per_step(metric, [[step.get(name) for name in own] for step in sampled.values()])
            wanted = np.array(expected)
            slack = np.full(len(wanted), 1e-9)
            if metric in CANCELLED:
                beside, share = CANCELLED[metric]
                steps = [[step.get(name) for name in own] for step in sampled.values()]
                slack += share * np.nan_to_num(directly.per_step(beside, steps))
            for values in (found.values[row], least.values[row]):
                assert np.array_equal(np.isnan(values), np.isnan(wanted)), (stream, metric, node)
                off = ~(np.abs(values - wanted) <= CODED * np.abs(wanted) + slack) & ~np.isnan(wanted)
                assert not off.any(), (stream, metric, node, values[off], wanted[off])
