"""Ranks agree on who has which piece of what, through the store that they met in.

Runs on a thread of the writer's: a rank that stays away costs a timeout there, never the training.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch.distributed as dist

from .nodes import Index
from .shards import Piece

#: How long ranks wait for each other before a session, and in a collective.
AGREE_SECONDS = 60.0
COLLECTIVE_SECONDS = 60.0

_begun: Counter[tuple[str, int, int]] = Counter()  # sessions that this process began


class Apart(RuntimeError):
    """The ranks do not record together; the text says why and what to do."""


@dataclass(frozen=True)
class Membership:
    """This process among the ranks that record together: their global ranks, ascending, and its own place there."""

    store: Any
    ranks: tuple[int, ...]
    place: int

    @classmethod
    def of(cls, group: Any) -> Membership | None:
        """None where there is nobody to record with."""
        if not dist.is_available() or not dist.is_initialized():
            return None
        ranks = tuple(sorted(dist.get_process_group_ranks(group or dist.group.WORLD)))
        if len(ranks) < 2 or dist.get_rank() not in ranks:
            return None
        return cls(dist.distributed_c10d._get_default_store(), ranks, ranks.index(dist.get_rank()))

    def apart(self) -> Membership:
        """The same with a connection of its own: the store's lock is held while one waits."""
        return replace(self, store=self.store.clone()) if hasattr(self.store, "clone") else self

    def room(self, what: str, step: int) -> str:
        """A prefix in the store for a session of ``what`` from ``step`` on: the same on ranks that begin one there."""
        base = f"gradhealth/{'.'.join(map(str, self.ranks))}/{what}"
        times = (base, step, self.place)
        _begun[times] += 1
        self.store.set(f"{base}/at/{self.place}", str(step))
        return f"{base}/{step}/{_begun[times]}"

    def is_lowest(self, room: str) -> bool:
        """Whether no lower rank ever came to a room of this kind, whatever step it began at."""
        base = room.rsplit("/", 2)[0]
        return not any(self.store.check([f"{base}/at/{place}"]) for place in range(self.place))


@dataclass(frozen=True)
class Whole:
    """What all ranks together have, in one order, and this rank's part in it."""

    pieces: tuple[Piece, ...]
    columns: Index  # this rank's tensors among ``pieces``
    counted: tuple[bool, ...]  # of this rank's tensors, those whose elements this rank adds
    replicas: tuple[int, ...]  # for each of ``pieces``, how many times its elements are held; 0 if that cannot be told
    conflicts: tuple[str, ...] = ()  # what ranks disagree on, a sentence for each tensor


def layout_hash(pieces: Sequence[Piece], slots: int) -> str:
    return hashlib.sha256(_layout(pieces, slots)).hexdigest()[:32]


def _layout(pieces: Sequence[Piece], slots: int) -> bytes:
    return json.dumps([slots, *(asdict(piece) for piece in pieces)]).encode()


def agree(
    me: Membership, room: str, pieces: Sequence[Piece], owned: Sequence[bool], slots: int, left: Callable[[], float]
) -> Whole:
    """Exchange layouts through the store. ``left`` tells the seconds that remain. Raises Apart."""
    own = layout_hash(pieces, slots)
    me.store.set(f"{room}/{me.place}", own)
    keys = [f"{room}/{place}" for place in range(len(me.ranks))]
    if not appear(me.store, keys, left):
        absent = [me.ranks[place] for place, key in enumerate(keys) if not me.store.check([key])]
        raise Apart(_absent(me, room, absent))
    hashes = [me.store.get(key).decode() for key in keys]
    layouts = {own: list(pieces)}
    if hashes.index(own) == me.place:
        me.store.set(f"{room}/layout/{own}", _layout(pieces, slots))
    for other in dict.fromkeys(hashes):
        if other not in layouts:
            key = f"{room}/layout/{other}"
            if not appear(me.store, [key], left):
                raise Apart("a rank left before it told its layout: see its own output")
            theirs, *listed = json.loads(me.store.get(key))
            if theirs != slots:
                raise Apart(
                    f"ranks record in blocks of {slots} and of {theirs} steps: pass the same every= on each rank"
                )
            layouts[other] = [_piece(fields) for fields in listed]
    return _joined(me, [layouts[one] for one in hashes], owned)


