"""The step axis of the optimizers that are recorded together, and one session after the other on it.

Nothing here raises into a training loop, waits for a device, or touches a gradient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
from torch.optim import Optimizer

from .boundary import clipping
from .boundary.options import Settings
from .boundary.watch import Watch
from .findings import Finding
from .live.actions import Alarm, TrainingStopped
from .live.board import Board
from .live.stopping import Stopping
from .problems import Guard
from .ranks import Membership
from .rates import Rates
from .session import Session
from .store.blocks import Number, Outcome
from .streams.observation import Observation, Observer


class StepAxis(Guard):
    """What watches of one optimizer or more call, on the training thread.

    :attr:`step` is the number of the next step. A step is an attempt of an optimizer; the axis moves on when an
    optimizer begins its second attempt within a step. So two that take turns share each step, and one that steps more
    often than another sets the pace.
    """

    def __init__(self, settings: Settings, unhook: Callable[[Watch], None]) -> None:
        super().__init__()
        self.step = settings.start_step
        self._settings, self._unhook = settings, unhook
        self._watches: list[Watch] = []
        self._observers: list[Observer] = []
        self._rates = Rates(settings.every)
        self._attempting: set[Watch] = set()  # in the current step
        self._stepped: set[Watch] = set()  # in the current step
        self._pace: set[Watch] = set()  # that stepped in the one before
        #: Steps that optimizers made so far.
        self.made = 0
        self._session: Session | None = None
        self._retired: list[Session] = []  # that still write
        alarm = Alarm(settings.on_finding, self.report)
        self._board = Board(alarm, Stopping(alarm, lambda: Membership.of(settings.group) is None))
        self._closed = False
        #: Names of all parameters that are recorded.
        self.names: set[str] = set()
        if settings.unclipped:
            clipping.observe(self._before_clip)

    def close(self) -> None:
        """Write what is pending and stop; safe to call twice, and in a forked child does nothing."""
        if self._closed:
            return
        for watch in self._watches:
            watch.check_hooks()
            watch.settle(dropped=True)
        self._closed = True
        self._guarded(self._end_session)
        for session in self._retired:
            self._guarded(session.join)
        clipping.forget(self._before_clip)
        for observer in self._observers:
            self._guarded(observer.close)
        for watch in self._watches:
            self._guarded(self._unhook, watch)

    def join(self, watch: Watch) -> None:
        """One more optimizer on the step axis."""
        self._watches.append(watch)
        self.names.update(named.name for named in watch.named())

    def leave(self, watch: Watch) -> None:
        """The optimizer is gone; with the last one, recording ends."""
        if self._watches == [watch]:
            self.close()
        elif watch in self._watches:
            self._watches.remove(watch)
            self._stepped.discard(watch)
            self._pace.discard(watch)

    def begin(self, watch: Watch) -> int:
        """An attempt of ``watch`` begins; returns its step."""
        if self._closed:
            return self.step
        alone = self._session is not None and not self._session.knows(watch)  # it came within a step
        if not self._attempting or watch in self._attempting or alone:
            for other in self._watches:
                other.settle()
            self._attempting = set()
            self._pace, self._stepped = self._stepped or self._pace, set()
            self.step += 1
            self._guarded(self._begin, self.step - 1)
            self._guarded(self._observe, self.step - 1)
        self._attempting.add(watch)
        return self.step - 1

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the diagnosis has found so far, worst first; some rows behind the training. In a distributed run the
        rank that writes has them."""
        return self._board.findings

    def stepped(self, watch: Watch) -> None:
        """The optimizer's step is over. The training's is, once all have stepped that did in the one before: only then
        it may be stopped."""
        self._stepped.add(watch)
        if self._stepped >= self._pace:
            self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Between two steps: raises TrainingStopped where ``on_finding`` says so, on all ranks, once for a finding."""
        finding = None if self._closed else self._board.stopping.due(self.step - 1)
        if finding is not None:
            raise TrainingStopped(finding)

    def is_current(self, step: int) -> bool:
        """Whether ``step`` is the one that attempts are in now."""
        return bool(self._attempting) and step == self.step - 1

    def measure(self, watch: Watch, stream: str, inverse_scale: torch.Tensor | None) -> None:
        """Measure the gradients as they are now, times ``inverse_scale``, in the current step."""
        if not self._closed:
            self._guarded(self._measure, watch, stream, inverse_scale)

    def before_step(self, watch: Watch, optimizer: Optimizer) -> None:
        """The optimizer is about to write to its parameters, in the current step."""
        self.made += 1
        session = self._current_session()
        if not self._closed and session is not None and session.knows(watch):
            self._guarded(self._log_rates, watch, session)
            self._guarded(session.before_step, watch, self.step - 1, optimizer)

    def after_step(self, watch: Watch, optimizer: Optimizer) -> None:
        """It has written to them."""
        session = self._current_session()
        if not self._closed and session is not None and session.knows(watch):
            self._guarded(session.after_step, watch, optimizer)

    def attempted(
        self, watch: Watch, step: int, outcome: Outcome, loss_scale: Number | None, found_inf: Number
    ) -> None:
        """What became of an attempt."""
        if self._session is not None:
            self._guarded(self._session.attempted, watch, step, outcome, loss_scale, found_inf)

    def retract(self, watch: Watch, step: int) -> bool:
        """Take back the step that ``watch`` began, where it is the current one and no other optimizer is in it."""
        session = self._session
        if self._attempting != {watch} or step != self.step - 1 or session is None or session.pid != os.getpid():
            return False
        self._attempting = set()
        self.step = step
        self._guarded(session.retract)
        self._arm()
        return True

    def capture(self, watch: Watch) -> None:
        """A step of ``watch`` is being captured into a CUDA graph."""
        self._guarded(self._capture, watch)

    def replay(self, watch: Watch) -> None:
        """The current step of ``watch`` was a replay."""
        self.made += 1
        if not self._closed and self._session is not None:
            self._guarded(self._log_rates, watch, self._session)
            self._guarded(self._session.replayed, watch)

    def holds_whole(self, watch: Watch) -> bool:
        """Whether this process has all elements of the gradients."""
        return self._session is not None and self._session.holds_whole(watch)

    def copy(self, watch: Watch, stream: str, source: str) -> None:
        """What was measured of ``source`` at the current step is what ``stream`` has there, too."""
        if self._session is not None:
            self._guarded(self._session.copy, watch, stream, source)

    def forget(self, watch: Watch, stream: str) -> None:
        """What was measured of ``stream`` at the current step does not count, unless it is confirmed."""
        if self._session is not None:
            self._guarded(self._session.forget, watch, stream)

    def confirm(self, watch: Watch, stream: str) -> None:
        """What was last measured of ``stream`` at the current step counts after all."""
        if self._session is not None:
            self._guarded(self._session.confirm, watch, stream)

    def drop(self, watch: Watch, inverse_scale: torch.Tensor | None) -> None:
        """``zero_grad`` is about to drop gradients that no step was made with."""
        if not self._closed:
            self._guarded(self._drop, watch, inverse_scale)

    def loss_scale(self) -> torch.Tensor | None:
        """What a loss is multiplied with before its backward pass; None where no scaler is in use."""
        return next((one for one in (watch.loss_scale() for watch in self._watches) if one is not None), None)

    def reevaluates(self) -> bool:
        """Whether an optimizer calls its closure again within a step: that belongs to none."""
        return any(watch.reevaluates for watch in self._watches)

    def watch_with(self, observer: Observer) -> None:
        """One more observer of what happens between steps, until :meth:`close`."""
        self._observers.append(observer)
        self._guarded(observer.arm, self.step)

    def _current(self, step: int) -> Session:
        """The session, a new one if the parameters changed since; raises what building one raises."""
        if self._session is None or not self._session.covers(self._watches):
            self._end_session()
            self._session = Session(self._settings, step, self._watches, self._board, self.report)
        return self._session

    def _current_session(self) -> Session | None:
        """The session of the current step, in the process that began it."""
        session = self._session
        return session if session is not None and session.pid == os.getpid() else None

    def _begin(self, step: int) -> None:
        self._current(step).begin(step)

    def _end_session(self) -> None:
        """Training does not wait for what the old session still has to write."""
        session, self._session = self._session, None
        self._attempting = set()
        if session is not None and session.pid == os.getpid():
            self._retired = [*(one for one in self._retired if not one.is_written()), session]
            session.close()

    def _observe(self, step: int) -> None:
        """What observers saw belongs to ``step``; from now on they look at what belongs to the next one."""
        seen = [one for observer in self._observers for one in self._guarded(_taken, observer) or ()]
        session = self._current_session()
        if seen and session is not None and self._is_lowest():
            if not session.fits(seen) and Membership.of(self._settings.group) is not None:
                # The other ranks would have to begin a new session as well, and know nothing of it.
                seen = [one for one in seen if session.fits([one])]
                self.report(
                    "observe(): a name or head came that was not there at the first look, so its stream is recorded no "
                    "more: in a distributed run give all of them from the first step on"
                )
            elif not session.fits(seen):
                self._end_session()
                session = self._current(step)
                session.begin(step)
            session.observe(seen)
        self._arm()

    def _arm(self) -> None:
        for observer in self._observers:
            self._guarded(observer.arm, self.step)

    def _is_lowest(self) -> bool:
        me = Membership.of(self._settings.group)
        return me is None or me.place == 0

    def _measure(self, watch: Watch, stream: str, inverse_scale: torch.Tensor | None) -> None:
        session = self._current_session()
        if session is None:
            return  # it could not begin, and said so
        try:
            session.measure(watch, stream, inverse_scale)
        except Exception:
            session.abandon()
            raise

    def _capture(self, watch: Watch) -> None:
        if self._session is None or not self._session.capture(watch):
            raise RuntimeError(
                "a step is being captured into a CUDA graph, whose replays will not be measured: its gradients must "
                "lie where the steps before saw them, so call zero_grad(set_to_none=False) and warm up for four steps"
            )

    def _drop(self, watch: Watch, inverse_scale: torch.Tensor | None) -> None:
        self._attempting = set()  # the step under way is handed over: whoever comes next begins a new one
        self._current(self.step).drop(watch, self.step, inverse_scale)

    def _log_rates(self, watch: Watch, session: Session) -> None:
        if not self._rates.theirs:
            alone = len(self._watches) == 1
            name = "" if alone else watch.prefix or f"optimizer{self._watches.index(watch)}"
            session.log_rates(self._rates.of(name, watch.groups(), self.step - 1))

    def _before_clip(self, parameters: Sequence[torch.Tensor]) -> None:
        clipped = {id(parameter) for parameter in parameters}
        for watch in self._watches:
            if any(id(parameter) in clipped for parameter in watch.parameters()):
                self._guarded(self._unclipped, watch)

    def _unclipped(self, watch: Watch) -> None:
        if any(parameter.grad is not None for parameter in watch.parameters()):
            watch.before_clip()
            if self._session is not None:
                self._session.show_unclipped()


def _taken(observer: Observer) -> list[Observation]:
    return list(observer.take())
