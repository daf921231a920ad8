"""What ``optimizer.gradhealth`` offers.

Nothing here raises into a training loop, waits for a device unless its docstring says so, or touches a gradient except
to clip it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch._compile import _disable_dynamo

from .axis import StepAxis
from .boundary import one_read
from .boundary.options import Settings
from .boundary.watch import Watch, is_capturing
from .problems import GradHealthWarning
from .rates import is_rate
from .streams.activations import Activations
from .streams.dead_rows import DeadRows
from .streams.given import Given

__all__ = ["GradHealthWarning", "Monitor"]


class Monitor(StepAxis):
    """Records the gradients of one optimizer, or of several beside each other, on one step axis."""

    def __init__(self, settings: Settings, unhook: Callable[[Watch], None]) -> None:
        super().__init__(settings, unhook)
        self._given: Given | None = None

    @_disable_dynamo
    def log(self, **values: float | torch.Tensor) -> None:
        """Add scalars of the current step, such as ``loss=`` and ``val_loss=``; a tensor must hold one element.

        The learning rate is read from the optimizer, unless ``lr=`` is logged here, and the loss scale from a
        GradScaler.
        Called after ``step()`` they belong to the step just made. A tensor on a device is copied, not waited for. In a
        distributed run those of the rank that writes are kept.
        """
        self._guarded(self._log, values)

    @_disable_dynamo
    def observe(self, name: str, tensor: torch.Tensor, kind: str = "input") -> None:
        """Look at a tensor of the step that comes next, at the first step of each row; at others it costs a test.

        ``kind``: "input" or "prediction", whose first dimension counts samples, or attention ``[batch, head, query,
        key]``, as "attention" (weights, that a softmax gave) or "scores" (what it is taken of). Of several tensors of
        a name within a step, as gradients are accumulated, all count. The name may be a dotted path; at most 64 names
        are looked at. In a distributed run those of the rank that writes are kept.
        """
        self._guarded(self._look, name, tensor, kind)

    @_disable_dynamo
    def clip_grad_norm_(
        self,
        max_norm: float,
        norm_type: float = 2.0,
        error_if_nonfinite: bool = False,
        foreach: bool | None = None,
    ) -> torch.Tensor:
        """``torch.nn.utils.clip_grad_norm_`` on the optimizer's parameters, with what was before recorded as a stream
        of its own, "Gradients (before clipping)". Where several optimizers are recorded together, on those of all.

        The gradients are read once for the norm and for what is recorded, and read and written once more only when they
        are clipped. torch's function takes over for other norms, sharded, sparse or overlapping gradients, those on
        several devices, and where the fused kernels are not used. The first call on a GPU waits until that is settled.
        What writes to the gradients between this and ``step()`` past torch's version counters (``.data``, NumPy,
        ``all_reduce``) goes unseen.

        Returns the norm before clipping, added up in float64, and raises, as torch's function does.
        """
        total = self._guarded(one_read.total_norm, self._watches, self._current_session) if norm_type == 2 else None
        session = self._session
        if total is None or session is None:
            for watch in self._watches:
                self._guarded(self._unclipped, watch)
        elif not (error_if_nonfinite and not total.isfinite()):
            clipped = self._guarded(one_read.clip, self._watches, session, total, float(max_norm))
            if clipped:
                return total if session.has_double() else total.float()
        parameters = [parameter for watch in self._watches for parameter in watch.parameters()]
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)

    @_disable_dynamo
    def replayed(self) -> None:
        """Call after each replay of a CUDA graph in which a step was captured: the replay is a step.

        Its gradients are measured within the graph if they lay, when it was captured, where the steps before it saw
        them: call ``zero_grad(set_to_none=False)`` from then on, and warm up for four steps.
        """
        for watch in self._watches:
            watch.replayed()
        self.stop_if_asked()

    @_disable_dynamo
    def dead_rows(self) -> dict[str, npt.NDArray[np.int64]]:
        """With ``streams=["dead_rows"]``: name of a parameter → which rows of its gradient were dead, ascending, at the
        step last looked at, for each that has some. Waits for the device. In a distributed run the rows on this rank,
        counted from the first one there.
        """
        return self._guarded(self._dead_rows) or {}

    @_disable_dynamo
    def dead_units(self) -> dict[str, list[int]]:
        """Module → indices of its units (features, or channels of a convolution) that stayed below 1e-6 in magnitude at
        each of the last 20 steps that were looked at; of modules that have any. Needs ``activations=``; waits for the
        device."""
        asked = [one for one in self._observers if isinstance(one, Activations)]
        if not asked:
            self.report("dead_units(): activations are not looked at: pass activations= to GradHealthWriter")
        found = [self._guarded(one.dead_units) or {} for one in asked]
        return {name: indices for one in found for name, indices in one.items()}

    def state_dict(self) -> dict[str, int]:
        """What continues the step axis after a restart."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at the step of :meth:`state_dict`, in a session of its own. Raises KeyError without a step."""
        step = int(state["step"])
        for watch in self._watches:
            watch.settle()
            watch.start_over()
        self._guarded(self._end_session)
        self.step = step
        for observer in self._observers:
            self._guarded(observer.start_over)
        self._arm()

    def _log(self, values: dict[str, float | torch.Tensor]) -> None:
        if self._closed:
            return
        for watch in self._watches:
            watch.check_hooks()
        if self._session is None:
            self._session = self._current(self.step)
        for name, value in values.items():
            if is_rate(name):
                self._rates.theirs = True
                self._session.drop_rates()
            self._session.log(name, value)

    def _look(self, name: str, tensor: torch.Tensor, kind: str) -> None:
        if self._closed or self.reevaluates() or is_capturing():
            return
        if self._given is None:
            self._given = Given(self._settings.every, self._settings.near_zero, self.report, self._is_lowest)
            self.watch_with(self._given)
        self._given.look(name, tensor, kind)

    def _dead_rows(self) -> dict[str, npt.NDArray[np.int64]]:
        session = self._current_session()
        found = [] if session is None else list(session.sources(DeadRows))
        if session is not None and not found:
            raise ValueError('dead_rows(): expected a recording with streams=["dead_rows"]: it is not looked at')
        return {pieces[index].name: rows for pieces, source in found for index, rows in source.last().items()}
