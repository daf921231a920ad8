"""Learning rates, read from the optimizers themselves at each step that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from . import shards
from .store.blocks import Number

RATE = "lr"
Rate = float | torch.Tensor | None
#: Groups that are told apart; of more, the least and the largest rate are logged.
MAX_GROUPS = 12


class Rates:
    """Of the optimizers on one step axis: one scalar ``lr``, or ``lr/<group>`` for each group from the step on at which
    they differ. Where several optimizers step, ``lr/<optimizer>`` and ``lr/<optimizer>.<group>``.

    A rate that is kept on a device is read in the first step of each row alone, by the writer's thread.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._apart: set[str] = set()  # optimizers whose groups differ
        self._rows: dict[str, int] = {}  # the last row in which rates on a device were read
        #: The loop logs the learning rate itself.
        self.theirs = False

    def of(self, optimizer: str, groups: Sequence[Mapping[str, Any]], step: int) -> Iterator[tuple[str, Number]]:
        """Of the groups of an optimizer; ``optimizer`` is "" for the only one."""
        rates = [_rate(group.get("lr")) for group in groups]
        if len(rates) > 1 and optimizer not in self._apart and _differ(groups, rates):
            self._apart.add(optimizer)
        row = step // self._every
        apart = optimizer in self._apart
        for name, rate in _told_apart(groups, rates) if apart else [("", rate) for rate in rates[:1]]:
            path = f"{RATE}/{'.'.join(filter(None, (optimizer, name)))}".removesuffix("/")
            if isinstance(rate, float):
                yield path, rate
            elif rate is not None and self._rows.get(path) != row:
                self._rows[path] = row
                yield path, rate.detach().clone().item


def is_rate(name: str) -> bool:
    """Whether a scalar that a loop logs is what we would log."""
    return name == RATE or name.startswith(f"{RATE}/")


def _rate(value: Any) -> Rate:
    """As a float, or where it would have to be waited for as a tensor."""
    if not isinstance(value, torch.Tensor):
        return float(value) if isinstance(value, (int, float)) else None
    if value.numel() != 1 or value.is_meta or shards.is_sharded(value):
        return None
    return float(value.detach()) if value.device.type == "cpu" else value


def _differ(groups: Sequence[Mapping[str, Any]], rates: Sequence[Rate]) -> bool:
    """Whether groups have different rates, or begin with them: warm-up from 0 may come first."""
    first = {_rate(group.get("initial_lr", group.get("lr"))) for group in groups}
    return len(first) > 1 or len(set(rates)) > 1


def _name(group: Mapping[str, Any], index: int) -> str:
    name = group.get("name")
    return name if isinstance(name, str) and name else f"group{index}"


def _told_apart(groups: Sequence[Mapping[str, Any]], rates: Sequence[Rate]) -> list[tuple[str, Rate]]:
    if len(groups) <= MAX_GROUPS:
        return [(_name(group, index), rate) for index, (group, rate) in enumerate(zip(groups, rates, strict=True))]
    known = [rate for rate in rates if isinstance(rate, float)]
    return [("min", min(known)), ("max", max(known))] if known else []
