"""Activation functions that are called as functions, with no module that a hook could be on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

#: Function → what it does to its first argument; names as in ``streams/limits.py``.
_KNOWN: dict[Any, str] = {
    torch.relu: "relu",
    torch.relu_: "relu",
    torch.Tensor.relu: "relu",
    torch.Tensor.relu_: "relu",
    functional.relu: "relu",
    torch.tanh: "tanh",
    torch.Tensor.tanh: "tanh",
    functional.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    torch.Tensor.sigmoid: "sigmoid",
    functional.sigmoid: "sigmoid",
    functional.gelu: "gelu",
    functional.silu: "gelu",
}


class Functions(TorchFunctionMode):
    """A context manager: of each call of an activation function ``before(x)`` gives a figure of its argument, which
    ``after(function, output, figure)`` is told."""

    def __init__(
        self, before: Callable[[torch.Tensor], float], after: Callable[[str, torch.Tensor, float], None]
    ) -> None:
        super().__init__()
        self._before, self._after = before, after

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        function = _KNOWN.get(func)
        given = args[0] if args else None
        if function is None or not isinstance(given, torch.Tensor) or not given.numel():
            return func(*args, **(kwargs or {}))
        beyond = self._before(given)  # as it may be written in place
        output = func(*args, **(kwargs or {}))
        self._after(function, output, beyond)
        return output
