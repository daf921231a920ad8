"""Names of an optimizer's parameters: those of the model, whatever wraps it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

#: Components that torch.compile, FSDP1 and activation checkpointing put into names.
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


@dataclass(frozen=True)
class Named:
    """A parameter; ``aliases`` are its further names when it is tied."""

    name: str
    tensor: torch.Tensor
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedModule:
    """A module; ``aliases`` are its further names when it is in several places."""

    name: str
    module: torch.nn.Module
    aliases: tuple[str, ...] = ()


class Names:
    """Finds names in ``model``, which is held weakly and asked anew each time: wrapping and surgery change it."""

    def __init__(self, model: torch.nn.Module | None, prefix: str = "") -> None:
        self._model = None if model is None else weakref.ref(model)
        self.prefix = prefix
        self._prefix = f"{prefix}." if prefix else ""
        self._last: dict[int, list[str]] = {}

    def of(self, groups: Iterable[dict[str, list[torch.Tensor]]]) -> list[Named]:
        """The parameters of the groups in order; those that the model does not have are ``group0.param3``."""
        model = self.model()
        if model is not None:
            self._last = _in(model)
        found = []
        for g, group in enumerate(groups):
            for i, parameter in enumerate(group["params"]):
                name, *aliases = [self._prefix + n for n in self._last.get(id(parameter), [f"group{g}.param{i}"])]
                found.append(Named(name, parameter, tuple(aliases)))
        return found

    def model(self) -> torch.nn.Module | None:
        """None where there is none, or none any more."""
        return None if self._model is None else self._model()

    def modules(self) -> list[NamedModule]:
        """The model's modules, each once; of a wrapper and what is inside, the latter. None without a model."""
        model = self.model()
        if model is None:
            return []
        raw = list(model.named_modules(remove_duplicate=False))
        parallel = {name for name, module in raw if _is_parallel(module)}
        # What is inside a wrapper comes after it, and is called the same.
        named = {_without_wrappers(name, parallel): module for name, module in raw}
        found: dict[int, tuple[torch.nn.Module, list[str]]] = {}
        for name, module in named.items():
            found.setdefault(id(module), (module, []))[1].append(self._prefix + (name or type(module).__name__))
        return [NamedModule(names[0], module, tuple(names[1:])) for module, names in found.values()]


def _in(model: torch.nn.Module) -> dict[int, list[str]]:
    """id of a parameter → its names, without the components that wrappers add where that leaves them different."""
    raw = [(name, id(parameter)) for name, parameter in model.named_parameters(remove_duplicate=False)]
    parallel = {name for name, module in model.named_modules() if _is_parallel(module)}
    clean = [_without_wrappers(name, parallel) for name, _ in raw]
    owner = dict(zip(clean, (key for _, key in raw), strict=True))
    clashes = {name for name, (_, key) in zip(clean, raw, strict=True) if owner[name] != key}
    names: dict[int, list[str]] = {}
    for short, (name, key) in zip(clean, raw, strict=True):
        chosen = name if short in clashes else short
        if chosen not in names.setdefault(key, []):
            names[key].append(chosen)
    return names


def _is_parallel(module: torch.nn.Module) -> bool:
    return isinstance(module, (DistributedDataParallel, DataParallel))


def _without_wrappers(name: str, parallel: set[str]) -> str:
    parts = name.split(".")
    kept = [
        part
        for i, part in enumerate(parts)
        if part not in _WRAPPERS and not (part == "module" and ".".join(parts[:i]) in parallel)
    ]
    return ".".join(kept)
