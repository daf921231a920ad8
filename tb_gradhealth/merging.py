"""Pieces of several ranks merge over SPACE: two packed collectives per block of steps, and a third where gradients come
as terms of a sum. A fourth where a rank asks in these to stop the training.

They run on a thread of the writer's, over a gloo group of its own, so the training's groups see nothing of it. No
tensor is gathered: what travels are entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from gradhealth_kernels.cpu import CpuMeter
from gradhealth_kernels.statistics import ENTRIES, NEAR_ZERO, Entries, Entry, dtype_of, nothing

from . import ranks
from .live.stopping import Channel

Terms = Mapping[tuple[int, int], npt.NDArray[np.float64]]

#: Replicas hold the same bits, but kernels may add them up in another order.
_SAME = 1e-5


class Merger:
    """The collectives of one session. Raises RuntimeError when a rank does not take part in time."""

    def __init__(
        self,
        me: ranks.Membership,
        room: str,
        whole: ranks.Whole,
        slots: int,
        near_zero: float = NEAR_ZERO,
        entries: Sequence[Entry] = ENTRIES,
        stop: Channel | None = None,
    ) -> None:
        self._me, self._room, self._stop = me, room, stop
        self._whole, self._slots = whole, slots
        self._dtype = dtype_of(entries)
        self._added = [entry.name for entry in entries if entry.combine == "+"]
        # A minimum is the maximum of what is negated.
        self._largest = [
            (entry.name, -1.0 if entry.combine == "min" else 1.0) for entry in entries if entry.combine != "+"
        ]
        self._meter = CpuMeter(near_zero)
        # Each sum is followed by one number: how many ranks brought a term.
        ends = np.cumsum([piece.summed + 1 if piece.summed else 0 for piece in whole.pieces], dtype=np.intp)
        self._sums = {i: int(ends[i]) - piece.summed - 1 for i, piece in enumerate(whole.pieces) if piece.summed}
        self._summed = int(ends[-1]) if len(ends) else 0
        store = dist.distributed_c10d.PrefixStore(f"{room}/gloo", me.store)
        self._group: Any = dist.ProcessGroupGloo(
            store, me.place, len(me.ranks), timedelta(seconds=ranks.COLLECTIVE_SECONDS)
        )
        self._counted = np.array(whole.counted, bool)
        self._replicas = np.array(whole.replicas, np.int64)

    def merge(
        self, key: int, entries: Entries, terms: Terms | None = None
    ) -> tuple[Entries | None, list[tuple[int, str]]]:
        """Entries ``[step, tensor]`` of this rank → of all ranks together, and (step, tensor) where replicas differ.

        ``terms`` are those of this rank, (row, column) of ``entries`` → flat.

        ``key`` says which steps these are and grows from call to call. When another rank is further on, these are
        given up and None comes back; when others lag behind, they are waited for. Every rank has the same shapes and
        numbers of collectives, whatever it holds.
        """
        while True:
            maxima = np.full((1 + self._slots * len(self._largest), max(4, len(self._whole.pieces))), -np.inf)
            maxima[0, :4] = key, -key, -len(entries), self._stop is not None and self._stop.asks()
            sums = np.zeros((len(self._added) + 3, self._slots, len(self._whole.pieces)))
            self._fill(entries, sums, maxima)
            self._reduce(sums, dist.ReduceOp.SUM)
            self._reduce(maxima, dist.ReduceOp.MAX)
            added = np.zeros((self._slots, self._summed))
            if self._summed:
                self._put(terms or {}, added)
                self._reduce(added, dist.ReduceOp.SUM)
            if self._stop is not None and maxima[0, 3]:
                self._stop.agree(self._me, self._room, self._highest)
            latest, earliest, steps = maxima[0, 0], -maxima[0, 1], int(-maxima[0, 2])
            if latest == earliest:
                merged = self._read(steps, sums, maxima)
                self._measure(added, merged)
                return merged, self._diverged(sums)
            if key < latest:
                return None, []

    def _fill(self, entries: Entries, sums: Any, maxima: Any) -> None:
        steps, columns = slice(len(entries)), self._whole.columns
        counted = columns[self._counted]
        for at, name in enumerate(self._added):
            sums[at, steps, counted] = entries[name][:, self._counted].T
        sums[-3, steps, columns] = entries["sum"].T
        sums[-2, steps, columns] = entries["sum_sq"].T
        sums[-1, steps, columns] = _fingerprint(entries).T
        rest = maxima[1:, : len(self._whole.pieces)].reshape(len(self._largest), self._slots, -1)
        for at, (name, sign) in enumerate(self._largest):
            rest[at, steps, columns] = sign * entries[name].T
        maxima[1:, : len(self._whole.pieces)] = rest.reshape(-1, len(self._whole.pieces))

    def _put(self, terms: Terms, added: Any) -> None:
        for (row, column), values in terms.items():
            at = self._sums.get(int(self._whole.columns[column]))
            if at is not None and self._whole.counted[column]:
                added[row, at : at + len(values)] = values
                added[row, at + len(values)] = 1.0

    def _measure(self, added: Any, merged: Entries) -> None:
        """What the sums are, as the optimizer will see them: in the dtype of the tensor."""
        for column, at in self._sums.items():
            piece = self._whole.pieces[column]
            for row in np.flatnonzero(added[: len(merged), at + piece.summed]):
                values = torch.from_numpy(added[row, at : at + piece.summed]).to(getattr(torch, piece.dtype))
                self._meter.measure([(column, values, 0)], merged[row])

    def _reduce(self, values: Any, operation: Any) -> None:
        options = dist.AllreduceOptions()
        options.reduceOp = operation
        options.timeout = timedelta(seconds=ranks.COLLECTIVE_SECONDS)
        self._group.allreduce([torch.from_numpy(values)], options).wait()

    def _highest(self, step: int) -> int:
        steps = np.array([step], np.float64)
        self._reduce(steps, dist.ReduceOp.MAX)
        return int(steps[0])

    def _read(self, steps: int, sums: Any, maxima: Any) -> Entries:
        merged = nothing((steps, len(self._whole.pieces)), self._dtype)
        for at, name in enumerate(self._added):
            merged[name] = sums[at, :steps]
        rest = maxima[1:, : len(self._whole.pieces)].reshape(len(self._largest), self._slots, -1)
        for at, (name, sign) in enumerate(self._largest):
            merged[name] = sign * np.maximum(sign * merged[name], rest[at, :steps])
        return merged

    def _diverged(self, sums: Any) -> list[tuple[int, str]]:
        """What all replicas hold together must be that many times what was counted."""
        own = {name: sums[at] for at, name in enumerate(self._added)}
        with np.errstate(all="ignore"):  # of sums that overflow nothing can be said
            differ = self._differ(own, sums)
        return [(int(step), self._whole.pieces[i].name) for step, i in np.argwhere(differ & (self._replicas > 1))]

    def _differ(self, own: Any, sums: Any) -> Any:
        squares = self._replicas * own["sum_sq"]
        differ = np.abs(sums[-2] - squares) > _SAME * squares
        differ |= np.abs(sums[-3] - self._replicas * own["sum"]) > _SAME * self._replicas * own["sum_abs"]
        return differ | (sums[-1] != self._replicas * _fingerprint(own))


def _fingerprint(entries: Any) -> Any:
    """A whole number from the counts that do not depend on the order of addition."""
    counts = ("count", "zero", "nan", "pos_inf", "neg_inf")
    return sum((2 * i + 1) * np.asarray(entries[name], np.float64) for i, name in enumerate(counts))
