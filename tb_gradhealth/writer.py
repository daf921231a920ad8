"""``GradHealthWriter``: the optimizer boundary.

The optimizer's class is swapped in place for a subclass of the same name (as torch's own ``fully_shard`` does with
modules), and measuring hangs on the instance's own step hook. So ``isinstance``, schedulers, ``state_dict``, closures,
``torch.compile`` and every library that holds the object see the optimizer they know.
"""

from __future__ import annotations

import copyreg
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from .boundary import amp, options
from .boundary.names import Names
from .boundary.watch import Watch
from .findings import Finding
from .monitor import Monitor
from .streams.activations import Activations

_KEY = "_gradhealth"
_BASE = "_gradhealth_base"
_classes: dict[type, type] = {}


class GradHealthWriter(Optimizer):
    """Watch the gradients that ``optimizer`` consumes, at every step; returns the same optimizer.

    ``GradHealthWriter(optimizer, model, logdir="runs/exp1")`` writes below ``runs/exp1/gradhealth``. Parameters are
    named by ``model.named_parameters()``; those that the model does not have, ``group0.param3``. Afterwards
    ``optimizer.gradhealth`` offers ``log(loss=…)``, ``step``, ``findings``, ``problems``, ``clip_grad_norm_()``,
    ``dead_units()``, ``state_dict()`` and ``close()``; closing also happens at exit and at the end of a ``with`` block,
    and gives the optimizer its own class back.

    Args:
        optimizer: the object whose ``step()`` the loop calls.
        model: where names come from.
        logdir: the run's local directory; ``runs/<time>_<host>`` when neither this nor ``summary_writer`` is given.
        summary_writer: write into the event file of this ``SummaryWriter`` instead.
        every: steps that a row covers, 10 by default. Each step is measured whatever this is.
        near_zero: |x| below this counts as near zero, in every stream; 1e-8 by default, for all dtypes.
        metrics: names of the metrics to write, all by default.
        start_step: number of the first step, for a run that continues.
        beside: another watched optimizer, to record both in one place on one step axis.
        prefix: put before the parameters' names, to tell this optimizer's from those of the one beside it.
        group: in a distributed run, the process group whose ranks record together; all ranks by default. Every one of
            them constructs the writer, the lowest writes.
        unclipped: also record the gradients as they are before ``torch.nn.utils.clip_grad_norm_`` and its kin; these
            functions are wrapped while the writer is open. ``optimizer.gradhealth.clip_grad_norm_()`` does without.
        streams: what to look at beside the gradients, at one step in each row: "weights" (before the step), "updates"
            (what the step adds to them, and its ratio to the weights; copies of up to 1 GiB of weights exist during
            that step), "moments" (the optimizer's state), "dead_rows" (output neurons whose whole gradient is near
            zero), "exponents" and "weight_exponents" (the histogram of log2 |x| of gradients and of weights, and what
            fp16, bf16 and FP8 would lose of them) and, in every tenth row, "spectrum" (effective rank of matrices); or
            "all" of it.
        activations: also look at what modules return, and at the gradients with respect to it, at one step in each row:
            "auto" (or True) for linear, convolution, attention, recurrent, norm and embedding layers and activation
            functions, or shell patterns on names of modules, such as ``["encoder.*", "*.mlp"]``. What runs inside
            ``torch.compile`` is not seen. In a distributed run that is what the lowest rank has.
        archive: rows at full resolution, in files of their own beside the event file: the newest of so many bytes
            (2**30 by default), ``"all"`` or ``"off"``. Without them a long run can be seen in overview only.
        event_bytes: what the event file may grow to, 2**25 by default, however long the run.
        diagnose: look for what is wrong with the training, on a thread; True by default. False, or settings: a TOML
            file or a mapping, as for ``gradhealth report``.
        on_finding: what is done on a finding, once for each phase of it and again when it gets graver: "log" (the
            default, to ``logging.getLogger("tb_gradhealth")``), "warn", a function that gets the finding, on that
            thread, "stop" (the ``step()`` that comes next is completed and raises ``TrainingStopped``, on critical
            ones), or a list of these. "stop:high" is for those that are high or graver. In a distributed run the rank
            that writes tells, and where it stops all do, behind the same step.

    Raises TypeError, ValueError or NotADirectoryError on wrong arguments, before anything is changed. After
    that nothing raises into the training loop: the first problem is warned about, all are counted.
    """

    def __new__(cls, optimizer: Any = None, *args: Any, **kwargs: Any) -> Any:
        if _BASE in cls.__dict__:  # type(watched)(params, …) makes a bare optimizer, as it would without us
            return cls.__dict__[_BASE](optimizer, *args, **kwargs)
        if hasattr(cls, _BASE):  # a class that somebody derived from type(watched)
            return object.__new__(cls)
        _check_optimizer(optimizer)
        names, monitor = _recording(optimizer, *args, **kwargs)
        base = type(optimizer)
        if base not in _classes:
            namespace = {
                _BASE: base,
                "__module__": base.__module__,
                "__qualname__": base.__qualname__,
                "__slots__": (),
                "zero_grad": _watched_zero_grad(base.zero_grad),
            }
            metaclass: Any = type(base)
            _classes[base] = metaclass(base.__name__, (GradHealthWriter, base), namespace)
        try:
            optimizer.__class__ = _classes[base]
        except TypeError as error:
            if not monitor.names:
                monitor.close()
            raise TypeError(f"optimizer: expected a class that can be extended in place, but {error}") from error
        optimizer.__dict__[_KEY] = watch = Watch(optimizer, names, monitor)
        monitor.join(watch)
        return optimizer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the optimizer was built before it came here, and running its own ``__init__`` would reset it."""
        if _BASE not in type(self).__dict__:  # a derived class's own instance, which is no watched one
            super().__init__(*args, **kwargs)

    @property
    def gradhealth(self) -> Monitor:
        """What is ours on the optimizer."""
        watch: Watch | None = self.__dict__.get(_KEY)
        if watch is None:  # LightningOptimizer then looks at the optimizer that it wraps
            raise AttributeError(
                f"this {type(self).__name__!r} object has no attribute 'gradhealth': it is not watched"
            )
        return watch.monitor

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As in Optimizer; our own hook stays the last, so that it sees what the others leave."""
        handle = super().register_step_pre_hook(hook)
        watch = self.__dict__.get(_KEY)
        if watch is not None:
            watch.keep_last(self)
        return handle

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """As the optimizer's own; a GradScaler that unscales the gradients asks for it."""
        watch = self.__dict__.get(_KEY)
        if watch is not None and not torch.compiler.is_compiling():
            found = amp.scaler_that_unscales(sys._getframe(1))
            if found is not None:
                watch.scaler_unscales(*found)
        groups = self.__dict__.get("param_groups")
        if groups is None:  # LightningOptimizer is of our class, but keeps its attributes elsewhere
            lookup = getattr(type(self), "__getattr__", None)
            if lookup is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute 'param_groups'")
            groups = lookup(self, "param_groups")
        found_groups: list[dict[str, Any]] = groups
        return found_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.__dict__["param_groups"] = groups

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """The optimizer's own answer; ``GradScaler.step`` asks for it first of all."""
        own = self.__dict__.get("_step_supports_amp_scaling")
        if own is None:
            own = getattr(type(self).__dict__.get(_BASE), "_step_supports_amp_scaling", None)
        watch = self.__dict__.get(_KEY)
        if watch is not None and not torch.compiler.is_compiling():
            scaler = amp.scaler_that_steps(sys._getframe(1))
            if scaler is not None:
                watch.scaler_steps(scaler, bool(own))
        if own is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute '_step_supports_amp_scaling'")
        return bool(own)

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, supports: bool) -> None:
        self.__dict__["_step_supports_amp_scaling"] = supports

    def __enter__(self) -> GradHealthWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        watch: Watch | None = self.__dict__.get(_KEY)
        if watch is not None:
            watch.monitor.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copies and pickles are bare optimizers: hooks, files and threads do not travel."""
        base = type(self).__dict__.get(_BASE)
        if base is None:
            return super().__reduce_ex__(protocol)
        state = self.__getstate__()
        return copyreg._reconstructor, (base, object, None), {k: v for k, v in state.items() if k != _KEY}  # type: ignore[attr-defined]


def _recording(
    optimizer: Optimizer,
    model: torch.nn.Module | None = None,
    logdir: str | Path | None = None,
    *,
    summary_writer: Any = None,
    every: int | None = None,
    near_zero: float | None = None,
    metrics: Sequence[str] | None = None,
    start_step: int | None = None,
    beside: Optimizer | None = None,
    prefix: str = "",
    group: Any = None,
    unclipped: bool = False,
    archive: str | int | bool | None = None,
    event_bytes: int | None = None,
    streams: Sequence[str] | None = None,
    activations: bool | str | Sequence[str] = False,
    diagnose: bool | str | Path | Mapping[str, Any] | None = None,
    on_finding: str | Callable[[Finding], object] | Sequence[str | Callable[[Finding], object]] | None = None,
) -> tuple[Names, Monitor]:
    """How ``optimizer``'s parameters are named, and where they are recorded. Raises on wrong arguments."""
    options.check_model(model, optimizer)
    options.check_prefix(prefix)
    names = Names(model, prefix)
    given = {
        "logdir": logdir,
        "summary_writer": summary_writer,
        "every": every,
        "near_zero": near_zero,
        "metrics": metrics,
        "start_step": start_step,
        "group": group,
        "unclipped": unclipped,
        "archive": archive,
        "event_bytes": event_bytes,
        "streams": streams,
        "activations": activations,
        "diagnose": diagnose,
        "on_finding": on_finding,
    }
    if beside is None:
        options.check_modules(activations, model)
        settings = options.settings(**given)
        monitor = Monitor(settings, _unhook)
        if settings.activations:
            how = settings.activations, settings.every, settings.near_zero
            monitor.watch_with(Activations(names, *how, monitor.report, monitor.reevaluates, monitor.loss_scale))
        return names, monitor
    options.check_alone(given)
    if not isinstance(beside, GradHealthWriter) or _KEY not in beside.__dict__:
        raise TypeError(
            f"beside: expected an optimizer that is watched and not closed, got {type(beside).__name__}: "
            "wrap that one first"
        )
    monitor = beside.gradhealth
    taken = [named.name for named in names.of(optimizer.param_groups) if named.name in monitor.names]
    if taken:
        raise ValueError(
            f"beside: expected parameters with names of their own, but {taken[0]!r} is in both: pass prefix= to tell "
            "them apart"
        )
    return names, monitor


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


def _unhook(watch: Watch) -> None:
    """Give an optimizer back as it was."""
    optimizer = watch.release()
    if optimizer is not None and optimizer.__dict__.pop(_KEY, None) is not None:
        optimizer.__class__ = type(optimizer).__dict__[_BASE]


def _watched_zero_grad(original: Callable[..., None]) -> Callable[..., None]:
    """``original`` with its own signature; gradients that no step was made with are noted before they go."""

    @functools.wraps(original)
    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> None:
        watch = self.__dict__.get(_KEY)
        if watch is None or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        watch.before_zero_grad()
        original(self, *args, **kwargs)
        watch.after_zero_grad()
        return None

    return zero_grad
