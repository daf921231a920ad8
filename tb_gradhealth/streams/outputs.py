"""The two streams of modules' outputs, and how what was seen of them becomes entries, on the writer's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradhealth_kernels.statistics import Entries, table_of

from . import figures
from .calls import Merged
from .spread import LEAST
from .stream import Stream

ACTIVATIONS = Stream("activations", "Activations", "activation", signed=True, further=figures.NAMES)
ACTIVATION_GRADIENTS = Stream("activation_gradients", "Activation gradients", "activation gradient", signed=True)


class Outputs:
    """Entries ``[1, module]``. Figures that come beside the entries, of modules that were not called or had nothing to
    compare, are those of the last time: a mean over steps would take what is missing for 0."""

    def __init__(
        self,
        calls: Merged,
        fetch: Callable[[], npt.NDArray[np.float64]],
        at_zero: npt.NDArray[np.bool_],
        carried: npt.NDArray[np.float64],
    ) -> None:
        self._calls, self._fetch, self._at_zero, self._carried = calls, fetch, at_zero, carried

    def entries(self) -> Entries:
        entries, fresh = self._calls.entries(len(self._carried)), self._fetch()
        limited, total = figures.NAMES.index("limited"), figures.NAMES.index("total_sq")
        zeros = self._at_zero & (entries["count"] > 0)
        fresh[zeros, limited], fresh[zeros, limited + 1] = entries["zero"][zeros], entries["count"][zeros]
        spread = fresh[:, [total - 1, total]]
        fresh[~np.isfinite(spread).all(axis=1), total - 1 :] = np.nan
        fresh[:, total] = np.maximum(fresh[:, total], LEAST)
        known = ~np.isnan(fresh)
        self._carried[known] = fresh[known]
        found = _widened(ACTIVATIONS, entries)
        for column, name in zip(self._carried.T, figures.NAMES, strict=True):
            found[name][0] = np.nan_to_num(column)
        return found


@dataclass(frozen=True)
class Gradients:
    """Entries ``[1, module]``."""

    calls: Merged
    modules: int

    def entries(self) -> Entries:
        return _widened(ACTIVATION_GRADIENTS, self.calls.entries(self.modules))


def _widened(stream: Stream, entries: Entries) -> Entries:
    found = stream.nothing((1, len(entries)))
    for entry in table_of(entries):
        found[entry.name][0] = entries[entry.name]
    return found


def nothing_known(modules: int) -> npt.NDArray[np.float64]:
    return np.full((modules, len(figures.NAMES)), np.nan)
