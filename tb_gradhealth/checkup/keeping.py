"""All as it was: whatever an examination does to a model and to random numbers is taken back, bit for bit."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..shards import local


@contextlib.contextmanager
def as_it_was(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, parameters have no gradients, and gradients are on. Also where what is inside raises."""
    kept = [_Module(one) for whole in modules for one in whole.modules()]
    tensors: dict[int, torch.Tensor] = {id(one): one for each in kept for one in each.tensors()}
    values = [_Tensor(one) for one in tensors.values() if not is_lazy(one)]
    try:
        with random_as_it_was(), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module in kept:
            module.restore()
        for tensor in values:
            tensor.restore()


@contextlib.contextmanager
def random_as_it_was() -> Iterator[None]:
    """The generators that data loaders, dropout and initialisation draw from."""
    python, numpy, host = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(host)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)


class _Module:
    """The attributes of a module, its mode among them, and what its dictionaries hold: tensors, parts, hooks."""

    def __init__(self, module: nn.Module) -> None:
        self._module, self._own = module, dict(vars(module))
        self._inside = {key: dict(value) for key, value in self._own.items() if isinstance(value, dict)}

    def tensors(self) -> Iterator[torch.Tensor]:
        yield from self._module.parameters(recurse=False)
        yield from self._module.buffers(recurse=False)

    def restore(self) -> None:
        _put_back(vars(self._module), self._own)
        for key, kept in self._inside.items():
            _put_back(self._own[key], kept)


def _put_back(own: dict[Any, Any], kept: dict[Any, Any]) -> None:
    """By identity: tensors that were replaced by others of the same values were replaced."""
    if {key: id(one) for key, one in own.items()} != {key: id(one) for key, one in kept.items()}:
        own.clear()
        own.update(kept)


class _Tensor:
    """A parameter or buffer; copies of what is on a device are on the host, where they are in nobody's way."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor, self._requires_grad, self._grad = tensor, tensor.requires_grad, tensor.grad
        self._values = None if tensor.is_meta else _copied(tensor)
        if tensor.is_leaf:
            tensor.grad = None

    def restore(self) -> None:
        tensor = self._tensor
        if tensor.is_leaf:
            tensor.grad = None
            tensor.requires_grad_(self._requires_grad)
            tensor.grad = self._grad
        if self._values is not None and not torch.equal(_bits(_copied(tensor)), _bits(self._values)):
            # No change as autograd counts them: graphs that were there before stay valid.
            local(tensor).data.copy_(self._values)


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return local(tensor).detach().clone().cpu()


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes, which are equal where NaN are."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
