"""Outputs of modules, and the gradients of the loss with respect to them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from .. import shards
from ..boundary import amp
from ..boundary.names import Names
from . import figures, module_hooks
from .calls import Calls
from .choosing import Choice
from .figures import Layout
from .observation import Observation
from .outputs import ACTIVATION_GRADIENTS, ACTIVATIONS, Gradients, Outputs
from .places import Place, Places, some

_log = logging.getLogger("tb_gradhealth")


class Activations:
    """Looks at the modules that ``choice`` means at the first step of each row of ``every`` steps.

    Hooks hang on them for that step alone, and not while a pass runs that does not count (``Passes``). At the first
    such step they hang only while the model itself is called, so that ``torch.compile`` does not find them: of a loop
    that calls parts of the model that step is not seen.

    A call is measured while its output is there; calls between two steps are merged: those of one forward pass, of
    accumulated ones, of replicas. A forward pass that a checkpoint repeats does not count. Gradients are those that
    autograd hands on, each time that it does, divided by ``loss_scale`` where a GradScaler is in use. ``skips``
    tells that what runs now belongs to no step.
    """

    def __init__(
        self,
        names: Names,
        choice: Choice,
        every: int,
        near_zero: float,
        tell: Callable[[str], None],
        skips: Callable[[], bool],
        loss_scale: Callable[[], torch.Tensor | None],
    ) -> None:
        self._names, self._every, self._tell, self._skips = names, every, tell, skips
        self._loss_scale = loss_scale
        self._scaled: set[bool] = set()  # whether the gradients of this look are
        self._inverse: tuple[torch.Tensor, int, torch.Tensor] | None = None  # of which scale, and of its which value
        self._row = self._step = -1
        self._look = 0  # number of the current one; tensors' hooks of another are too late
        self._looking = False
        self._looked = False  # a look is over
        self._early = False  # hooks hang before the model is called
        self._places = Places(names, choice, tell, self._tell_once)
        self._compiled: set[int] = set()
        self._told: set[str] = set()
        self._outputs, self._gradients = Calls(near_zero), Calls(near_zero)
        self._streams = [replace(one, near_zero=near_zero) for one in (ACTIVATIONS, ACTIVATION_GRADIENTS)]
        self._layout = Layout()
        self._around, self._inside = module_hooks.Hooks(tell), module_hooks.Hooks(tell)
        self._passes = module_hooks.Passes(self._entered, self._left)

    def arm(self, step: int) -> None:
        row = step // self._every
        if row != self._row:
            self._row, self._step = row, step
        self._forget()
        if step != self._step:
            return
        model = self._names.model()
        if model is None:
            return
        self._places.choose_again(model)
        self._compiled = module_hooks.inside_compiled(model)
        self._passes.reset()
        if not self._look:
            self._passes.hang(model, self._around)
        self._look += 1
        self._looking = True
        if self._early:
            self._hang()

    def take(self) -> Iterator[Observation]:
        if not self._looking:
            return
        self._looking = False
        self._inside.remove()
        outputs, gradients = self._outputs.take(), self._gradients.take()
        if self._scaled and self._scaled != {self._loss_scale() is not None}:
            gradients = None  # who measured them did not know yet, or not any more, that they are loss-scaled
        # Hooks that nobody called would only be in the way of a compiler that looks once more.
        self._early = outputs is not None or not self._looked
        self._tell_of_uncalled()
        self._looked = True
        if outputs is not None:
            pieces, carried = self._places.pieces(), self._places.carried
            taken = [place.figures.take() for place in self._places]
            at_zero = np.array([_is_limited_at_zero(place) for place in self._places], bool)
            seen = Outputs(outputs, figures.fetch_all(taken), at_zero, carried)
            yield Observation(self._streams[0], pieces, seen)
            if gradients is not None:
                yield Observation(self._streams[1], pieces, Gradients(gradients, len(pieces)))
        self._forget()

    def start_over(self) -> None:
        self._row = self._step = -1

    def close(self) -> None:
        self._forget()
        self._around.remove()

    def dead_units(self) -> dict[str, list[int]]:
        """Module → indices of its dead units, of modules that have any; waits for the device."""
        found = {p.name: p.figures.units.dead() for p in self._places if p.figures.units is not None}
        return {name: indices for name, indices in found.items() if indices}

    def _forget(self) -> None:
        """What was seen does not count."""
        self._looking = False
        self._inside.remove()
        self._outputs.take()
        self._gradients.take()
        self._scaled = set()
        for place in self._places:
            place.figures.forget()
            place.called = False

    # Hooks

    def _hang(self) -> None:
        for index, place in enumerate(self._places):
            module = place.module()
            if module is None or id(module) in self._compiled:
                continue
            if place.figures.limit is not None and place.figures.limit.of == "input":
                self._inside.before(module, self._before(index))
            self._inside.after(module, self._after(index))

    def _entered(self, counts: bool) -> None:
        # In validation fast paths of torch's transformer want modules without hooks.
        self._inside.remove()
        model = self._names.model()
        if self._looking and counts and model is not None:
            if not any(place.called for place in self._places):
                self._places.choose_again(model)
            self._early = True
            self._hang()

    def _left(self) -> None:
        self._inside.remove()
        if self._looking and self._early:
            self._hang()

    def _before(self, index: int) -> Callable[..., None]:
        def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            tensor = module_hooks.first_tensor(arguments[:1] or named)
            if tensor is not None and tensor.numel() and not tensor.is_complex() and self._counts(tensor):
                self._entering(self._places[index], tensor)

        return before

    def _after(self, index: int) -> Callable[..., None]:
        def after(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            tensor = module_hooks.first_tensor(output)
            if tensor is None or not tensor.numel() or self._skips():
                return
            look = self._look
            if tensor.requires_grad and tensor.grad_fn is not None:
                tensor.register_hook(lambda gradient: self._graded(look, index, gradient))
            if self._counts(tensor):
                self._seen(self._places[index], index, module, tensor)

        return after

    def _counts(self, tensor: torch.Tensor) -> bool:
        """Whether a call is one of the step's forward passes; a graph that is being captured measures nothing."""
        return (
            self._looking
            and self._passes.counts()
            and not module_hooks.inside_backward()
            and not self._skips()
            and not (tensor.is_cuda and torch.cuda.is_current_stream_capturing())
        )

    def _entering(self, place: Place, tensor: torch.Tensor) -> None:
        with _unseen():
            place.figures.see_input(_here(tensor))

    def _seen(self, place: Place, index: int, module: nn.Module, tensor: torch.Tensor) -> None:
        with _unseen():
            output = _here(tensor)
            dimension = self._layout.of(module, place.kind, output)
            self._outputs.measure(index, output)
            place.called = True
            if not place.dtype:
                place.dtype = str(output.dtype).removeprefix("torch.")
                place.shape = (output.shape[dimension],) if output.dim() else ()
            place.figures.see_output(output, dimension)
        if place.last_pass == self._passes.number and self._passes.inside and "repeated" not in self._told:
            self._told.add("repeated")
            _log.info("activations: %s is called several times in a forward pass; its calls are merged", place.name)
        place.last_pass = self._passes.number

    def _graded(self, look: int, index: int, gradient: torch.Tensor | None) -> None:
        if gradient is None or look != self._look or not self._looking:
            return
        try:
            if not (gradient.is_cuda and torch.cuda.is_current_stream_capturing()):
                with _unseen():
                    inverse = self._unscaling()
                    self._scaled.add(inverse is not None)
                    self._gradients.measure(index, _here(gradient), inverse)
        except Exception as error:
            self._tell(f"{type(error).__name__}: {error}")

    def _unscaling(self) -> torch.Tensor | None:
        """What a gradient of this backward pass must be multiplied with; other optimizers' passes have it, too."""
        scale = self._loss_scale()
        if scale is None:
            return None
        known = self._inverse
        if known is None or known[0] is not scale or known[1] != scale._version:
            known = self._inverse = scale, scale._version, amp.inverse(scale)
        return known[2]

    # What people are told

    def _tell_of_uncalled(self) -> None:
        if all(place.called for place in self._places) or self._names.model() is None:
            return
        if self._looked and not any(place.called for place in self._places):
            self._tell_once(
                "uncalled",
                "activations: no module was called with gradients on before a step, or not in a way that is seen: what "
                "runs inside torch.compile or a CUDA graph is not. Leave such modules uncompiled to see them",
            )
        compiled = [place.name for place in self._places if id(place.module()) in self._compiled]
        if compiled:
            self._tell_once("compiled", f"activations: inside torch.compile nothing is measured: {some(compiled)}")

    def _tell_once(self, about: str, problem: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._tell(problem)


def _is_limited_at_zero(place: Place) -> bool:
    return place.figures.limit is not None and place.figures.limit.of == "zeros"


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Neither autograd nor a mode that counts or keeps what operations return takes notice."""
    modes = _disable_current_modes() if torch._C._len_torch_dispatch_stack() else contextlib.nullcontext()
    with torch.no_grad(), modes:
        yield


def _here(tensor: torch.Tensor) -> torch.Tensor:
    """What of ``tensor`` is on this rank, as far as that is elements and not terms of a sum."""
    tensor = tensor.detach()
    places: Any = getattr(tensor, "placements", ())
    return shards.local(tensor) if shards.is_sharded(tensor) and not any(p.is_partial() for p in places) else tensor
