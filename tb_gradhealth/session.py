"""One unchanging set of parameters in one process: rings, a place on the step axis, and the stages behind them."""

from __future__ import annotations

import operator
import os
import time
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import torch

from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.launch import Taken as RingTaken
from gradhealth_kernels.statistics import COUNTS, Entries, neutral

from . import nodes, shards
from .boundary.options import Settings
from .boundary.watch import APPLIED, UNCLIPPED, Watch
from .gathering import Gathering, Local, Stage
from .ranks import Membership
from .sinks import SharedSink, make_sink
from .store.blocks import Attempt, Block, Number, Outcome, Taken
from .store.encoder import Encoder, RowBuilder
from .store.format import MetricInfo, NodeInfo, Schema

#: Steps that the rings hold at most before they are handed over.
RING_SLOTS = 32
CLOSE_SECONDS = 10.0
MAX_LOGGED = 4096  # values between two hand-overs; more than that is a loop gone wrong
MAX_DROPPED = 64  # sets of gradients dropped between two steps that are looked at

_FLATTENED = (
    "FullyShardedDataParallel keeps slices of flattened parameters on each rank; shard the model with fully_shard "
    "(FSDP2), whose gradients are measured"
)

LABELS = {APPLIED: "Gradients (applied)", UNCLIPPED: "Gradients (before clipping)"}


