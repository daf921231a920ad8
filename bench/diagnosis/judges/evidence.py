"""What the peers' rules look at: metrics of a run as arrays."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_gradhealth.nodes import NodeKind
from tb_gradhealth.reading.opened import OpenRun
from tb_gradhealth.store.timeline import View

from .judge import SEVERITY, Alarm

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plane:
    """``values [tensor, row]`` of the tensors ``names``; NaN where a row has none."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    values: Array


class Evidence:
    """A run whose rows are told by the last step of each, ``last [row]``."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.steps = run.read(nodes=[""]).steps
        self.last = self.steps[:, 1] - 1
        self._planes = functools.cache(self._read)

    def plane(self, stream: str, metric: str, view: View = "mean") -> Plane:
        """Of every tensor of a stream; without tensors where that was not recorded."""
        return self._planes(stream, metric, view)

    def _read(self, stream: str, metric: str, view: View) -> Plane:
        empty = Plane((), (), np.zeros((0, len(self.steps))))
        if stream not in self.run.streams or metric not in self.run.timeline(stream).metrics:
            return empty
        read = self.run.read(stream, metric, view=view)
        infos = self.run.timeline(stream).tensors
        of_tensors = self._kinds(stream) == "tensor"
        if read.values.shape[1] != len(self.steps) or not of_tensors.any():
            return empty
        names = tuple(name for name, is_tensor in zip(read.nodes, of_tensors, strict=True) if is_tensor)
        return Plane(names, tuple(infos[name].shape or () for name in names), read.values[of_tensors])

    def _kinds(self, stream: str) -> npt.NDArray[np.str_]:
        kinds: list[NodeKind] = list(self.run.timeline(stream).tree.kinds)
        return np.array(kinds)

    def whole(self, metric: str, view: View = "max") -> Array:
        """``[row]``, of all gradients together."""
        values: Array = self.run.read(metric=metric, nodes=[""], view=view).values[0]
        return values

    def scalar(self, name: str) -> Array:
        """``[row]``, the mean of what was logged in each; NaN where nothing was."""
        found = np.full(len(self.steps), np.nan)
        logged = self.run.scalars().get(name)
        if logged is not None:
            found[np.searchsorted(self.steps[:, 0], logged.steps[:, 0])] = logged.mean
        return found

    def broken(self, name: str) -> Mask:
        """``[row]``: where something was logged that is not finite."""
        logged = self.run.scalars().get(name)
        found = np.zeros(len(self.steps), np.bool_)
        if logged is not None:
            found[np.searchsorted(self.steps[:, 0], logged.steps[:, 0])] = ~np.isfinite(logged.mean)
        return found

    def alarm(self, kind: str, where: Mask, names: tuple[str, ...] = ("",), size: Array | None = None) -> list[Alarm]:
        """The first row at which any of ``where [tensor, row]`` holds, and of those tensors the one whose ``size
        [tensor, row]`` is largest; nothing where none does."""
        rows = np.flatnonzero(where.any(axis=0)) if len(where) else []
        if not len(rows):
            return []
        row = rows[0]
        chosen = np.flatnonzero(where[:, row])
        if size is not None:
            chosen = chosen[np.argsort(-np.nan_to_num(size[chosen, row]), kind="stable")]
        return [Alarm(kind, SEVERITY[kind], names[chosen[0]], int(self.last[row]))]
