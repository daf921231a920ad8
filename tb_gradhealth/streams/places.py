"""The modules that are looked at: which of a model's, chosen again when they are no longer what they were."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..boundary.names import Names
from ..shards import Piece
from .choosing import Choice, Kind, choose
from .figures import Figures
from .outputs import nothing_known


@dataclass
class Place:
    """A module that is looked at: a column of both streams."""

    name: str
    aliases: tuple[str, ...]
    module: weakref.ref[nn.Module]
    kind: Kind
    figures: Figures
    shape: tuple[int, ...] = ()
    dtype: str = ""
    called: bool = False  # in this look
    last_pass: int = 0


class Places:
    """The places that ``choice`` means, in the order of the model.

    ``tell_once(about, problem)`` says a problem once of all that it is told about a thing.
    """

    def __init__(
        self, names: Names, choice: Choice, tell: Callable[[str], None], tell_once: Callable[[str, str], None]
    ) -> None:
        self._names, self._choice, self._tell, self._tell_once = names, choice, tell, tell_once
        self._places: list[Place] = []
        self._known: list[weakref.ref[nn.Module]] = []  # all modules of the model, as they were chosen from
        self._pieces: tuple[Piece, ...] = ()
        #: What the rows of these pieces carry over from one look to the next.
        self.carried = nothing_known(0)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def __getitem__(self, index: int) -> Place:
        return self._places[index]

    def choose_again(self, model: nn.Module) -> None:
        """Choose modules if those of the model are not what they were."""
        modules = list(model.modules())
        if len(modules) == len(self._known) and all(
            ref() is one for ref, one in zip(self._known, modules, strict=True)
        ):
            return
        first = not self._known
        self._known = [weakref.ref(one) for one in modules]
        before = {place.name: place for place in self._places}
        places = []
        for one in choose(self._names.modules(), self._choice, self._tell if first else lambda _: None):
            place = before.get(one.name)
            if place is None or place.module() is not one.module:
                place = Place(one.name, one.aliases, weakref.ref(one.module), one.kind, Figures(one.module, one.kind))
            places.append(place)
        if not first and places != self._places:
            changed = [place.name for place in places if before.get(place.name) is not place]
            changed += [name for name in before if name not in {place.name for place in places}]
            self._tell_once(
                "swapped", f"activations: modules of the model came, went or were replaced: {some(changed)}"
            )
        if self._pieces and [place.name for place in places] != [piece.name for piece in self._pieces]:
            if _is_distributed():  # a session of its own begins on all ranks, or on none
                ours = {place.name: place for place in places}
                places = [ours.get(piece.name, before[piece.name]) for piece in self._pieces]
                self._tell_once("new", "activations: modules that came during a distributed run are not measured")
            else:
                self._pieces = ()
        self._places = places

    def pieces(self) -> tuple[Piece, ...]:
        """One for each place, once one of them was called."""
        if not self._pieces:
            usual = next(place.dtype for place in self._places if place.dtype)
            self._pieces = tuple(
                Piece(place.name, place.shape, place.dtype or usual, place.aliases) for place in self._places
            )
            self.carried = nothing_known(len(self._pieces))
        return self._pieces


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _is_distributed() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
