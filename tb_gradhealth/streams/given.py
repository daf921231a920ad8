"""What the loop itself hands over to be looked at, by ``optimizer.gradhealth.observe``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from gradhealth_kernels.elements import EIGHT_BIT, stays
from gradhealth_kernels.launch import StepRing
from gradhealth_kernels.launch import Taken as RingTaken
from gradhealth_kernels.statistics import COMBINE, Entries, table_of

from .. import shards
from ..shards import Piece
from .attention import Scores, Weights
from .inputs import Batches
from .look import Look
from .observation import Observation
from .stream import Fetch, Stream, later

MAX_NAMES = 64  # given; heads of attention are rows of one name
MAX_NAME_BYTES = 256
#: Tensors of a kind that are looked at within one step, as gradients are accumulated; what comes then is left out.
MAX_CALLS = 256


class Kind(Protocol):
    """What is to be known of tensors that are given as one kind."""

    stream: Stream

    def look(self, name: str, tensor: torch.Tensor) -> Look | None:
        """At float elements on one device; None where there is nothing to look at. Raises ValueError for a shape that
        it cannot be of."""
        ...


#: What ``kind=`` takes; each gets the magnitude below which an element is near zero.
KINDS: dict[str, Callable[[float], Kind]] = {
    "input": lambda near_zero: Batches("inputs", "Inputs", "input", near_zero),
    "prediction": lambda near_zero: Batches("predictions", "Predictions", "prediction", near_zero),
    "attention": lambda near_zero: Weights(),
    "scores": lambda near_zero: Scores(),
}


class Given:
    """Looks at what is given before the first step of each row at which anything is given, kind by kind.

    ``report`` is told once for each name and kind what cannot be looked at; ``wanted`` says whether this process
    records what each rank has of its own.
    """

    def __init__(self, every: int, near_zero: float, report: Callable[[str], None], wanted: Callable[[], bool]) -> None:
        self._every, self._near_zero, self._report, self._wanted = every, near_zero, report, wanted
        self._collected: dict[str, _Collected] = {}
        self._names: set[str] = set()
        self._told: set[str] = set()
        self._step = 0

    def arm(self, step: int) -> None:
        self._step = step
        for collected in self._collected.values():
            collected.arm(step)

    def take(self) -> Iterator[Observation]:
        for collected in self._collected.values():
            if collected.calls:
                yield collected.take()

    def start_over(self) -> None:
        for collected in self._collected.values():
            collected.start_over()

    def close(self) -> None:
        self._collected.clear()

    def look(self, name: Any, tensor: Any, kind: Any) -> None:
        """At a tensor that is given before the step that comes next."""
        collected = self._collected.get(kind) if isinstance(kind, str) else None
        if collected is not None and not collected.due:
            return
        wrong = _wrong(name, tensor, kind)
        if wrong is None and name not in self._names and len(self._names) == MAX_NAMES:
            wrong = f"more than {MAX_NAMES} names are given, those that came last are not measured"
            name = ""  # told once for all
        if wrong is not None:
            self._tell(f"{name!r}, {kind!r}" if isinstance(name, str) else "", wrong)
            return
        if not self._wanted() or tensor.numel() == 0:
            return
        if collected is None:
            collected = self._collected[kind] = _Collected(KINDS[kind](self._near_zero), self._every, self._near_zero)
            collected.arm(self._step)
        self._names.add(name)
        try:
            collected.look(name, _readable(tensor))
        except ValueError as error:
            self._tell(f"{name!r}, {kind!r}", str(error))

    def _tell(self, about: str, problem: str) -> None:
        if about not in self._told and len(self._told) < 4 * MAX_NAMES:
            self._told.add(about)
            self._report(f"observe({about}): {problem}")


def _wrong(name: Any, tensor: Any, kind: Any) -> str | None:
    """Why this cannot be looked at."""
    if not isinstance(name, str) or not all(name.split(".")) or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        came = repr(name[:80]) if isinstance(name, str) else type(name).__name__
        return f'expected a name such as "batch.image" of at most {MAX_NAME_BYTES} bytes, got {came}'
    if not isinstance(kind, str) or kind not in KINDS:
        return f"kind: expected one of {', '.join(KINDS)}, got {repr(kind)[:80]}: it is not measured"
    if not isinstance(tensor, torch.Tensor):
        return f"expected a tensor, got {type(tensor).__name__}: pass each tensor in it under a name of its own"
    if not tensor.is_floating_point() and not tensor.is_complex():
        return f"numbers of {tensor.dtype}, such as token ids or labels, have no scale and are not measured"
    if tensor.layout is not torch.strided or tensor.is_meta:
        return f"expected a dense tensor with elements, got layout {tensor.layout} on {tensor.device}"
    return None


def _readable(tensor: torch.Tensor) -> torch.Tensor:
    """The elements on this rank, as real numbers that torch works with, where they can be worked with."""
    own = shards.local(tensor)
    if own.is_complex():
        own = torch.view_as_real(own.resolve_conj())
    if own.dtype in EIGHT_BIT:
        own = own.float()
    return own if stays(own.device) else own.cpu()


@dataclass(frozen=True)
class _Call:
    """One tensor that was looked at: its columns of the stream, and what is known of each."""

    columns: list[int]
    taken: RingTaken
    names: tuple[str, ...]
    further: Fetch  # [name, column]

    def entries(self, stream: Stream) -> Entries:
        """``[1, column]``."""
        own = stream.nothing((1, len(self.columns)))
        measured = self.taken.entries()
        for entry in table_of(measured):
            own[entry.name] = measured[entry.name]
        for name, values in zip(self.names, self.further(), strict=True):
            own[name] = values
        if "masked" in self.names:  # measured as NaN, which no figure but these two runs over
            for name in ("count", "nan"):
                own[name] -= own["masked"].astype(own[name].dtype)
        return own


@dataclass(frozen=True)
class _Calls:
    """All that was looked at before one step, merged."""

    stream: Stream
    columns: int
    calls: Sequence[_Call]

    def entries(self) -> Entries:
        found = self.stream.nothing((1, self.columns))
        for call in self.calls:
            own = call.entries(self.stream)
            for entry in self.stream.entries:
                column = found[entry.name]
                column[:, call.columns] = COMBINE[entry.combine](column[:, call.columns], own[entry.name])
        return found


class _Collected:
    """What was given of one kind since the last step."""

    def __init__(self, kind: Kind, every: int, near_zero: float) -> None:
        self._kind, self._length = kind, every * kind.stream.every
        self._stream = replace(kind.stream, near_zero=near_zero)
        self._pieces: dict[str, Piece] = {}  # as each was first seen: the shapes of batches vary
        self._rings: dict[int, StepRing] = {}  # by the number of rows
        self._step = 0
        self._looked: int | None = None  # the last step that has anything
        self.calls: list[_Call] = []
        self.due = True

    def arm(self, step: int) -> None:
        looked = self._looked
        # A step may come again, when it is taken back.
        self.due = looked is None or step <= looked or step // self._length != looked // self._length
        self._step, self.calls = step, []

    def start_over(self) -> None:
        self._looked = None

    def take(self) -> Observation:
        calls, self.calls, self._looked = self.calls, [], self._step
        pieces = tuple(self._pieces.values())
        return Observation(self._stream, pieces, _Calls(self._stream, len(pieces), calls))

    def look(self, name: str, tensor: torch.Tensor) -> None:
        if len(self.calls) == MAX_CALLS:
            return
        with torch.inference_mode(False), torch.no_grad():
            seen = self._kind.look(name, tensor)
            if seen is None:
                return
            ring = self._rings.get(len(seen.rows))
            if ring is None:
                ring = StepRing(len(seen.rows), 1, self._stream.near_zero, self._stream.signed)
                self._rings[len(seen.rows)] = ring
            ring.measure(0, seen.tensors)
            further = later(seen.further)
        names = [f"{name}.{row}" if row else name for row in seen.rows]
        dtype = str(tensor.dtype).removeprefix("torch.")
        for one, measured in zip(names, seen.tensors, strict=True):
            self._pieces.setdefault(one, Piece(one, tuple(measured.shape), dtype))
        columns = list(self._pieces)
        self.calls.append(_Call([columns.index(one) for one in names], ring.take(1), seen.names, further))
