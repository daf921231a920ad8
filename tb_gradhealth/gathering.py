"""The stage between ring and rows in a distributed run: blocks of each rank → blocks of the whole, on one rank."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from gradhealth_kernels.statistics import ENTRIES, NEAR_ZERO, Entries, Entry, dtype_of, nothing

from . import ranks
from .live.stopping import Channel
from .merging import Merger
from .notes import MAX_TENSORS, Fault, Note
from .shards import Piece
from .store.blocks import Attempt, Block, Ready
from .worker import Worker

#: Bytes of blocks that may wait for the other ranks; further ones are given up.
MAX_WAITING_BYTES = 128 << 20
#: Seconds of closing that are left for writing when the ranks do not come together.
TO_WRITE = 1.0
_LANES = 2  # dropped gradients come before the step of the same number

_log = logging.getLogger("tb_gradhealth")


class Stage(Protocol):
    """Takes blocks of measured steps."""

    def submit(self, block: Block) -> None: ...

    def finish(self, timeout: float) -> None: ...

    def join(self) -> None: ...

    def is_alive(self) -> bool: ...


@dataclass(frozen=True)
class Local:
    """What this rank brings: its pieces, which of them it counts, and how many steps a block has at most."""

    pieces: Sequence[Piece]
    owned: Sequence[bool]
    slots: int
    what: str
    step: int
    near_zero: float = NEAR_ZERO
    entries: Sequence[Entry] = ENTRIES


class Gathering:
    """Agrees with the other ranks, then merges block by block; the lowest rank hands the result on.

    ``begin`` makes the next stage for the tensors of the whole. When the ranks do not come together, the lowest rank
    that is there records what it has whole, and says so once. Over ``stop`` they agree on where to end.
    """

    def __init__(
        self,
        me: ranks.Membership,
        local: Local,
        begin: Callable[[Sequence[Piece]], Stage],
        report: Callable[[str], None],
        stop: Channel | None = None,
    ) -> None:
        self._me, self._local, self._begin, self._report, self._stop = me, local, begin, report, stop
        self._blocks: deque[Block] = deque()
        self._next: Stage | None = None
        self._merger: Merger | None = None
        self._whole: ranks.Whole | None = None
        self._room = ""
        self._diverged: set[str] = set()
        self._worker = Worker("gradhealth-ranks", self._run)
        self._worker.start()

    def submit(self, block: Block) -> None:
        """Called on the training thread; never waits."""
        size = self._local.slots * len(self._local.pieces) * dtype_of(self._local.entries).itemsize
        if len(self._blocks) > 1 + MAX_WAITING_BYTES // max(1, size):
            self._report(f"steps from {block.first_step} on are not recorded: other ranks are too far behind")
            return
        self._blocks.append(block)
        self._worker.wake()

    def finish(self, timeout: float) -> None:
        """Merge what waits and write it, for at most ``timeout`` seconds from now; does not wait."""
        self._worker.finish(timeout)

    def join(self) -> None:
        """Wait for what :meth:`finish` began."""
        if not self._worker.join():
            self._report("the last steps could not be merged with those of the other ranks in the time of closing")
        elif self._next is not None and not self._worker.is_alive():
            self._next.join()

    def is_alive(self) -> bool:
        return self._worker.is_alive() or (self._next is not None and self._next.is_alive())

    def _run(self) -> None:
        try:
            self._come_together()
        except Exception as error:
            self._part(error)
        while True:
            self._worker.wait(None)
            closing = self._worker.closing.is_set()
            while self._blocks:
                self._pass_on(self._blocks.popleft())
            if closing:
                if self._next is not None:
                    self._next.finish(max(TO_WRITE / 2, self._worker.left()))
                return

    def _come_together(self) -> None:
        until = time.monotonic() + ranks.AGREE_SECONDS

        def left() -> float:
            return min(until, self._worker.deadline - TO_WRITE) - time.monotonic()

        local = self._local
        self._me = self._me.apart()
        self._room = self._me.room(local.what, local.step)
        whole = ranks.agree(self._me, self._room, local.pieces, local.owned, local.slots, left)
        self._merger = Merger(self._me, self._room, whole, local.slots, local.near_zero, local.entries, self._stop)
        self._whole = whole
        if whole.conflicts:
            more = f" (and {len(whole.conflicts) - 1} more)" if len(whole.conflicts) > 1 else ""
            self._report(
                f"the ranks do not have the same layout: {whole.conflicts[0]}{more}; what the lowest rank has is "
                "recorded: build the same model on every rank, or pass prefix= where they are meant to differ"
            )
        if self._me.place == 0:
            self._next = self._begin(whole.pieces)

    def _part(self, error: Exception) -> None:
        """Go on alone: what is whole here is right by itself; what is not becomes "no data"."""
        self._merger = None
        if self._stop is not None:
            self._stop.close()
        try:
            lowest = self._me.is_lowest(self._room)
        except Exception:  # the store went with the rank that held it, which is the lowest as a rule
            lowest = self._me.place == 0
        said = str(error)
        if not isinstance(error, ranks.Apart):
            _log.debug("merging with the other ranks failed", exc_info=error)
            said = (
                f"another one stopped, or did not answer in {ranks.COLLECTIVE_SECONDS:.0f} s ({type(error).__name__})"
            )
        sharded = sum(piece.mesh is not None for piece in self._local.pieces)
        left = f"; {sharded} sharded tensors are not measured from here on" if sharded else ""
        self._report(f"the ranks do not record together: {said}. The lowest one goes on alone{left}")
        if lowest and self._next is None:
            self._next = self._begin(self._local.pieces)

    def _pass_on(self, block: Block) -> None:
        if self._merger is None and self._next is None:
            return  # alone, and not the lowest
        try:
            entries, attempts = block.read()
            merged = self._merged(block, entries, attempts)
        except Exception as error:
            self._report(f"steps from {block.first_step} on could not be read ({type(error).__name__}: {error})")
            return
        if merged is not None and self._next is not None:
            self._next.submit(merged)

    def _merged(self, block: Block, entries: Entries, attempts: list[Attempt]) -> Block | None:
        """``block`` as all ranks have it together; None when they have gone past it."""
        if self._merger is None or self._whole is None:
            return self._alone(block, entries, attempts)
        key = _LANES * block.first_step + (0 if block.dropped else 1)
        terms = {at: term() for at, term in block.terms.items()}
        try:
            whole, diverged = self._merger.merge(key, entries, terms)
        except Exception as error:
            self._part(error)
            return self._alone(block, entries, attempts)
        if whole is None:
            if not block.dropped:
                self._report(f"steps from {block.first_step} on are not recorded: other ranks are already further")
            return None
        columns, stop = self._whole.columns, block.first_step + len(whole)
        return Block(
            block.first_step,
            Ready(whole),
            block.logged,
            [replace(a, columns=columns[a.columns]) for a in attempts if a.step < stop],
            [*block.notes, *self._new(block.first_step, diverged)],
            block.dropped,
        )

    def _new(self, first: int, diverged: list[tuple[int, str]]) -> list[Note]:
        """Notes on replicas that differ for the first time."""
        fresh: dict[int, list[str]] = {}
        for offset, name in diverged:
            if name not in self._diverged:
                self._diverged.add(name)
                fresh.setdefault(first + offset, []).append(name)
        return [_note(step, names) for step, names in fresh.items()]

    def _alone(self, block: Block, entries: Entries, attempts: list[Attempt]) -> Block:
        """Pieces of tensors that other ranks hold too are blanked: a part would pass for the whole."""
        here = np.array([piece.mesh is None for piece in self._local.pieces], bool)
        if self._whole is None:
            entries = entries.copy()
            entries[:, ~here] = nothing((1,), entries.dtype)[0]
        else:  # rows of this session are those of all ranks
            columns = self._whole.columns
            spread = nothing((len(entries), len(self._whole.pieces)), entries.dtype)
            spread[:, columns[here]] = entries[:, here]
            entries = spread
            attempts = [replace(attempt, columns=columns[attempt.columns]) for attempt in attempts]
        return Block(block.first_step, Ready(entries), block.logged, attempts, block.notes, block.dropped)


def _note(step: int, names: list[str]) -> Note:
    faults = tuple(Fault(name, 0, 0, 0) for name in names[:MAX_TENSORS])
    return Note(step, "diverged", faults, len(names) - len(faults))
