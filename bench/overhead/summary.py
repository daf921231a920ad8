"""From pairs of blocks to shares of a step, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .trainings import Block

RESAMPLES = 10_000
#: Pairs below which a bootstrap interval is none: of simulated medians a 95 % one held 54 % with 2 pairs, 86 % with 4,
#: and 93 % with 6 to 10.
ENOUGH = 6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """Step times are medians over blocks, ``ratio`` the median over pairs of watched / bare. ``own`` is what the
    monitor's own calls and threads take beyond what such calls take the twin, as a share of the bare step: totals of
    all blocks, since a hand-over need not fall into each. Intervals are over pairs, of the :func:`kind_of_interval`.
    """

    pairs: int
    bare_ms: float
    with_ms: float
    ratio: float
    ratio_interval: tuple[float, float]
    own_loop: float  # on the training thread, or on the device
    own_threads: float  # on other threads
    own: float  # both on the CPU; on a device its share alone, beside which threads run
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
    threads = others - bare_others
    whole = loop if on_device else loop + threads
    ratios = wall / bare_wall
    return Summary(
        pairs=len(blocks),
        bare_ms=float(np.median(bare_wall)) * 1e3,
        with_ms=float(np.median(wall)) * 1e3,
        ratio=float(np.median(ratios)),
        ratio_interval=_interval(len(blocks), lambda picks: np.median(ratios[picks], axis=1)),
        own_loop=float(loop.sum() / step.sum()),
        own_threads=float(threads.sum() / step.sum()),
        own=float(whole.sum() / step.sum()),
        own_interval=_interval(len(blocks), lambda picks: whole[picks].sum(axis=1) / step[picks].sum(axis=1)),
        host_ms=float(np.median(host - bare_host)) * 1e3,
    )


def _column(blocks: Sequence[tuple[Block, Block]], name: str) -> tuple[Floats, Floats]:
    """The same figure of each bare block and of each watched one, ``[pair]``."""
    both = np.array([[getattr(block, name) for block in pair] for pair in blocks], np.float64)
    return both[:, 0], both[:, 1]


def _interval(pairs: int, statistic: Callable[[npt.NDArray[np.int64]], Floats]) -> tuple[float, float]:
    """Of a statistic of ``picks [resample, pair]``: a bootstrap interval (percentiles), or the single pairs' range."""
    if pairs < ENOUGH:
        each = statistic(np.arange(pairs)[:, None])
        return float(each.min()), float(each.max())
    picks = np.random.default_rng(0).integers(pairs, size=(RESAMPLES, pairs))
    low, high = np.percentile(statistic(picks), [2.5, 97.5])
    return float(low), float(high)


def kind_of_interval(pairs: int) -> str:
    return "95 % interval" if pairs >= ENOUGH else "range"
