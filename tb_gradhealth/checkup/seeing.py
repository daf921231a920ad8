"""What modules return in one forward pass, call by call in the order in which they ran."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from gradhealth_kernels.statistics import NEAR_ZERO

from ..boundary.names import Names
from ..diagnosis.rules.saturated import EDGE
from ..streams import spread
from ..streams.calls import Calls
from ..streams.choosing import Kind, choose, kind_of
from ..streams.figures import Layout
from ..streams.limits import limit_of
from ..streams.module_hooks import first_tensor
from ..streams.units import silent_units
from .functions import Functions
from .leaves import is_finite
from .measuring import Figures, figures

#: Of a module that is called often, as a cell in a loop over time, the first calls; and calls in all.
CALLS_OF_ONE, CALLS = 4, 4096


@dataclass
class Call:
    """One call of a module that is looked at. Shares are NaN where the module has nothing of the kind."""

    name: str
    kind: Kind
    number: int  # of the module's calls, from 0 on
    function: str  # of an activation function that has a limit: which
    shape: tuple[int, ...]
    spread: float = math.nan  # across the batch, as a share of the RMS
    beyond: float = math.nan  # of the input of an activation function with limits: |x| > 3
    silent: float = math.nan  # units that are 0 for all samples
    units: int = 0
    seen_by_unit: int = 0  # elements of each of them
    address: int = 0  # of the output, by which it is known where the model returns it


@dataclass
class Seen:
    """``calls`` and ``figures [call]`` of what they returned. ``ran``: how often each module did, of the model itself
    as ""; ``bad``: the first one that returned something not finite, and whether it made it, as (module, what)."""

    calls: list[Call] = field(default_factory=list)
    figures: Figures | None = None
    ran: dict[str, int] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)  # module → when it was first entered
    bad: tuple[str, str] | None = None
    given: dict[str, Any] | None = None  # what the model was called with, by the names of its parameters
    output: torch.Tensor | None = None  # the first tensor that it returned


@contextlib.contextmanager
def seeing(model: nn.Module) -> Iterator[Seen]:
    """Hooks on all modules of ``model`` for one forward pass."""
    hooks = _Hooks(model)
    try:
        with Functions(hooks.share_beyond, hooks.called):
            yield hooks.seen
    finally:
        hooks.remove()
    hooks.measure()


class _Hooks:
    def __init__(self, model: nn.Module) -> None:
        self.seen = Seen()
        self._calls, self._layout, self._model = Calls(NEAR_ZERO), Layout(), model
        modules = Names(model).modules()
        self._chosen = {id(one.module) for one in choose(modules, "auto", lambda problem: None)}
        self._names = {id(one.module): one.name for one in modules}
        self._beyond: dict[int, float] = {}
        self._functions: dict[str, int] = {}  # calls so far, by module and function
        self._inside: list[nn.Module] = []  # modules that are under way, the innermost one last
        self._handles: list[RemovableHandle] = []
        for one in modules:
            self._handles.append(one.module.register_forward_pre_hook(self._before, with_kwargs=True))
            self._handles.append(one.module.register_forward_hook(self._after, with_kwargs=True))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def measure(self) -> None:
        merged = self._calls.take()
        if merged is not None:
            self.seen.figures = figures(merged.entries(len(self.seen.calls)))

    @torch.no_grad()
    def _before(self, module: nn.Module, arguments: Any, named: Mapping[str, Any]) -> None:
        self._inside.append(module)
        self.seen.order.setdefault(self._path(module), len(self.seen.order))
        if module is self._model and self.seen.given is None:
            self.seen.given = _by_name(module, arguments, named)
        limit = limit_of(module) if id(module) in self._chosen else None
        given = first_tensor((arguments, dict(named)))
        if limit is not None and limit.function != "relu" and given is not None and given.numel():
            self._beyond[id(module)] = self.share_beyond(given)  # before it is written in place

    @torch.no_grad()
    def _after(self, module: nn.Module, arguments: Any, named: Mapping[str, Any], output: Any) -> None:
        while self._inside and self._inside.pop() is not module:
            pass  # one that raised, and whose caller went on
        seen, name, path = self.seen, self._names[id(module)], self._path(module)
        number = seen.ran[path] = seen.ran.get(path, 0) + 1
        if seen.bad is None and not is_finite(output):
            ours = is_finite((arguments, dict(named)))
            what = "returned it for finite inputs" if ours else "got it, and no module before returned it"
            seen.bad = name, what
        tensor = first_tensor(output)
        if module is self._model and seen.output is None and tensor is not None:
            seen.output = tensor.detach()
        wanted = id(module) in self._chosen and number <= CALLS_OF_ONE and len(seen.calls) < CALLS
        if wanted and tensor is not None and tensor.numel() and not tensor.is_meta:
            self._look(module, name, number - 1, tensor.detach())

    def _path(self, module: nn.Module) -> str:
        """As parameters have it: of the model itself ""."""
        return "" if module is self._model else self._names[id(module)]

    @staticmethod
    def share_beyond(given: torch.Tensor) -> float:
        if given.is_meta:
            return math.nan
        return float((given.detach().abs() > EDGE).double().mean())

    @torch.no_grad()
    def called(self, function: str, output: torch.Tensor, beyond: float) -> None:
        """An activation function, without a module of its own."""
        module = self._inside[-1] if self._inside else self._model
        if id(module) in self._chosen and kind_of(module) == "activation":
            return  # this is how that module works
        name = f"{self._names[id(module)]}.{function}()"
        number = self._functions[name] = self._functions.get(name, 0) + 1
        if number <= CALLS_OF_ONE and len(self.seen.calls) < CALLS and not output.is_meta:
            call = Call(name, "activation", number - 1, function, tuple(output.shape))
            call.beyond = math.nan if function == "relu" else beyond
            self._add(call, module, output.detach())

    def _look(self, module: nn.Module, name: str, number: int, output: torch.Tensor) -> None:
        kind, limit = kind_of(module), limit_of(module)
        function = limit.function if limit is not None and kind == "activation" else ""
        call = Call(name, kind, number, function, tuple(output.shape), address=output.data_ptr())
        call.beyond = self._beyond.pop(id(module), math.nan)
        self._add(call, module, output)

    def _add(self, call: Call, module: nn.Module, output: torch.Tensor) -> None:
        if spread.has_spread(output):
            between, total = spread.between(output).tolist()
            if math.isfinite(between + total):
                call.spread = math.sqrt(between / total) if total > 0 else 0.0
        if call.kind in ("linear", "conv", "activation") and output.dim() and not output.is_complex():
            silent = silent_units(output, self._layout.of(module, call.kind, output))
            call.silent, call.units = float(silent.double().mean()), silent.numel()
            call.seen_by_unit = output.numel() // silent.numel()
        self._calls.measure(len(self.seen.calls), output)
        self.seen.calls.append(call)


def _by_name(module: nn.Module, arguments: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """What the model was called with; by position where its parameters are not to be known."""
    try:
        return dict(inspect.signature(module.forward).bind(*arguments, **named).arguments)
    except (TypeError, ValueError):
        return {**{str(place): one for place, one in enumerate(arguments)}, **named}
