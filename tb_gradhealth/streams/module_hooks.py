"""Hooks on the modules of a model, what a forward pass is, and what a module returned.

``torch.compile`` puts the hooks that it finds into what it compiles, and compiles again when they are others. So
hooks that come and go must not be there when it looks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

#: How deep tuples and dictionaries are looked into.
MAX_DEPTH = 4


class Hook:
    """One of ours on a module. Whatever ``call`` raises is told, and goes no further.

    Copies and pickles of it do nothing, and need none of our code.
    """

    __slots__ = ("_call", "_tell")

    def __init__(self, call: Callable[..., None], tell: Callable[[str], None]) -> None:
        self._call, self._tell = call, tell

    def __call__(self, *arguments: Any) -> None:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            return
        try:
            self._call(*arguments)
        except Exception as error:
            self._tell(f"{type(error).__name__}: {error}")

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return contextlib.nullcontext().__exit__

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")


class Hooks:
    """Hooks that can all be taken off again."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._handles: list[RemovableHandle] = []

    def before(self, module: nn.Module, call: Callable[..., None]) -> None:
        """``call(module, arguments, named)`` before each forward pass of ``module``; ``named`` are keyword ones."""
        self._handles.append(module.register_forward_pre_hook(Hook(call, self._tell), with_kwargs=True))

    def after(self, module: nn.Module, call: Callable[..., None], always: bool = False) -> None:
        """``call(module, arguments, output)`` after it; ``always`` means also where it raised."""
        self._handles.append(module.register_forward_hook(Hook(call, self._tell), always_call=always))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


class Passes:
    """Whether a forward pass through ``model`` is one that trains: gradients are on where it begins.

    So validation under ``no_grad`` or ``inference_mode`` does not count, whatever mode the modules are in, and a part
    that runs without gradients in a training pass does (frozen, or checkpointed the reentrant way). ``entered`` is
    called with that as a pass begins, ``left`` as it ends; not where ``torch.compile`` made the model one graph.
    """

    def __init__(self, entered: Callable[[bool], None], left: Callable[[], None]) -> None:
        self._entered, self._left = entered, left
        self._depth = 0
        self._counts = False
        #: Number of the pass, of those that count.
        self.number = 0

    def hang(self, model: nn.Module, hooks: Hooks) -> None:
        """To be done once, since these hooks stay."""
        hooks.before(model, self._begin)
        hooks.after(model, self._end, always=True)

    def reset(self) -> None:
        """No pass is under way, whatever was seen of one that never ended."""
        self._depth = 0

    @property
    def inside(self) -> bool:
        """Whether there is one now."""
        return bool(self._depth)

    def counts(self) -> bool:
        """Whether what runs now does; a module that is called by itself is a pass."""
        return self._counts if self._depth else torch.is_grad_enabled()

    def _begin(self, module: nn.Module, arguments: Any, named: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._counts = torch.is_grad_enabled()
            self.number += self._counts
            self._entered(self._counts)

    def _end(self, module: nn.Module, arguments: Any, output: Any) -> None:
        if self._depth:
            self._depth -= 1
            if not self._depth:
                self._left()


def inside_backward() -> bool:
    """Whether autograd runs on this thread: a forward pass is then one that a checkpoint repeats."""
    return torch._C._current_graph_task_id() != -1


def inside_compiled(model: nn.Module) -> set[int]:
    """Identities of modules of ``model`` that are compiled, with all that is inside: hooks there are not called."""
    compiled = [
        one
        for one in model.modules()
        if hasattr(one, "_orig_mod") or getattr(one, "_compiled_call_impl", None) is not None
    ]
    return {id(inner) for one in compiled for inner in one.modules()}


def first_tensor(output: Any) -> torch.Tensor | None:
    """The first floating-point or complex tensor in what a module returned: in tuples and lists by position, in
    dictionaries and dataclasses in their order, depth first."""
    return next(_tensors(output, MAX_DEPTH), None)


def _tensors(output: Any, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        if output.is_floating_point() or output.is_complex():
            yield output
        return
    inside: Sequence[Any] = ()
    if isinstance(output, Mapping):
        inside = list(output.values())
    elif isinstance(output, (tuple, list)):
        inside = output
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        inside = [getattr(output, field.name, None) for field in dataclasses.fields(output)]
    if depth:
        for one in inside:
            yield from _tensors(one, depth - 1)
