"""What is looked at between two steps and is no parameter: activations, inputs, predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..gathering import Stage
from ..shards import Piece
from ..store.blocks import Block, Taken
from .stream import Stream


@dataclass(frozen=True)
class Observation:
    """One look at the tensors ``pieces`` of a stream: entries ``[1, tensor]``, which may still be on their way."""

    stream: Stream
    pieces: tuple[Piece, ...]
    taken: Taken


class Observer(Protocol):
    """Sees what a loop does before each step. Nothing of it may raise, wait for a device, or keep a tensor alive."""

    def arm(self, step: int) -> None:
        """What happens from now on belongs to ``step``; the observer decides whether to look at it."""
        ...

    def take(self) -> Iterable[Observation]:
        """What was seen since, as the step begins that it belongs to."""
        ...

    def start_over(self) -> None:
        """Look again at the row that comes next, whatever was seen of it: a checkpoint was loaded."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


class Observed:
    """The observed streams of a session; ``begin`` makes the stage of one with these pieces."""

    def __init__(self, begin: Callable[[Stream, Sequence[Piece]], Stage]) -> None:
        self._begin = begin
        self._streams: dict[str, tuple[tuple[Piece, ...], Stage]] = {}
        self._waiting: list[tuple[int, Observation]] = []

    def fits(self, observations: Iterable[Observation]) -> bool:
        """Whether each stream still has the tensors that it had."""
        return all(self._streams.get(one.stream.name, (one.pieces,))[0] == one.pieces for one in observations)

    def put(self, step: int, observations: Iterable[Observation]) -> None:
        """Of streams that fit, at the step that has just begun."""
        self._waiting += [(step, one) for one in observations]

    def hand_over(self) -> None:
        """The step is over."""
        waiting, self._waiting = self._waiting, []
        for step, one in waiting:
            known = self._streams.get(one.stream.name)
            if known is None:
                known = one.pieces, self._begin(one.stream, one.pieces)
                self._streams[one.stream.name] = known
            known[1].submit(Block(step, one.taken))

    def forget(self) -> None:
        """The step is none."""
        self._waiting = []