class Session:
    """Measures the gradients of ``watches``, step by step from ``step`` on. ``report`` is told each problem."""

    def __init__(self, settings: Settings, step: int, watches: Sequence[Watch], report: Callable[[str], None]) -> None:
        self.pid = os.getpid()
        self._settings, self._report = settings, report
        self._start = self._first = step
        self._filled = 0
        self._slots = min(settings.every, RING_SLOTS)
        self._logged: list[tuple[str, Number]] = []
        self._attempts: list[Attempt] = []
        self._dropped = 0  # since the last step began
        self._id, self._wall_time = uuid.uuid4().hex[:16], time.time()
        self._parts: dict[Watch, _Part] = {}
        column = 0
        for watch in watches:
            self._parts[watch] = part = _Part(watch, column, self._slots, settings.near_zero)
            column = part.stop
        self._pieces = [shards.piece(named) for part in self._parts.values() for named in part.named]
        nodes.build([piece.name for piece in self._pieces])  # raises when two have one name
        self._sink = SharedSink(make_sink(settings.directory, settings.summary_writer, self._id))
        self._stages = {APPLIED: self._stage(APPLIED)}
        self._unmeasured = 0

    def covers(self, watches: Sequence[Watch]) -> bool:
        """Whether these watches have the very parameters of this session, in the process that began it."""
        if self.pid != os.getpid() or len(watches) != len(self._parts):
            return False
        look_closer = self._filled in (0, self._slots)
        return all(watch in self._parts and self._parts[watch].covers(watch, look_closer) for watch in watches)

    def begin(self, step: int) -> None:
        """The next slot of the rings is ``step``'s."""
        # Handed over only when the next step begins, so that what is logged after step() still joins its own step.
        # A step that could not be measured leaves a gap; what follows is then a block of its own.
        gap = step != self._first + self._filled
        if self._filled and (self._filled == self._slots or step % self._settings.every == 0 or gap):
            self._hand_over()
        if self._filled == 0:
            self._first = step
        self._filled += 1
        self._dropped = 0

    def abandon(self) -> None:
        """What was measured of the step just begun is not to be trusted."""
        self._filled = max(0, self._filled - 1)

    def measure(self, watch: Watch, stream: str, inverse_scale: torch.Tensor | None) -> None:
        """The gradients of one optimizer into the current step's slot."""
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("the step is being captured into a CUDA graph, whose replays cannot be measured")
        if self._filled:
            part = self._parts[watch]
            part.measure(stream, self._filled - 1, inverse_scale)
            if len(part.unmeasured) > self._unmeasured:
                self._name_unmeasured(part)

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
        self._dropped += 1
        if self._dropped > MAX_DROPPED:
            return
        if self._filled:
            self._hand_over()
        ring = StepRing(len(self._parts[watch].parameters), 1, self._settings.near_zero)
        ring.measure(0, self._parts[watch].gradients(), inverse_scale)
        self._stages[APPLIED].submit(Block(step, self._joined({watch: ring.take(1)}, 1), dropped=True))
        self._first = step

    def show_unclipped(self) -> None:
        """From now on what was measured before clipping is a stream of its own."""
        if UNCLIPPED not in self._stages:
            self._stages[UNCLIPPED] = self._stage(UNCLIPPED)

    def log(self, name: str, value: float | torch.Tensor) -> None:
        if len(self._logged) >= MAX_LOGGED:
            raise ValueError(f"log(): more than {MAX_LOGGED} values within {self._slots} steps: log once a step")
        if isinstance(value, torch.Tensor):
            if value.numel() != 1:
                raise ValueError(
                    f"log({name}=): expected a number, got a tensor of shape {tuple(value.shape)}: reduce it"
                )
            # On a device the value is read by the writer's thread, so the training thread never waits.
            kept = value.detach().clone()
            self._logged.append((name, kept.item if kept.device.type != "cpu" else float(kept)))
        else:
            self._logged.append((name, float(value)))

    def close(self) -> None:
        if self._dropped and not self._filled and self._first % self._settings.every == 0:
            self.begin(self._first)  # no row is open that the notes could end: an empty one
        if self._filled:
            self._hand_over()
        for stage in self._stages.values():
            stage.close(CLOSE_SECONDS)

    def retract(self, watch: Watch) -> None:
        """The step just begun is none: ``watch`` alone looked at its gradients, and then dropped them."""
        self._dropped += 1
        last = self._filled - 1
        before = self._hand_over(last)
        if before is not None and self._dropped <= MAX_DROPPED:
            self._stages[APPLIED].submit(Block(self._first, _Rows(before, slice(last, last + 1)), dropped=True))

    def _hand_over(self, steps: int | None = None) -> Taken | None:
        """The slots of the first ``steps`` steps, all by default; returns what was measured before clipping."""
        filled = self._filled
        steps = filled if steps is None else steps
        applied: Taken = self._joined(
            {watch: part.take(APPLIED, filled) for watch, part in self._parts.items()}, filled
        )
        looked = {watch: part for watch, part in self._parts.items() if part.has(UNCLIPPED)}
        before: Taken | None = None
        if looked:
            before = self._joined({watch: part.take(UNCLIPPED, filled) for watch, part in looked.items()}, filled)
        self._filled = 0
        if steps:
            first, kept = self._first, slice(steps)
            logged, self._logged = self._logged, []
            attempts, self._attempts = self._attempts, []
            taken = _Applied(first, _Rows(applied, kept), before, attempts)
            self._stages[APPLIED].submit(Block(first, taken, logged, attempts))
            if before is not None and UNCLIPPED in self._stages:
                self._stages[UNCLIPPED].submit(Block(first, _Rows(before, kept)))
            self._first += steps
        return before

    def _joined(self, taken: dict[Watch, RingTaken], steps: int) -> _Joined:
        return _Joined(steps, len(self._pieces), [(self._parts[watch].start, one) for watch, one in taken.items()])

    def _stage(self, stream: str) -> Stage:
        def begin(pieces: Sequence[shards.Piece]) -> Stage:
            tree = nodes.build([piece.name for piece in pieces])
            builder = RowBuilder(tree, self._settings.metrics, self._settings.every)
            return Encoder(self._sink.share(), self._schema(stream, tree, pieces), builder, self._report)

        me = Membership.of(self._settings.group)
        if me is None:
            return begin(self._pieces)
        owned = [shards.owns(parameter) for part in self._parts.values() for parameter in part.parameters]
        return Gathering(me, Local(self._pieces, owned, self._slots, stream, self._first), begin, self._report)

    def _schema(self, stream: str, tree: nodes.Tree, pieces: Sequence[shards.Piece]) -> Schema:
        tensors = {piece.name: piece for piece in pieces}
        infos = [
            NodeInfo(name, kind, tensors[name].shape, tensors[name].dtype, tensors[name].aliases)
            if kind == "tensor"
            else NodeInfo(name, kind)
            for name, kind in zip(tree.names, tree.kinds, strict=True)
        ]
        return Schema(
            session=self._id,
            stream=stream,
            label=LABELS[stream],
            wall_time=self._wall_time,
            start_step=self._start,
            every=self._settings.every,
            near_zero=self._settings.near_zero,
            counts=COUNTS,
            metrics=tuple(
                MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning) for m in self._settings.metrics
            ),
            nodes=tuple(infos),
        )

    def _name_unmeasured(self, part: _Part) -> None:
        new = {index: reason for index, reason in part.unmeasured.items() if index not in part.told}
        part.told.update(new)
        self._unmeasured = len(part.told)
        index, reason = next(iter(new.items()))
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        self._report(f"the gradient of {part.named[index].name}{more} is not measured: {reason}")


