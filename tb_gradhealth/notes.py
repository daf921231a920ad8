"""Notes: what happened at one step and is no statistic. Standard library only; used on both sides of the event file.

Kinds: ``skipped`` (the GradScaler skipped the optimizer's step), ``not_stepped`` (gradients that no step was made with;
its step is that of the attempt that follows), ``diverged`` (replicas of a tensor differ between ranks), ``omitted``
(further notes of a row that found no room; a reader shows kinds that it does not know by their name).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

#: Tensors that a note names, notes and bytes that a row holds.
MAX_TENSORS = 16
MAX_NOTES = 64
MAX_BYTES = 1 << 16
MAX_NAME_BYTES = 1 << 10
MAX_VALUES = 16
#: A note larger than this names fewer tensors.
MAX_NOTE_BYTES = MAX_BYTES // 2
#: Beyond, a float is no longer exact, as which a browser reads it.
MAX_NUMBER = 1 << 53

_OMITTED_BYTES = 256  # kept free for the note that counts the others
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Fault:
    """A tensor at fault, and its non-finite elements."""

    name: str
    nan: int
    pos_inf: int
    neg_inf: int


@dataclass(frozen=True)
class Note:
    """``more`` is the number of further tensors at fault that are not named."""

    step: int
    kind: str
    tensors: tuple[Fault, ...] = ()
    more: int = 0
    values: Mapping[str, float] = field(default_factory=dict)


def bounded(notes: Iterable[Note]) -> list[Note]:
    """What a row can hold of ``notes``: the first ones in step order; the rest is counted in one note ``omitted``.

    Rows merge by ``bounded([*a, *b])``; what both had omitted adds up.
    """
    listed = sorted(notes, key=lambda note: note.step)
    kept = [_fitting(note) for note in listed if note.kind != "omitted"]
    omitted = [note for note in listed if note.kind == "omitted"]
    sizes = [len(_dumped(note)) + 1 for note in kept]
    if not omitted and len(kept) <= MAX_NOTES and sum(sizes) < MAX_BYTES:
        return kept
    room, fit = MAX_BYTES - _OMITTED_BYTES, 0
    while fit < min(len(kept), MAX_NOTES - 1) and sizes[fit] <= room:
        room -= sizes[fit]
        fit += 1
    count = sum(note.values.get("count", 1.0) for note in omitted) + len(kept) - fit
    first = min(note.step for note in (*omitted, *kept[fit:]))
    last = Note(first, "omitted", values={"count": count})
    return sorted([*kept[:fit], last], key=lambda note: note.step)


def _fitting(note: Note) -> Note:
    """``note`` with no more and no longer names than the format has room for."""
    named = tuple(replace(fault, name=_cut(fault.name)) for fault in note.tensors[:MAX_TENSORS])
    fitting = replace(note, tensors=named, more=note.more + len(note.tensors) - len(named))
    while fitting.tensors and len(_dumped(fitting)) > MAX_NOTE_BYTES:  # escapes make a short name long
        fitting = replace(fitting, tensors=fitting.tensors[:-1], more=fitting.more + 1)
    return fitting


def _cut(name: str) -> str:
    return name.encode(errors="surrogatepass")[:MAX_NAME_BYTES].decode(errors="ignore") if too_long(name) else name


def too_long(name: str) -> bool:
    """Whether ``name`` has more bytes than a note or an alias may have."""
    return len(name) > MAX_NAME_BYTES or len(name.encode(errors="surrogatepass")) > MAX_NAME_BYTES


def encode(notes: Sequence[Note]) -> bytes:
    """The section of a row: a JSON array, empty without notes. ``notes`` are :func:`bounded`."""
    return ("[" + ",".join(_dumped(note) for note in notes) + "]").encode() if notes else b""


def _dumped(note: Note) -> str:
    content: dict[str, Any] = {"step": int(note.step), "kind": note.kind}
    if note.tensors:
        content["tensors"] = [[f.name, int(f.nan), int(f.pos_inf), int(f.neg_inf)] for f in note.tensors]
    if note.more:
        content["more"] = int(note.more)
    if note.values:
        content["values"] = {name: written(float(value)) for name, value in note.values.items()}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def written(value: float) -> float | str:
    """A float as JSON has it: what is not finite is spelled out."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(data: bytes, start: int, stop: int) -> list[Note]:
    """Notes of a row of the steps ``[start, stop)``, in step order; a note may stand at ``stop`` as well, before the
    step that never came. Raises ValueError when ``data`` is not what :func:`encode` makes."""
    if not data:
        return []
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes of notes, got {len(data)}")
    try:
        content = json.loads(data.decode())
        if not isinstance(content, list) or len(content) > MAX_NOTES:
            raise ValueError(f"expected a JSON array of at most {MAX_NOTES} notes, got {_came(content)}")
        return sorted((_note(each, start, stop) for each in content), key=lambda note: note.step)
    except RecursionError as error:
        raise ValueError("expected a JSON array of notes, got one nested without end") from error


def _note(content: object, start: int, stop: int) -> Note:
    if not isinstance(content, dict):
        raise ValueError(f"expected a note as a JSON object, got {_came(content)}")
    step = content.get("step")
    if type(step) is not int or not start <= step <= stop:  # True is an int, too
        raise ValueError(f"expected a note of a step in [{start}, {stop}], got {_came(step)}")
    tensors, values = content.get("tensors", []), content.get("values", {})
    if not isinstance(tensors, list) or len(tensors) > MAX_TENSORS:
        raise ValueError(f"expected at most {MAX_TENSORS} tensors in a note, got {_came(tensors)}")
    if not isinstance(values, dict) or len(values) > MAX_VALUES:
        raise ValueError(f"expected at most {MAX_VALUES} values in a note, got {_came(values)}")
    return Note(
        step=step,
        kind=_word(content.get("kind"), "the kind of a note"),
        tensors=tuple(_fault(each) for each in tensors),
        more=_whole(content.get("more", 0), "the further tensors of a note"),
        values={_word(name, "the name of a value"): _float(value) for name, value in values.items()},
    )


def _fault(content: object) -> Fault:
    if not isinstance(content, list) or len(content) != 4:
        raise ValueError(f"expected a tensor as [name, nan, pos_inf, neg_inf], got {_came(content)}")
    name, *counts = content
    if not isinstance(name, str) or too_long(name):
        raise ValueError(f"expected the name of a tensor of at most {MAX_NAME_BYTES} bytes, got {_came(name)}")
    return Fault(name, *(_whole(count, "non-finite elements") for count in counts))


def _whole(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ValueError(f"{what}: expected a whole number from 0 to below 2^53, got {_came(value)}")
    return value


def _word(value: object, what: str) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError(f"{what}: expected 1 to 64 of a-z, 0-9 and _, got {_came(value)}")
    return value


def _float(value: object) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    # A literal such as 1e999 or NaN is no JSON that we write; an int may be too large for a float.
    if type(value) is int and abs(value) < MAX_NUMBER:
        return float(value)
    if type(value) is float and math.isfinite(value):
        return value
    raise ValueError(f"expected a number, or one of {', '.join(_NOT_FINITE)}, got {_came(value)}")


def _came(value: object) -> str:
    """What came, in a few characters."""
    sized = isinstance(value, (list, dict)) and len(value) > 3
    return f"{type(value).__name__} of {len(value)}" if sized else repr(value)[:60]  # type: ignore[arg-type]