def appear(store: Any, keys: list[str], left: Callable[[], float]) -> bool:
    """Wait until all ``keys`` are in the store, by asking: a blocking call could not be ended. Whether they came."""
    pause = 0.002
    while not store.check(keys):
        if left() <= 0:
            return False
        time.sleep(min(pause, 0.5))
        pause *= 1.5
    return True


def _absent(me: Membership, room: str, absent: list[int]) -> str:
    base, step, _ = room.rsplit("/", 2)
    elsewhere = []
    for rank in absent:
        key = f"{base}/at/{me.ranks.index(rank)}"
        if me.store.check([key]) and (at := me.store.get(key).decode()) != step:
            elsewhere.append(f"rank {rank} began at step {at}")
    if elsewhere:
        return (
            f"this rank began at step {step}, but {', '.join(elsewhere[:3])}: load the same state on every rank, and "
            "clip and change parameters at the same steps"
        )
    named = ", ".join(map(str, absent[:5])) + (", …" if len(absent) > 5 else "")
    return (
        f"{len(absent)} of {len(me.ranks)} ranks ({named}) did not come to record step {step}: construct "
        "GradHealthWriter on every rank, or pass group= with the ranks that have one"
    )


def _piece(fields: dict[str, Any]) -> Piece:
    mesh = fields["mesh"]
    return Piece(
        fields["name"],
        tuple(fields["shape"]),
        fields["dtype"],
        tuple(fields["aliases"]),
        None if mesh is None else tuple(mesh),
        fields["parts"],
        fields["summed"],
    )


def _joined(me: Membership, layouts: list[list[Piece]], owned: Sequence[bool]) -> Whole:
    """``layouts[place]`` → the union. Of a name that lies on several sets of ranks, such as the unparallelised weights
    of FSDP × TP, the set with the lowest rank counts; so of a plain tensor the lowest rank that has it."""
    order: dict[str, int] = {}
    chosen: list[Piece] = []
    counting: list[tuple[int, ...]] = []
    holders: list[int] = []
    conflicts: dict[str, str] = {}
    for rank, pieces in zip(me.ranks, layouts, strict=True):
        for piece in pieces:
            ranks = piece.mesh or (rank,)
            at = order.setdefault(piece.name, len(order))
            if at == len(chosen):
                chosen.append(piece)
                counting.append(ranks)
                holders.append(0)
            elif ranks < counting[at]:
                chosen[at], counting[at] = piece, ranks
            if (piece.shape, piece.dtype) != (chosen[at].shape, chosen[at].dtype):
                other = f"{list(chosen[at].shape)} {chosen[at].dtype} on rank {counting[at][0]}"
                conflicts[piece.name] = f"{piece.name} is {list(piece.shape)} {piece.dtype} on rank {rank} and {other}"
            holders[at] += 1
    for piece, ranks in zip(chosen, counting, strict=True):
        if not set(ranks) <= set(me.ranks):
            raise Apart(f"{piece.name} is sharded over ranks outside the group: pass a group= that holds them all")
    mine = layouts[me.place]
    columns = [order[piece.name] for piece in mine]
    rank = me.ranks[me.place]
    counted = [
        owns and (piece.mesh or (rank,)) == counting[at] for piece, at, owns in zip(mine, columns, owned, strict=True)
    ]
    replicas = [
        0 if piece.summed or held % piece.parts else held // piece.parts
        for held, piece in zip(holders, chosen, strict=True)
    ]
    said = tuple(conflicts.values())
    return Whole(tuple(chosen), np.array(columns, np.intp), tuple(counted), tuple(replicas), said)
