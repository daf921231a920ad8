"""``GradHealthWriter``: the optimizer boundary.

The optimizer's class is swapped in place for a subclass of the same name (as torch's own ``fully_shard`` does with
modules), and measuring hangs on the instance's own step hook. So ``isinstance``, schedulers, ``state_dict``, closures,
``torch.compile`` and every library that holds the object see the optimizer they know.
"""

from __future__ import annotations

import copyreg
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch._compile import _disable_dynamo
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import NEAR_ZERO

from .monitor import Monitor
from .sinks import check_summary_writer, event_directory
from .store.format import MAX_EVERY

_KEY = "_gradhealth"
_BASE = "_gradhealth_base"
_classes: dict[type, type] = {}


class GradHealthWriter(Optimizer):
    """Watch the gradients that ``optimizer`` consumes, at every step; returns the same optimizer.

    ``GradHealthWriter(optimizer, model, logdir="runs/exp1")`` writes below ``runs/exp1/gradhealth``. Parameters are
    named by ``model.named_parameters()``; those that the model does not have, ``group0.param3``. Afterwards
    ``optimizer.gradhealth`` offers ``log(loss=…)``, ``step``, ``problems``, ``state_dict()`` and ``close()``; closing
    also happens at exit and at the end of a ``with`` block, and gives the optimizer its own class back.

    Args:
        optimizer: the object whose ``step()`` the loop calls.
        model: where names come from.
        logdir: the run's local directory; ``runs/<time>_<host>`` when neither this nor ``summary_writer`` is given.
        summary_writer: write into the event file of this ``SummaryWriter`` instead.
        every: steps that a row covers. Each step is measured whatever this is.
        near_zero: |x| below this counts as near zero.
        metrics: names of the metrics to write, all by default.
        start_step: number of the first step, for a run that continues.

    Raises TypeError, ValueError or NotADirectoryError on wrong arguments, before anything is changed. After
    that nothing raises into the training loop: the first problem is warned about, all are counted.
    """

    def __new__(cls, optimizer: Any = None, *args: Any, **kwargs: Any) -> Any:
        if _BASE in cls.__dict__:  # type(watched)(params, …) makes a bare optimizer, as it would without us
            return cls.__dict__[_BASE](optimizer, *args, **kwargs)
        _check_optimizer(optimizer)
        options = _Options(optimizer, *args, **kwargs)
        base = type(optimizer)
        if base not in _classes:
            namespace = {_BASE: base, "__module__": base.__module__, "__qualname__": base.__qualname__, "__slots__": ()}
            metaclass: Any = type(base)
            _classes[base] = metaclass(base.__name__, (GradHealthWriter, base), namespace)
        try:
            optimizer.__class__ = _classes[base]
        except TypeError as error:
            raise TypeError(f"optimizer: expected a class that can be extended in place, but {error}") from error
        optimizer.__dict__[_KEY] = _Watch(optimizer, options)
        return optimizer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the optimizer was built before it came here, and running its own ``__init__`` would reset it."""

    @property
    def gradhealth(self) -> Monitor:
        """What is ours on the optimizer."""
        watch: _Watch = self.__dict__[_KEY]
        return watch.monitor

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As in Optimizer; our own hook stays the last, so that it sees what the others leave."""
        handle = super().register_step_pre_hook(hook)
        watch = self.__dict__.get(_KEY)
        if watch is not None:
            watch.keep_last(self)
        return handle

    def __enter__(self) -> GradHealthWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gradhealth.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copies and pickles are bare optimizers: hooks, files and threads do not travel."""
        base = type(self).__dict__[_BASE]
        state = self.__getstate__()
        return copyreg._reconstructor, (base, object, None), {k: v for k, v in state.items() if k != _KEY}  # type: ignore[attr-defined]


class _Options:
    """The checked arguments of :class:`GradHealthWriter`."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: torch.nn.Module | None = None,
        logdir: str | Path | None = None,
        *,
        summary_writer: Any = None,
        every: int = 10,
        near_zero: float = NEAR_ZERO,
        metrics: Sequence[str] | None = None,
        start_step: int = 0,
    ) -> None:
        if model is not None and not isinstance(model, torch.nn.Module):
            raise TypeError(
                f"model: expected a torch.nn.Module, got {type(model).__name__}: pass the model, or leave it out"
            )
        if isinstance(every, bool) or not isinstance(every, int) or not 1 <= every < MAX_EVERY:
            raise ValueError(f"every: expected a number of steps, 1 or more, got {every!r}: 10 is the default")
        if isinstance(start_step, bool) or not isinstance(start_step, int) or start_step < 0:
            raise ValueError(f"start_step: expected a step number, 0 or more, got {start_step!r}")
        if not isinstance(near_zero, (int, float)) or not 0 < near_zero < float("inf"):
            raise ValueError(f"near_zero: expected a finite threshold above 0, got {near_zero!r}: 1e-8 is the default")
        if summary_writer is not None and logdir is not None:
            raise ValueError("expected logdir= or summary_writer=, got both: they are two places for the same rows")
        self.names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
        own = [p for group in optimizer.param_groups for p in group["params"]]
        if model is not None and not any(id(p) in self.names for p in own):
            raise ValueError(
                f"model: none of the optimizer's {len(own)} parameters belongs to this {type(model).__name__}: "
                "pass the model that the optimizer was built for (and build the optimizer after moving or wrapping it)"
            )
        self.metrics = select(metrics)
        self.directory: Path | None = None
        if summary_writer is not None:
            check_summary_writer(summary_writer)
        else:
            self.directory = event_directory(logdir)
        self.summary_writer, self.every = summary_writer, every
        self.near_zero, self.start_step = float(near_zero), start_step


