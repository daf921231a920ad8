"""What an optimizer keeps of each parameter: moments of its gradients, or whatever else has the parameter's shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from .. import shards
from .stream import Sample, Source, Stream

#: Keys of ``optimizer.state[parameter]`` that have names; others are shown by their key.
LABELS = {
    "exp_avg": "First moment",
    "exp_avg_sq": "Second moment",
    "max_exp_avg_sq": "Largest second moment",
    "momentum_buffer": "Momentum",
}
RATIO = Stream("moment_ratio", "Moment ratio", "ratio")
#: Keys beyond these are left out.
MAX_KEYS = 8
#: What ratios that are worked out together may take.
GROUP_BYTES = 64 << 20


class Moments(Source):
    """One stream for each key of the optimizer's state, after each sampled step.

    The Adam family's also have the ratio of the bias-corrected moments, m̂ / (√v̂ + eps): of Adam and AdamW what the
    learning rate is multiplied with (Kingma and Ba, "Adam", 2015, algorithm 1).
    """

    def after(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterator[Sample]:
        states = [optimizer.state.get(parameter, {}) for parameter in parameters]
        for key in _keys(states, parameters):
            stream = Stream(_name(key), LABELS.get(key, f"Optimizer state: {key}"), "moment")
            yield Sample(stream, [_moment(state, key, one) for state, one in zip(states, parameters, strict=True)])
        yield from _ratios(optimizer, states, parameters)


def _keys(states: Sequence[Mapping[Any, Any]], parameters: Sequence[torch.Tensor]) -> list[str]:
    found: dict[str, None] = {}
    for state, parameter in zip(states, parameters, strict=True):
        found |= {key: None for key in state if isinstance(key, str) and _moment(state, key, parameter) is not None}
    return list(found)[:MAX_KEYS]


def _name(key: str) -> str:
    return ("state_" + re.sub(r"[^a-z0-9]+", "_", key.lower()))[:64]


def _moment(state: Mapping[Any, Any], key: str, parameter: torch.Tensor) -> torch.Tensor | None:
    """The elements on this rank of a state of the parameter's shape."""
    moment = state.get(key)
    if not isinstance(moment, torch.Tensor) or moment.shape != parameter.shape or moment.dim() == 0:
        return None
    return shards.local(moment) if moment.is_floating_point() or moment.is_complex() else None


def _ratios(
    optimizer: Optimizer, states: Sequence[Mapping[Any, Any]], parameters: Sequence[torch.Tensor]
) -> Iterator[Sample]:
    """In groups, so that only some are in memory at a time."""
    options = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    first, size = 0, 0
    group: list[torch.Tensor | None] = []
    found = False
    for index, (state, parameter) in enumerate(zip(states, parameters, strict=True)):
        ratio = _ratio(state, parameter, options.get(id(parameter), {}))
        group.append(ratio)
        found = found or ratio is not None
        size += 0 if ratio is None else ratio.numel() * ratio.element_size()
        if size >= GROUP_BYTES or index == len(parameters) - 1:
            if found:
                yield Sample(RATIO, group, first=first)
            first, size, group, found = index + 1, 0, [], False


def _ratio(state: Mapping[Any, Any], parameter: torch.Tensor, options: Mapping[str, Any]) -> torch.Tensor | None:
    second = "max_exp_avg_sq" if options.get("amsgrad") else "exp_avg_sq"
    mean, square = _moment(state, "exp_avg", parameter), _moment(state, second, parameter)
    step = state.get("step")
    if mean is None or square is None or step is None or mean.is_complex() or "betas" not in options:
        return None
    beta1, beta2 = options["betas"]
    if isinstance(step, torch.Tensor) and not step.is_cpu:
        if step.device != mean.device:
            return None
        steps: Any = step.float().clamp(min=1)  # where it is, so that nothing waits for it; 0 if none was made yet
    else:
        steps = max(float(step), 1.0)
    wide = torch.promote_types(mean.dtype, torch.float32)
    unbiased = square.to(wide).div(1 - beta2**steps).sqrt_().add_(options.get("eps", 0.0))
    return mean.to(wide).div(1 - beta1**steps).div_(unbiased)
