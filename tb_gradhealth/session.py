"""One unchanging set of parameters in one process: rings, a place on the step axis, and the stages behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch.optim import Optimizer

from . import nodes, shards
from .boundary.options import Settings
from .boundary.watch import APPLIED, UNCLIPPED, Watch
from .gathering import Stage
from .live.board import Board
from .parts import Applied, Joined, Part, Steps, Term
from .stages import Stages
from .store.blocks import Attempt, Block, Number, Outcome, Taken
from .streams.observation import Observation, Observed
from .streams.sampling import ParameterSampling, Recorders
from .streams.stream import Sample, Stream

S = TypeVar("S")

#: Steps that the rings hold at most before they are handed over.
RING_SLOTS = 32
MAX_LOGGED = 4096  # values between two hand-overs; more than that is a loop gone wrong
MAX_DROPPED = 64  # sets of gradients dropped between two steps that are looked at

GRADIENTS = {
    APPLIED: Stream(APPLIED, "Gradients (applied)", "gradient", sampled=False),
    UNCLIPPED: Stream(UNCLIPPED, "Gradients (before clipping)", "gradient", sampled=False),
}


class Session:
    """Measures the gradients of ``watches``, step by step from ``step`` on. ``board`` has what is found in them,
    ``report`` is told each problem."""

    def __init__(
        self, settings: Settings, step: int, watches: Sequence[Watch], board: Board, report: Callable[[str], None]
    ) -> None:
        self.pid = os.getpid()
        self._settings, self._report = settings, report
        self._first = self._step = step
        self._slots = min(settings.every, RING_SLOTS)
        self._filled = 0
        self._slot: int | None = None  # of the current step; None when it could not begin or be measured
        self._logged: list[tuple[str, Number]] = []
        self._rates: list[tuple[str, Number]] = []
        self._attempts: list[Attempt] = []
        self._dropped = 0  # since the last step began
        self._parts: dict[Watch, Part] = {}
        column = 0
        for watch in watches:
            self._parts[watch] = part = Part(watch, column, self._slots, settings.near_zero)
            column = part.stop
        self._pieces = [piece for part in self._parts.values() for piece in part.pieces]
        nodes.build([piece.name for piece in self._pieces])  # raises when two have one name
        self._stages = Stages(settings, step, board, report)
        self._measured = {APPLIED: self._gradients(APPLIED)}
        self._recorders = Recorders(column, settings.near_zero, lambda stream: self._stage(stream, 1))
        self._observed = Observed(self._stages.here)
        self._sampling = {
            watch: ParameterSampling(
                settings.streams, settings.every, settings.near_zero, part.start, self._sampled, report
            )
            for watch, part in self._parts.items()
        }

    def covers(self, watches: Sequence[Watch]) -> bool:
        """Whether these watches have the very parameters of this session, in the process that began it."""
        if self.pid != os.getpid() or len(watches) != len(self._parts):
            return False
        look_closer = self._filled in (0, self._slots)
        return all(watch in self._parts and self._parts[watch].covers(watch, look_closer) for watch in watches)

    def knows(self, watch: Watch) -> bool:
        return watch in self._parts

    def begin(self, step: int) -> None:
        """The next slot of the rings is ``step``'s."""
        # Handed over only when the next step begins, so that what is logged after step() still joins its own step.
        # A step that could not be measured leaves a gap; what follows is then a block of its own.
        self._slot, self._step = None, step
        self._recorders.hand_over()
        self._observed.hand_over()
        gap = step != self._first + self._filled
        if self._filled and (self._filled == self._slots or step % self._settings.every == 0 or gap):
            self._hand_over()
        if self._filled == 0:
            self._first = step
        self._slot = self._filled
        self._filled += 1
        self._dropped = 0

    def abandon(self) -> None:
        """What was measured of the current step is not to be trusted."""
        if self._slot is not None:
            self._slot = None
            self._filled -= 1

    def measure(self, watch: Watch, stream: str, inverse_scale: torch.Tensor | None) -> None:
        """The gradients of one optimizer into the current step's slot."""
        if self._slot is None:
            return
        unmeasured = self._parts[watch].measure(stream, self._slot, inverse_scale)
        if unmeasured is not None:
            self._report(unmeasured)

    def before_step(self, watch: Watch, step: int, optimizer: Optimizer) -> None:
        """``optimizer`` is about to write to its parameters."""
        self._sampling[watch].before(step, optimizer, self._parts[watch].parameters)

    def after_step(self, watch: Watch, optimizer: Optimizer) -> None:
        """It has."""
        self._sampling[watch].after(optimizer, self._parts[watch].parameters)

    def sources(self, kind: type[S]) -> Iterator[tuple[list[shards.Piece], S]]:
        """Each optimizer's source of this kind, and the tensors that its columns are."""
        for watch, sampling in self._sampling.items():
            source = sampling.source(kind)
            if source is not None:
                yield self._parts[watch].pieces, source

    def fits(self, observations: Sequence[Observation]) -> bool:
        """Whether what was observed is of the very tensors that this session has."""
        return self._observed.fits(observations)

    def observe(self, observations: Sequence[Observation]) -> None:
        """What was seen since the last step belongs to the current one."""
        self._observed.put(self._step, observations)

    def _sampled(self, start: int, sample: Sample) -> None:
        self._recorders.measure(self._step, start, sample)

    def holds_whole(self, watch: Watch) -> bool:
        """Whether this process has all elements of the optimizer's gradients."""
        return self._parts[watch].whole

    def total_norm(self, watch: Watch, stream: str) -> torch.Tensor | None:
        """L2 norm of what was just measured of ``stream``; None where torch must clip it."""
        return None if self._slot is None else self._parts[watch].total_norm(stream, self._slot)

    def has_double(self) -> bool:
        return any(part.has_double for part in self._parts.values())

    def scale(self, watch: Watch, stream: str, factor: torch.Tensor) -> None:
        """Multiplies gradients that gave a total norm, and measures the products."""
        assert self._slot is not None
        self._parts[watch].scale(stream, self._slot, factor)

    def capture(self, watch: Watch) -> bool:
        """Whether each replay of the CUDA graph that is being captured will measure the gradients as applied."""
        return watch in self._parts and self._parts[watch].capture(APPLIED)

    def replayed(self, watch: Watch) -> None:
        """What the last replay measured is the current step's."""
        if self._slot is not None:
            self._parts[watch].replayed(APPLIED, self._slot)

    def copy(self, watch: Watch, stream: str, source: str) -> None:
        """What was measured of ``source`` at the current step is what ``stream`` has there, too."""
        if self._slot is not None:
            self._parts[watch].copy(stream, source, self._slot)

    def forget(self, watch: Watch, stream: str) -> None:
        """What was measured of ``stream`` at the current step does not count, unless it is confirmed."""
        if self._slot is not None:
            self._parts[watch].forget(stream, self._slot)

    def confirm(self, watch: Watch, stream: str) -> None:
        """What was last measured of ``stream`` at the current step counts after all."""
        if self._slot is not None:
            self._parts[watch].confirm(stream, self._slot)

    def attempted(
        self, watch: Watch, step: int, outcome: Outcome, loss_scale: Number | None, found_inf: Number
    ) -> None:
        """What became of an attempt; one whose steps were handed over meanwhile cannot be told any more."""
        if self._first <= step < self._first + self._filled:
            part = self._parts[watch]
            columns = np.arange(part.start, part.stop)
            self._attempts.append(Attempt(step, outcome, loss_scale, columns, found_inf))

    def drop(self, watch: Watch, step: int, inverse_scale: torch.Tensor | None) -> None:
        """Gradients of one optimizer that will not be applied; ``step`` is the one that comes next."""
        if self._dropped >= MAX_DROPPED:
            return
        dropped = self._dropped
        self.begin(step)
        self._dropped = dropped
        self.measure(watch, UNCLIPPED, inverse_scale)
        self.retract()

    def retract(self) -> None:
        """The current step is none: its gradients were looked at, and then dropped."""
        self._recorders.forget()
        self._observed.forget()
        self._dropped += 1
        if self._slot is None:
            return
        last = self._slot
        before, terms = self._hand_over(last)
        if before is not None and self._dropped <= MAX_DROPPED:
            own = {(0, column): term for (slot, column), term in terms.items() if slot == last}
            block = Block(self._first, Steps(before, slice(last, last + 1)), dropped=True, terms=own)
            self._measured[APPLIED].submit(block)

    def show_unclipped(self) -> None:
        """From now on what was measured before clipping is a stream of its own."""
        if UNCLIPPED not in self._measured:
            self._measured[UNCLIPPED] = self._gradients(UNCLIPPED)

    def log(self, name: str, value: float | torch.Tensor) -> None:
        if len(self._logged) >= MAX_LOGGED:
            raise ValueError(f"log(): more than {MAX_LOGGED} values within {self._slots} steps: log once a step")
        if isinstance(value, torch.Tensor):
            value = shards.replicated(value)
            if value.numel() != 1 or value.is_complex() or value.is_meta:
                raise ValueError(
                    f"log({name}=): expected a number, got a {value.dtype} tensor of shape {tuple(value.shape)} on "
                    f"{value.device}: reduce it"
                )
            # On a device the value is read by the writer's thread, so the training thread never waits.
            kept = value.detach().clone()
            self._logged.append((name, kept.item if kept.device.type != "cpu" else float(kept)))
        else:
            self._logged.append((name, float(value)))

    def log_rates(self, rates: Iterable[tuple[str, Number]]) -> None:
        """Learning rates of the current step."""
        if len(self._rates) < MAX_LOGGED:
            self._rates += rates

    def drop_rates(self) -> None:
        """Those of steps that were not handed over yet do not count."""
        self._rates = []

    def close(self) -> None:
        """Hand over what is pending and begin to end; :meth:`join` waits until it is written."""
        self._recorders.hand_over()
        self._observed.hand_over()
        if self._filled:
            self._hand_over()
        self._stages.finish()

    def join(self) -> None:
        """Wait for what :meth:`close` began, as long as that may take."""
        self._stages.join()

    def is_written(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._stages.is_written()

    def _hand_over(self, steps: int | None = None) -> tuple[Taken | None, dict[tuple[int, int], Term]]:
        """The slots of the first ``steps`` steps, all by default; returns what was measured before clipping."""
        filled = self._filled
        steps = filled if steps is None else steps
        first, logged, attempts = self._first, [*self._logged, *self._rates], self._attempts
        # Whatever fails from here on costs these steps alone.
        self._filled, self._slot, self._first = 0, None, first + steps
        if steps:
            self._logged, self._rates, self._attempts = [], [], []
        applied: Taken = self._joined(APPLIED, filled)
        terms = self._terms(APPLIED)
        before: Taken | None = None
        before_terms: dict[tuple[int, int], Term] = {}
        if any(part.has(UNCLIPPED) for part in self._parts.values()):
            before, before_terms = self._joined(UNCLIPPED, filled), self._terms(UNCLIPPED)
        if steps:
            kept = slice(steps)
            taken = Applied(first, Steps(applied, kept), before, attempts)
            self._measured[APPLIED].submit(Block(first, taken, logged, attempts, terms=_until(terms, steps)))
            if before is not None and UNCLIPPED in self._measured:
                block = Block(first, Steps(before, kept), terms=_until(before_terms, steps))
                self._measured[UNCLIPPED].submit(block)
        return before, before_terms

    def _joined(self, stream: str, steps: int) -> Joined:
        taken = [(part.start, part.take(stream, steps)) for part in self._parts.values() if part.has(stream)]
        return Joined(steps, len(self._pieces), taken)

    def _terms(self, stream: str) -> dict[tuple[int, int], Term]:
        return {at: term for part in self._parts.values() for at, term in part.take_terms(stream).items()}

    def _gradients(self, stream: str) -> Stage:
        return self._stage(replace(GRADIENTS[stream], near_zero=self._settings.near_zero), self._slots)

    def _stage(self, stream: Stream, slots: int) -> Stage:
        owns = shards.owns if stream.sampled else shards.owns_gradient

        def owned() -> list[bool]:
            return [owns(parameter) for part in self._parts.values() for parameter in part.parameters]

        return self._stages.over_ranks(stream, self._pieces, owned, slots, self._first)


def _until(terms: dict[tuple[int, int], Term], steps: int) -> dict[tuple[int, int], Term]:
    return {at: term for at, term in terms.items() if at[0] < steps}
