"""From pairs of blocks to shares of a step, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .trainings import Block

RESAMPLES = 10_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """Step times are medians over blocks, ``ratio`` the median over pairs of watched / bare. ``own`` is what the
    monitor's own calls and threads take beyond what such calls take the twin, as a share of the bare step: totals of
    all blocks, since a hand-over need not fall into each. Intervals are 95 % ones over resampled pairs.
    """

    bare_ms: float
    with_ms: float
    ratio: float
    ratio_interval: tuple[float, float]
    own_loop: float  # on the training thread, or on the device
    own_threads: float  # on other threads; 0 on the device
    own: float
    own_interval: tuple[float, float]
    #: Host clock within the monitor's calls, ms a step beyond the twin's.
    host_ms: float


def summarise(blocks: Sequence[tuple[Block, Block]], on_device: bool) -> Summary:
    """Summary of ``(bare, watched)`` blocks.

    On the CPU shares are of the training thread's CPU time: what else runs on the machine then lengthens neither side.
    """
    bare_wall, wall = _column(blocks, "wall")
    bare_own, own = _column(blocks, "own_device" if on_device else "own_cpu")
    bare_host, host = _column(blocks, "own_wall")
    bare_others, others = _column(blocks, "others_cpu")
    step = bare_wall if on_device else _column(blocks, "cpu")[0]
    loop = own - bare_own
    threads = np.zeros_like(loop) if on_device else others - bare_others
    ratios = wall / bare_wall
    return Summary(
        bare_ms=float(np.median(bare_wall)) * 1e3,
        with_ms=float(np.median(wall)) * 1e3,
        ratio=float(np.median(ratios)),
        ratio_interval=_interval(len(blocks), lambda picks: np.median(ratios[picks], axis=1)),
        own_loop=float(loop.sum() / step.sum()),
        own_threads=float(threads.sum() / step.sum()),
        own=float((loop + threads).sum() / step.sum()),
        own_interval=_interval(
            len(blocks), lambda picks: (loop + threads)[picks].sum(axis=1) / step[picks].sum(axis=1)
        ),
        host_ms=float(np.median(host - bare_host)) * 1e3,
    )


def _column(blocks: Sequence[tuple[Block, Block]], name: str) -> tuple[Floats, Floats]:
    """The same figure of each bare block and of each watched one, ``[pair]``."""
    both = np.array([[getattr(block, name) for block in pair] for pair in blocks], np.float64)
    return both[:, 0], both[:, 1]


def _interval(pairs: int, statistic: Callable[[npt.NDArray[np.int64]], Floats]) -> tuple[float, float]:
    """95 % bootstrap interval (percentiles) of a statistic of ``picks [resample, pair]``."""
    picks = np.random.default_rng(0).integers(pairs, size=(RESAMPLES, pairs))
    low, high = np.percentile(statistic(picks), [2.5, 97.5])
    return float(low), float(high)