class _Part:
    """The rings of one optimizer, whose tensors are the columns ``[start, stop)`` of the session's."""

    def __init__(self, watch: Watch, start: int, slots: int, near_zero: float) -> None:
        self.named = watch.named()
        self.parameters = [named.tensor for named in self.named]
        self.start, self.stop = start, start + len(self.named)
        self.told: set[int] = set()
        self._slots, self._near_zero = slots, near_zero
        self._sharded = any(shards.is_sharded(parameter) for parameter in self.parameters)
        self._foreign = {i: _FLATTENED for i, p in enumerate(self.parameters) if shards.is_flattened(p)}
        self._shapes = [parameter.shape for parameter in self.parameters]
        self._rings: dict[str, StepRing] = {}
        self._measured: dict[str, set[int]] = {}  # slots since the last hand-over

    @property
    def unmeasured(self) -> dict[int, str]:
        return {i: reason for ring in self._rings.values() for i, reason in ring.unmeasured.items()} | self._foreign

    def covers(self, watch: Watch, look_closer: bool) -> bool:
        """Whether the optimizer still has these parameters, and, where one looks closer, in these shapes."""
        at = 0
        for group in watch.groups():
            own = group["params"]
            if not all(map(operator.is_, own, self.parameters[at : at + len(own)])):
                return False
            at += len(own)
        return at == len(self.parameters) and not (look_closer and self._reshaped())

    def _reshaped(self) -> bool:
        return any(parameter.shape != shape for parameter, shape in zip(self.parameters, self._shapes, strict=True))

    def gradients(self) -> list[torch.Tensor | None]:
        if self._sharded:
            return shards.local_gradients(self.parameters)
        if self._foreign:
            return [None if i in self._foreign else parameter.grad for i, parameter in enumerate(self.parameters)]
        return [parameter.grad for parameter in self.parameters]

    def has(self, stream: str) -> bool:
        return stream in self._rings

    def measure(self, stream: str, slot: int, inverse_scale: torch.Tensor | None) -> None:
        if stream not in self._rings:
            self._rings[stream] = StepRing(len(self.parameters), self._slots, self._near_zero)
            self._measured[stream] = set()
        ring = self._rings[stream]
        if self._sharded or self._foreign:
            ring.measure(slot, self.gradients(), inverse_scale)
        else:
            ring.measure_gradients(slot, self.parameters, inverse_scale)
        self._measured[stream].add(slot)

    def take(self, stream: str, steps: int) -> RingTaken:
        """Hand off the slots ``[0, steps)``; those in which nothing was measured hold nothing."""
        if stream not in self._rings:
            self._rings[stream] = StepRing(len(self.parameters), self._slots, self._near_zero)
            self._measured[stream] = set()
        for slot in set(range(steps)) - self._measured[stream]:
            self._rings[stream].measure(slot, [None] * len(self.parameters))
        self._measured[stream].clear()
        return self._rings[stream].take(steps)


class _Joined:
    """What several optimizers' rings hold of the same steps, side by side; nothing in the columns of the others."""

    def __init__(self, steps: int, tensors: int, taken: Sequence[tuple[int, RingTaken]]) -> None:
        self._steps, self._tensors, self._taken = steps, tensors, taken

    def entries(self) -> Entries:
        joined = neutral((self._steps, self._tensors))
        for start, taken in self._taken:
            entries = taken.entries()
            joined[:, start : start + entries.shape[1]] = entries
        return joined


class _Rows:
    """Some of the steps that were taken."""

    def __init__(self, taken: Taken, steps: slice) -> None:
        self._taken, self._steps = taken, steps

    def entries(self) -> Entries:
        return self._taken.entries()[self._steps]


class _Applied:
    """Gradients as applied; of attempts that were not, those from before clipping, which smears a NaN over all."""

    def __init__(self, first: int, applied: Taken, before: Taken | None, attempts: Sequence[Attempt]) -> None:
        self._first, self._applied, self._before, self._attempts = first, applied, before, attempts

    def entries(self) -> Entries:
        entries = self._applied.entries()
        if self._before is None:
            return entries
        missed = [attempt for attempt in self._attempts if attempt.settled().outcome != "step"]
        if missed:
            before = self._before.entries()
            for attempt in missed:
                at = attempt.step - self._first
                if before["count"][at, attempt.columns].any():
                    entries[at, attempt.columns] = before[at, attempt.columns]
        return entries
