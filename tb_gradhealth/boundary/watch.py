"""The hooks on one optimizer: which gradients it consumes, at which attempt, and what became of the attempt."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch._compile import _disable_dynamo
from torch.amp.grad_scaler import GradScaler, OptState
from torch.optim import Optimizer
from torch.optim import optimizer as optimizers

from ..store.blocks import Number, Outcome
from . import amp, gradients
from .attempt import Attempt, guarded
from .names import Named, Names
from .stack import initialises_state, steps_on_the_stack

if TYPE_CHECKING:
    from ..monitor import Monitor

APPLIED, UNCLIPPED = "gradients", "unclipped"

_GLOBAL_PRE_HOOKS = optimizers._global_optimizer_pre_hooks


class Watch:
    """One optimizer among those of a monitor. Holds it weakly: a forgotten optimizer is freed."""

    def __init__(self, optimizer: Optimizer, names: Names, monitor: Monitor) -> None:
        self.monitor = monitor
        self.prefix = names.prefix
        self._owner = weakref.ref(optimizer)
        self._names = names
        self._depth = 0
        self._evaluated = False  # a closure has been, whose first evaluation is the step's
        self._attempt: Attempt | None = None
        self._scaler: weakref.ref[GradScaler] | None = None
        # Versions of the gradients that zero_grad left, [] if it left none; None when there was a step since.
        self._zeroed: gradients.Versions | None = None
        self._made = 0  # steps that there were then, of any optimizer
        self.after_zero_grad()
        if self._zeroed:
            self._zeroed = None  # gradients from before us: who knows what became of them
        self._hang(optimizer)
        self._finalizer = weakref.finalize(optimizer, _gone, monitor, self)

    def _hang(self, optimizer: Optimizer) -> None:
        self._handles = [
            Optimizer.register_step_pre_hook(optimizer, self._before_step),
            Optimizer.register_step_post_hook(optimizer, self._after_step),
        ]

    def keep_last(self, optimizer: Any) -> None:
        """Our hook sees what the others leave."""
        hooks = optimizer._optimizer_step_pre_hooks
        if self._handles[0].id in hooks:
            hooks.move_to_end(self._handles[0].id)

    @guarded
    def check_hooks(self) -> None:
        """Hang the hooks again when somebody removed them."""
        optimizer: Any = self._owner()
        if optimizer is None or self._handles[0].id in optimizer._optimizer_step_pre_hooks:
            return
        for handle in self._handles:
            handle.remove()
        self._hang(optimizer)
        self.monitor.report(
            "the writer's step hook was removed from the optimizer, so steps were not seen; it is back now "
            "(optimizer.gradhealth.close() is the way to stop)"
        )

    def release(self) -> Any:
        """Unhook; returns the optimizer, if it is still there."""
        for handle in self._handles:
            handle.remove()
        self._finalizer.detach()
        return self._owner()

    def groups(self) -> list[dict[str, Any]]:
        """The optimizer's groups of parameters; none when it is gone."""
        optimizer = self._owner()
        return [] if optimizer is None else optimizer.__dict__["param_groups"]

    def parameters(self) -> list[torch.Tensor]:
        """The optimizer's parameters in its own order."""
        return [parameter for group in self.groups() for parameter in group["params"]]

    def named(self) -> list[Named]:
        return self._names.of(self.groups())

    # An attempt begins with whatever looks at the gradients first, and ends with the optimizer's step, or without.

    def _begin(self) -> Attempt:
        attempt = self._attempt
        if attempt is not None and not self.monitor.is_current(attempt.step):
            attempt = None  # the others went on without it
        if attempt is None:
            attempt = self._attempt = Attempt(self.monitor.begin(self), gradients.first_dense(self.parameters()))
        return attempt

    def _end(self, outcome: Outcome, found_inf: torch.Tensor | None = None) -> None:
        attempt, self._attempt, self._zeroed = self._attempt, None, None
        if attempt is None:
            return
        if attempt.scale is None and outcome == "step":
            self._scaler = None  # the loop does without it
            if attempt.guessed:
                self.monitor.forget(self, UNCLIPPED)
            return
        scale = None if attempt.scale is None else _number(attempt.scale)
        infinite = 0.0 if found_inf is None else _number(found_inf.detach().clone())
        self.monitor.attempted(self, attempt.step, outcome, scale, infinite)

    @guarded
    def settle(self, dropped: bool = False) -> None:
        """An attempt that GradScaler.step was entered for, and no step came of, was skipped. With ``dropped`` also one
        that was only looked at is over."""
        attempt = self._attempt
        if attempt is None or self._inside_step():
            return
        if attempt.stepping:
            self._end("skipped")
        elif dropped and self.monitor.retract(self, attempt.step):
            self._attempt = self._zeroed = None
        elif dropped:
            self._end("not_stepped")

    def _settle_unless_same(self) -> None:
        """An attempt at gradients that are gone was dropped, by whatever means."""
        attempt = self._attempt
        if attempt is not None and attempt.looked_at is not None and attempt.looked_at() is None:
            self.settle(dropped=True)

    def start_over(self) -> None:
        """Whatever had begun does not count."""
        self._attempt = self._zeroed = None

    @guarded
    def scaler_unscales(self, scaler: GradScaler, inverse_scale: torch.Tensor) -> None:
        """``scaler.unscale_(optimizer)`` was called: what comes next may be clipping, which smears a NaN over all."""
        if self._stage(scaler) is not OptState.READY or scaler._scale is None or self._is_no_attempt():
            return
        self._scaler = weakref.ref(scaler)
        self.settle(dropped=True)
        attempt = self._begin()
        attempt.scale, attempt.unclipped = scaler._scale.clone(), True
        self.monitor.measure(self, UNCLIPPED, inverse_scale)

    @guarded
    def scaler_steps(self, scaler: GradScaler, by_itself: bool) -> None:
        """``scaler.step(optimizer)`` was called. An optimizer that unscales ``by_itself`` always gets to its step."""
        stage = self._stage(scaler)
        if stage is OptState.STEPPED or scaler._scale is None or self._is_no_attempt():  # the first: it will raise
            return
        self._scaler = weakref.ref(scaler)
        lingering = self._attempt is not None and self._attempt.scale is not None and stage is OptState.READY
        if lingering or (self._attempt is not None and self._attempt.stepping):
            self.settle(dropped=True)
        self._settle_unless_same()
        attempt = self._begin()
        attempt.scale, attempt.stepping = scaler._scale.clone(), True
        if stage is OptState.READY and not by_itself:
            self.monitor.measure(self, APPLIED, amp.inverse(scaler._scale))
            attempt.applied = True

    def _stage(self, scaler: GradScaler) -> OptState:
        return amp.stage(scaler, self._owner())

    @guarded
    def before_clip(self) -> None:
        """The gradients are about to be clipped."""
        if self._is_no_attempt():
            return
        self._settle_unless_same()
        attempt = self._begin()
        if not attempt.unclipped:
            inverse = self.inverse_scale()
            attempt.unclipped, attempt.guessed = True, inverse is not None
            self.monitor.measure(self, UNCLIPPED, inverse)

    @guarded
    def before_own_clip(self) -> bool:
        """We are about to clip the gradients: measures them once for the norm and for both streams.

        False where that is not their norm: where they are still loss-scaled, or other ranks hold parts of them.
        """
        self._settle_unless_same()
        if self._is_no_attempt():
            return False
        attempt = self._begin()
        attempt.applied, attempt.left = False, None
        if self.inverse_scale() is not None or not self.monitor.holds_whole(self):
            return False
        self.monitor.measure(self, APPLIED, None)
        if not attempt.unclipped:
            attempt.unclipped = True
            self.monitor.copy(self, UNCLIPPED, APPLIED)
        self.monitor.forget(self, APPLIED)  # until a step applies them
        return True

    @guarded
    def after_own_clip(self) -> None:
        """We clipped the gradients, and measured what became of them: a step that finds them so need not."""
        self.monitor.forget(self, APPLIED)
        if self._attempt is not None:
            self._attempt.left = gradients.marks(self.parameters())

    def loss_scale(self) -> torch.Tensor | None:
        """What a loss is multiplied with before its backward pass, as far as a scaler was seen."""
        scaler = None if self._scaler is None else self._scaler()
        return None if scaler is None else scaler._scale

    def inverse_scale(self) -> torch.Tensor | None:
        """What the gradients must be multiplied with now: nothing once the scaler has unscaled them."""
        scaler = None if self._scaler is None else self._scaler()
        if scaler is None or scaler._scale is None or self._stage(scaler) is not OptState.READY:
            return None
        return amp.inverse(scaler._scale)

    @guarded
    def before_zero_grad(self) -> None:
        """Gradients that come here without a step since the last ``zero_grad`` are dropped. Where another optimizer
        stepped meanwhile they are by-products of its backward pass, as a generator's leaves some in a discriminator."""
        if self._inside_step() or is_capturing():  # a closure's, or one of each replay
            return
        self.check_hooks()
        if self._attempt is not None:
            self.settle(dropped=True)
        elif self._zeroed is not None and self._made == self.monitor.made and self._written_since(self._zeroed):
            self.monitor.drop(self, self.inverse_scale())

    @guarded
    def after_zero_grad(self) -> None:
        if not self._inside_step() and not is_capturing():
            parameters = self.parameters()
            self._zeroed = gradients.versions(parameters) if gradients.any_present(parameters) else []
            self._made = self.monitor.made

    def _written_since(self, versions: gradients.Versions) -> bool:
        parameters = self.parameters()
        return gradients.versions(parameters) != versions if versions else gradients.any_present(parameters)

    @_disable_dynamo
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        if self._depth and steps_on_the_stack(optimizer) < 2:
            self._depth = 0  # an earlier step raised, so its post hook never ran
        self._depth += 1
        if self._depth > 1:  # a subclass whose step() calls super().step() fires the hooks twice
            return None
        self._evaluated = False
        if initialises_state(optimizer):
            self._zeroed = None
            return None
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            self._step(optimizer)
            return None
        # With a closure the gradients exist only after it ran; the first evaluation is the step's.
        pending = [True]

        def measured(*closure_args: Any, **closure_kwargs: Any) -> Any:
            loss = closure(*closure_args, **closure_kwargs)
            if pending:
                pending.clear()
                self._step(optimizer)
                self._evaluated = True
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": measured}
        return (args[0], measured, *args[2:]), kwargs

    @_disable_dynamo
    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._depth:
            self.check_hooks()
            return
        self._depth -= 1
        if not self._depth and not is_capturing():
            self.monitor.after_step(self, optimizer)
            self.monitor.stepped(self)

    @guarded
    def replayed(self) -> None:
        """A CUDA graph was replayed in which a step of ours was captured."""
        self.settle()
        self._begin()
        self.monitor.replay(self)
        self._end("step")

    @guarded
    def _step(self, optimizer: Any) -> None:
        if is_capturing():
            self._zeroed = None
            self.monitor.capture(self)
            return
        self._settle_unless_same()
        if self._attempt is None and self.inverse_scale() is not None:
            self._scaler = None  # nobody asked it, so the loop does without it now
        attempt = self._begin()
        # GradScaler sets these two on optimizers that unscale and skip inside their own step.
        grad_scale, found_inf = optimizer.__dict__.get("grad_scale"), optimizer.__dict__.get("found_inf")
        if isinstance(found_inf, torch.Tensor):
            scaled = isinstance(grad_scale, torch.Tensor)
            self.monitor.measure(self, APPLIED, amp.inverse(grad_scale) if scaled else None)
            if attempt.scale is None and scaled:
                attempt.scale = grad_scale.clone()
            self._end("step", found_inf)
            self.monitor.before_step(self, optimizer)
            return
        touched = _GLOBAL_PRE_HOOKS or len(optimizer._optimizer_step_pre_hooks) > 1
        if not touched and attempt.left is not None and gradients.unchanged(self.parameters(), attempt.left):
            self.monitor.confirm(self, APPLIED)
        elif touched or not attempt.applied:
            self.monitor.measure(self, APPLIED, None)
        self._end("step")
        self.monitor.before_step(self, optimizer)

    def _is_no_attempt(self) -> bool:
        """Whether a look at the gradients belongs to a later evaluation of a closure. Raises inside a capture."""
        if is_capturing():
            raise RuntimeError("in a CUDA graph that is being captured only the optimizer's step can be measured")
        return self._evaluated and self._inside_step()

    @property
    def reevaluates(self) -> bool:
        """Whether the optimizer calls its closure again within a step, which the first evaluation stood for."""
        return self._evaluated and self._inside_step()

    def _inside_step(self) -> bool:
        if self._depth and not steps_on_the_stack(self._owner()):
            self._depth = 0  # that step raised, so its post hook never ran
        return bool(self._depth)


def is_capturing() -> bool:
    """Whether the current stream's work goes into a CUDA graph instead of to the device."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def _number(value: torch.Tensor) -> Number:
    """On a device it is read by the writer's thread, so the training thread never waits."""
    return float(value) if value.device.type == "cpu" else lambda: float(value)


def _gone(monitor: Monitor, watch: Watch) -> None:
    """The optimizer was collected, wherever the garbage collector ran: in a thread of ours, that could not wait for
    itself."""
    if threading.current_thread().name.startswith("gradhealth-"):
        threading.Thread(target=monitor.leave, args=(watch,), name="gradhealth-close").start()
    else:
        monitor.leave(watch)
