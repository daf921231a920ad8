"""What a disease does to a model, measured on the model itself and not through any row: the mechanisms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from .architectures.task import Batch, Task

Figures = dict[str, dict[str, float]]
"""What was measured → node → how much."""


def probe(task: Task, batch: Batch) -> Figures:
    """One forward and backward pass in evaluation mode, looked at with hooks that are removed again."""
    model, sites = task.model, task.sites
    found: Figures = {name: {} for name in ("silent", "beyond", "rank", "gradient", "weight", "attention", "whole")}
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    model.eval()
    with ExitStack() as hooks:
        for _, act in sites.relus:
            hooks.enter_context(_hook(modules[act], _outputs(found["silent"], act, _silent)))
        for _, act in sites.bounded:
            handle = modules[act].register_forward_pre_hook(_inputs(found["beyond"], act))
            hooks.callback(handle.remove)
        loss, predictions = task.loss(batch)
        model.zero_grad()
        if loss.requires_grad:
            loss.backward()
    for name in (*sites.weights, f"{sites.head}.weight", *_weights(model, sites.first)):
        weight = parameters[name]
        found["weight"][name] = float(weight.detach().norm())
        if weight.grad is not None:
            found["gradient"][name] = float(weight.grad.norm())
        if name in sites.weights and min(weight.flatten(1).shape) >= 4:
            found["rank"][name] = _rank(weight.detach().flatten(1))
    for name, weights in task.attention.items():
        found["attention"][name] = _entropy(weights)
    finite = all(bool(parameter.isfinite().all()) for parameter in parameters.values())
    found["whole"] = {
        "finite": float(finite and math.isfinite(float(loss.detach()))),
        "spread": float((predictions - predictions.mean(0)).detach().pow(2).mean().sqrt()),
        "gradient": math.sqrt(sum(value**2 for value in found["gradient"].values())),
    }
    hidden = [found["gradient"].get(name, 0.0) for name in sites.weights if parameters[name].requires_grad]
    if hidden:
        found["depth"] = {"hidden": min(hidden), "head": found["gradient"].get(f"{sites.head}.weight", 0.0)}
    model.zero_grad()
    model.train()
    return found


def mechanisms(figures: Figures, twin: Figures) -> dict[str, list[str]]:
    """Which diseases the model has that its twin has not, and where: kind → nodes, "" for the whole model.

    GROWN weights are odd, but harm nobody by themselves: they make no run sick, only not healthy.
    """
    found: dict[str, list[str]] = {}
    if not figures["whole"]["finite"]:
        return {"NUMERICAL": [""]}
    for kind, what in (("DEAD", "silent"), ("SATURATED", "beyond")):
        nodes = [n for n, share in figures[what].items() if share >= 0.5 and share >= twin[what].get(n, 0.0) + 0.25]
        found |= {kind: nodes} if nodes else {}
    flat = [n for n, rank in figures["rank"].items() if rank < 1.5 and twin["rank"].get(n, 0.0) >= 2.0]
    found |= {"BOTTLENECK": flat} if flat else {}
    peaked = [n for n, h in figures["attention"].items() if h < 0.25 and h < 0.5 * twin["attention"].get(n, 0.0)]
    found |= {"ATTENTION": peaked} if peaked else {}
    grown = [n for n, norm in figures["weight"].items() if norm > 5.0 * twin["weight"].get(n, math.inf)]
    found |= {"GROWN": grown} if grown else {}
    if figures["whole"]["gradient"] > 100.0 * twin["whole"]["gradient"] > 0.0:
        found["EXPLODING"] = [""]
    if figures["whole"]["spread"] < 0.05 * twin["whole"]["spread"]:
        found["MODE_COLLAPSE"] = [""]
    if _depth(figures) < 1e-3 * _depth(twin):
        found["VANISHING"] = [""]
    return found


def _depth(figures: Figures) -> float:
    """The smallest gradient of a hidden matrix that has one : the head's, whose own does not vanish on its way."""
    depth = figures.get("depth", {"hidden": 1.0, "head": 1.0})
    return depth["hidden"] / depth["head"] if depth["head"] else 0.0


def _weights(model: nn.Module, name: str) -> Iterator[str]:
    """The matrices of the module that reads the inputs, one of them."""
    for parameter, value in model.named_parameters(prefix=""):
        if parameter.startswith(f"{name}.") and value.dim() > 1:
            yield parameter
            return


def _hook(module: nn.Module, hook: Callable[..., None]) -> Any:
    stack = ExitStack()
    stack.callback(module.register_forward_hook(hook).remove)
    return stack


def _outputs(found: dict[str, float], name: str, figure: Callable[[torch.Tensor], float]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        found[name] = figure(output.detach())

    return hook


def _inputs(found: dict[str, float], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        found[name] = float((inputs[0].detach().abs() > 3.0).float().mean())

    return hook


def _silent(output: torch.Tensor) -> float:
    """Share of units, along dimension 1 of images and the last of all else, that are 0 for every sample."""
    units = output.transpose(0, 1).flatten(1) if output.dim() == 4 else output.flatten(0, -2).T
    return float((units.abs().amax(1) < 1e-6).float().mean())


def _rank(matrix: torch.Tensor) -> float:
    """Participation ratio of the singular values, (Σσ²)² / Σσ⁴."""
    if not matrix.isfinite().all():
        return math.nan
    squares = torch.linalg.svdvals(matrix.double()).square()
    return float(squares.sum().square() / squares.square().sum()) if squares.sum() else 0.0


def _entropy(weights: torch.Tensor) -> float:
    """Mean entropy of rows of attention, as a share of the largest that each could have."""
    allowed = (weights > 0).sum(-1).clamp(min=2)
    keys = torch.arange(weights.shape[-2]) + 1 if bool((weights.triu(1) == 0).all()) else allowed
    entropy = -(weights.clamp(min=1e-30).log() * weights).sum(-1) / keys.clamp(min=2).log()
    return float(entropy[keys.expand_as(allowed) > 1].mean())