def _check_optimizer(optimizer: Any) -> None:
    if isinstance(optimizer, GradHealthWriter):
        raise ValueError(
            "optimizer: this one is watched already: wrap it once, or close it first (optimizer.gradhealth.close())"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer: expected a torch.optim.Optimizer, got {type(optimizer).__name__}: "
            "pass the object whose step() you call"
        )
    if "_optimizer_step_pre_hooks" not in optimizer.__dict__:
        raise TypeError(
            f"optimizer: {type(optimizer).__name__} has no step hooks of its own: watch the optimizer that it wraps"
        )


class _Watch:
    """The hook on one optimizer. Holds it weakly: a forgotten optimizer is freed, and its rows are written then."""

    def __init__(self, optimizer: Optimizer, options: _Options) -> None:
        self._owner = weakref.ref(optimizer)
        self._names = options.names
        self._depth = 0
        self.monitor = Monitor(
            self._parameters,
            options.directory,
            options.summary_writer,
            options.every,
            options.near_zero,
            options.start_step,
            options.metrics,
            self._release,
        )
        self._handles = [
            Optimizer.register_step_pre_hook(optimizer, self._before_step),
            Optimizer.register_step_post_hook(optimizer, self._after_step),
        ]
        weakref.finalize(optimizer, self.monitor.close)

    def keep_last(self, optimizer: Any) -> None:
        optimizer._optimizer_step_pre_hooks.move_to_end(self._handles[0].id)

    def _release(self) -> None:
        """Give the optimizer back as it was."""
        for handle in self._handles:
            handle.remove()
        optimizer: Any = self._owner()
        if optimizer is not None and optimizer.__dict__.pop(_KEY, None) is not None:
            optimizer.__class__ = type(optimizer).__dict__[_BASE]

    def _parameters(self) -> list[tuple[str, torch.Tensor]]:
        """The optimizer's parameters by name, in its own order."""
        optimizer = self._owner()
        groups = [] if optimizer is None else optimizer.param_groups
        return [
            (self._names.get(id(parameter), f"group{g}.param{i}"), parameter)
            for g, group in enumerate(groups)
            for i, parameter in enumerate(group["params"])
        ]

    def _measure(self, optimizer: Optimizer) -> None:
        self.monitor.measure([parameter for group in optimizer.param_groups for parameter in group["params"]])

    @_disable_dynamo
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        if self._depth and not _inside_step(optimizer):
            self._depth = 0  # an earlier step raised, so its post hook never ran
        self._depth += 1
        if self._depth > 1:  # a subclass whose step() calls super().step() fires the hooks twice
            return None
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            self._measure(optimizer)
            return None
        # With a closure the gradients exist only after it ran; the first evaluation is the step's.
        pending = [True]

        def measured(*closure_args: Any, **closure_kwargs: Any) -> Any:
            loss = closure(*closure_args, **closure_kwargs)
            if pending:
                pending.clear()
                self._measure(optimizer)
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": measured}
        return (args[0], measured, *args[2:]), kwargs

    @_disable_dynamo
    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._depth -= 1


_HOOKED_STEP = Optimizer.profile_hook_step(lambda self: None).__code__


def _inside_step(optimizer: Any) -> bool:
    """Whether ``optimizer.step`` is on the call stack more than once."""
    frame, calls = sys._getframe(2), 0
    while frame is not None:
        if frame.f_code is _HOOKED_STEP and (frame.f_locals.get("self") or frame.f_locals["args"][0]) is optimizer:
            calls += 1
        frame = frame.f_back  # type: ignore[assignment]
    return calls > 1
