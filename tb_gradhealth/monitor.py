"""What stands behind ``optimizer.gradhealth``: each step's gradients into one slot of a ring, full rings onward.

Nothing here raises into a training loop, waits for a device, or touches a gradient.
"""

from __future__ import annotations

import logging
import operator
import os
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import torch

from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.metrics import Metric
from gradhealth_kernels.statistics import COUNTS

from . import nodes
from .sinks import make_sink
from .store.encoder import Block, Encoder, RowBuilder
from .store.format import MetricInfo, NodeInfo, Schema

#: Steps that the ring holds at most before it is handed over.
RING_SLOTS = 32
CLOSE_SECONDS = 10.0
MAX_LOGGED = 4096  # values between two hand-overs; more than that is a loop gone wrong

P = ParamSpec("P")
_log = logging.getLogger("tb_gradhealth")


class GradHealthWarning(UserWarning):
    """Something could not be measured or written; training is not affected."""


class Monitor:
    """Measures the gradients of ``parameters()`` at each step and writes a row each ``every`` steps.

    ``parameters`` returns the optimizer's parameters with their names, in its own order; ``release`` unhooks the
    optimizer. :attr:`step` is the number of the next step, :attr:`problems` counts what could not be measured or
    written.
    """

    def __init__(
        self,
        parameters: Callable[[], list[tuple[str, torch.Tensor]]],
        directory: Path | None,
        summary_writer: Any,
        every: int,
        near_zero: float,
        start_step: int,
        metrics: Sequence[Metric],
        release: Callable[[], None],
    ) -> None:
        self.step = start_step
        self.problems = 0
        self._parameters, self._release = parameters, release
        self._directory, self._summary_writer = directory, summary_writer
        self._every, self._near_zero, self._metrics = every, near_zero, tuple(metrics)
        self._session: _Session | None = None
        self._closed = False

    def log(self, **values: float | torch.Tensor) -> None:
        """Add scalars of the current step, such as ``loss=`` and ``lr=``; a tensor must hold one element.

        Called after ``step()`` they belong to the step just made. A tensor on a device is copied, not waited for.
        """
        self._guarded(self._log, values)

    def state_dict(self) -> dict[str, int]:
        """What continues the step axis after a restart."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at the step of :meth:`state_dict`, in a session of its own. Raises KeyError without a step."""
        step = int(state["step"])
        self._guarded(self._end_session)
        self.step = step

    def close(self) -> None:
        """Write what is pending and stop; safe to call twice, and in a forked child does nothing."""
        if not self._closed:
            self._closed = True
            self._guarded(self._end_session)
            self._guarded(self._release)

    def measure(self, parameters: Sequence[torch.Tensor]) -> None:
        """Measure the gradients of one step. Called on the training thread, just before the optimizer uses them."""
        if not self._closed:
            self._guarded(self._measure, parameters)
            self.step += 1

    def report(self, problem: str) -> None:
        """Count a problem; the first one is warned about."""
        self.problems += 1
        if self.problems > 1:
            _log.debug("%s", problem)
            return
        text = (
            f"tb_gradhealth: {problem}. Training goes on; further problems are only counted "
            "(optimizer.gradhealth.problems)"
        )
        try:
            warnings.warn(text, GradHealthWarning, stacklevel=2)
        except GradHealthWarning:  # warnings turned into errors must not reach the loop
            _log.warning("%s", text)

    def _guarded(self, action: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            action(*args, **kwargs)
        except Exception as error:
            self.report(f"{type(error).__name__}: {error}")

    def _measure(self, parameters: Sequence[torch.Tensor]) -> None:
        session = self._session
        if session is None or not session.covers(parameters):
            self._end_session()
            session = self._session = self._begin_session()
        session.measure(self.step, parameters)

    def _log(self, values: dict[str, float | torch.Tensor]) -> None:
        if self._closed:
            return
        if self._session is None:
            self._session = self._begin_session()
        for name, value in values.items():
            self._session.log(name, value)

    def _begin_session(self) -> _Session:
        return _Session(self, self._parameters())

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None and session.pid == os.getpid():
            session.close()


class _Session:
    """One unchanging set of parameters in one process: a ring, an encoder, a place on the step axis."""

    def __init__(self, monitor: Monitor, parameters: list[tuple[str, torch.Tensor]]) -> None:
        self.pid = os.getpid()
        self._monitor = monitor
        self._every = monitor._every
        self._parameters = [parameter for _, parameter in parameters]
        self._slots = min(self._every, RING_SLOTS)
        self._ring = StepRing(len(parameters), self._slots, monitor._near_zero)
        self._first, self._filled = monitor.step, 0
        self._logged: list[tuple[str, float | Callable[[], float]]] = []
        tree = nodes.build([name for name, _ in parameters])
        schema = _schema(monitor, tree, parameters)
        sink = make_sink(monitor._directory, monitor._summary_writer, schema.session)
        self._encoder = Encoder(sink, schema, RowBuilder(tree, monitor._metrics, self._every), monitor.report)
        self._named: set[int] = set()

    def covers(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Whether ``parameters`` are the very ones of this session, and the process is the one that began it."""
        same = len(parameters) == len(self._parameters) and all(map(operator.is_, parameters, self._parameters))
        return same and self.pid == os.getpid()

    def measure(self, step: int, parameters: Sequence[torch.Tensor]) -> None:
        # Handed over only when the next step begins, so that what is logged after step() still joins its own step.
        # A step that could not be measured leaves a gap; what follows is then a block of its own.
        gap = step != self._first + self._filled
        if self._filled and (self._filled == self._slots or step % self._every == 0 or gap):
            self._hand_over()
        if self._filled == 0:
            self._first = step
        self._ring.measure(self._filled, [parameter.grad for parameter in parameters])
        self._filled += 1
        if len(self._ring.unmeasured) > len(self._named):
            self._name_unmeasured()

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
        if self._filled:
            self._hand_over()
        self._encoder.close(CLOSE_SECONDS)

    def _hand_over(self) -> None:
        block = Block(self._first, self._ring.take(self._filled), self._logged)
        self._filled, self._logged = 0, []
        self._encoder.submit(block)

    def _name_unmeasured(self) -> None:
        new = {index: reason for index, reason in self._ring.unmeasured.items() if index not in self._named}
        self._named.update(new)
        names = [name for name, _ in self._monitor._parameters()]
        index, reason = next(iter(new.items()))
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        self._monitor.report(f"the gradient of {names[index]}{more} is not measured: {reason}")


def _schema(monitor: Monitor, tree: nodes.Tree, parameters: Sequence[tuple[str, torch.Tensor]]) -> Schema:
    tensors = dict(parameters)
    infos = [
        NodeInfo(name, kind, tuple(tensors[name].shape), str(tensors[name].dtype).removeprefix("torch."))
        if kind == "tensor"
        else NodeInfo(name, kind)
        for name, kind in zip(tree.names, tree.kinds, strict=True)
    ]
    return Schema(
        session=uuid.uuid4().hex[:16],
        stream="gradients",
        label="Gradients (applied)",
        wall_time=time.time(),
        start_step=monitor.step,
        every=monitor._every,
        near_zero=monitor._near_zero,
        counts=COUNTS,
        metrics=tuple(
            MetricInfo(m.name, m.label, m.unit, m.kind, m.scale, m.over, m.meaning) for m in monitor._metrics
        ),
        nodes=tuple(infos),
    )
