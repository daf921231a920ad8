"""The contract: ``input_fn()`` gives a batch, ``loss_fn(model, batch)`` the loss as the training loop works it out.

Three other forms say what they are by the names of their parameters: ``loss_fn(output, batch)``,
``loss_fn(output, target)`` as torch's own losses, and ``loss_fn(batch)``, which calls the model itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

Form = Literal["model", "output", "target", "batch"]

_MODEL = frozenset({"model", "net", "network", "module"})
_OUTPUT = frozenset(
    {"output", "outputs", "out", "prediction", "predictions", "predicted", "pred", "preds", "logits", "y_hat", "y_pred"}
)
#: What labels are called, as parameters and as keys of a batch.
TARGETS = frozenset({"target", "targets", "label", "labels", "y", "y_true", "truth"})

_EXPECTED = (
    "loss_fn(model, batch), or by the names of its parameters loss_fn(output, batch), loss_fn(output, target) or "
    "loss_fn(batch)"
)


class ContractError(ValueError):
    """What was passed is not what is asked for."""


class Asked:
    """What the user passed, called in one way."""

    def __init__(self, model: nn.Module, input_fn: Callable[[], Any], loss_fn: Callable[..., Any]) -> None:
        if not isinstance(model, nn.Module):
            raise ContractError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
        if not callable(input_fn):
            raise ContractError(
                f"input_fn: expected a function that returns a batch, got {type(input_fn).__name__}: "
                "wrap what you have, as in lambda: batch or lambda: next(iter(loader))"
            )
        self.model, self.form = model, form_of(loss_fn)
        self._input_fn, self._loss_fn = input_fn, loss_fn

    def batch(self) -> Any:
        batch = self._input_fn()
        if batch is None:
            raise ContractError("input_fn: expected a batch (tensor, tuple or dictionary), got None: return it")
        return batch

    def loss(self, batch: Any, model: nn.Module | None = None) -> torch.Tensor:
        """The scalar that ``backward`` is called of; ``model`` takes the place of the one that was passed."""
        model = self.model if model is None else model
        if self.form == "batch":
            return _scalar(self._loss_fn(batch))
        if self.form == "model":
            return _scalar(self._loss_fn(model, batch))
        arguments, named, target = _split(model, batch, self.form)
        output = model(*arguments, **named)
        return _scalar(self._loss_fn(output, batch if self.form == "output" else target))


def form_of(loss_fn: Callable[..., Any]) -> Form:
    if not callable(loss_fn):
        raise ContractError(f"loss_fn: expected a function, {_EXPECTED}, got {type(loss_fn).__name__}")
    try:
        signature = inspect.signature(loss_fn.forward if isinstance(loss_fn, nn.Module) else loss_fn)
    except ValueError as error:
        raise ContractError(f"loss_fn: expected {_EXPECTED}, got a function whose parameters are unknown") from error
    positional = [
        one for one in signature.parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    required = [one for one in positional if one.default is one.empty]
    several = any(one.kind is one.VAR_POSITIONAL for one in signature.parameters.values())
    if len(required) > 2 or (not positional and not several):
        raise ContractError(f"loss_fn: expected {_EXPECTED}, got one with the parameters {signature}")
    if several and len(positional) < 2:
        return "model"
    if len(required) < 2 and (len(positional) == 1 or positional[0].name not in _MODEL | _OUTPUT):
        return "batch"
    first, second = (one.name.lower() for one in positional[:2])
    if first in _MODEL:
        return "model"
    if second in TARGETS:
        return "target"
    return "output" if first in _OUTPUT else "model"


def _split(model: nn.Module, batch: Any, form: Form) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """What the model is called with, by position and by name, and the target. Of a tuple the last one is the target."""
    if isinstance(batch, Mapping):
        targets = [key for key in batch if str(key).lower() in TARGETS]
        if form == "target" and len(targets) != 1:
            raise ContractError(
                f"loss_fn(output, target): expected a batch with one of the keys {', '.join(sorted(TARGETS))}, got "
                f"{', '.join(map(str, batch))}: write loss_fn(model, batch)"
            )
        accepted = inspect.signature(model.forward).parameters
        every = any(one.kind is one.VAR_KEYWORD for one in accepted.values())
        named = {
            str(key): value
            for key, value in batch.items()
            if (every or key in accepted) and not (form == "target" and key in targets)
        }
        if not named:
            raise ContractError(
                f"expected a batch with keys that {type(model).__name__}.forward takes ({', '.join(accepted)}), got "
                f"{', '.join(map(str, batch))}: write loss_fn(model, batch)"
            )
        return (), named, batch[targets[0]] if targets else None
    if isinstance(batch, (tuple, list)):
        if form == "target" and len(batch) < 2:
            raise ContractError(
                f"loss_fn(output, target): expected a batch (inputs, target), got one of {len(batch)}: "
                "write loss_fn(model, batch)"
            )
        return tuple(batch[:-1]) if len(batch) > 1 else tuple(batch), {}, batch[-1]
    if form == "target":
        raise ContractError(
            f"loss_fn(output, target): expected a batch (inputs, target), got {type(batch).__name__}: "
            "write loss_fn(model, batch)"
        )
    return (batch,), {}, None


def _scalar(found: Any) -> torch.Tensor:
    """The loss in what ``loss_fn`` returned: by itself, first in a tuple, or called "loss"."""
    loss = found
    if isinstance(loss, Mapping):
        loss = loss.get("loss")
    elif isinstance(loss, (tuple, list)) and loss:
        loss = loss[0]
    elif not isinstance(loss, torch.Tensor):
        loss = getattr(loss, "loss", loss)
    if not isinstance(loss, torch.Tensor):
        raise ContractError(
            f"loss_fn: expected it to return a scalar tensor, got {type(found).__name__}: return the tensor that your "
            "loop calls backward() of (no .item())"
        )
    if loss.numel() != 1:
        raise ContractError(
            f"loss_fn: expected it to return a scalar, got a tensor of shape {tuple(loss.shape)}: "
            "return its mean() or sum(), as your loop does"
        )
    return loss.reshape(())
