"""Ranks agree and merge: threads stand for ranks, over a real store and real gloo groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st

from gradhealth_kernels.statistics import ENTRIES, Entries, neutral
from tb_gradhealth import ranks
from tb_gradhealth.gathering import Gathering, Local
from tb_gradhealth.merging import Merger
from tb_gradhealth.notes import Note
from tb_gradhealth.ranks import Apart, Membership, Whole, agree
from tb_gradhealth.shards import Piece
from tb_gradhealth.store.blocks import Block, Ready

from .synthetic import gradients, measured

T = TypeVar("T")

SAME = "load the same state on every rank, and clip and change parameters at the same steps"


def on_each(count: int, work: Callable[[Membership], T]) -> list[T]:
    """``work`` on ``count`` ranks at once, whose global numbers are 0, 2, 4, …"""
    store = dist.HashStore()
    members = [Membership(store, tuple(range(0, 2 * count, 2)), place) for place in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, members))


def in_time(seconds: float = 20.0) -> Callable[[], float]:
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def plain(*names: str) -> list[Piece]:
    return [Piece(name, (6,), "float32") for name in names]


def agreed(layouts: Sequence[Sequence[Piece]], owned: Sequence[Sequence[bool]] | None = None) -> list[Whole]:
    def one(me: Membership) -> Whole:
        mine = layouts[me.place]
        return agree(me, "room", mine, owned[me.place] if owned else [True] * len(mine), 4, in_time())

    return on_each(len(layouts), one)


def test_equal_layouts_are_counted_by_the_lowest_rank_alone() -> None:
    first, second = agreed([plain("a", "b"), plain("a", "b")])
    assert (first.counted, second.counted) == ((True, True), (False, False))
    assert first.columns.tolist() == second.columns.tolist() == [0, 1]
    assert first.replicas == (2, 2)


def test_layouts_that_differ_make_a_union_in_the_order_of_the_ranks() -> None:
    first, second, third = agreed([plain("a", "b"), plain("b", "c"), plain("c")])
    for whole in (first, second, third):
        assert [piece.name for piece in whole.pieces] == ["a", "b", "c"]
        assert whole.replicas == (1, 2, 2)
    assert (first.counted, second.counted, third.counted) == ((True, True), (False, True), (False,))
    assert second.columns.tolist() == [1, 2]


def test_of_several_meshes_with_one_name_the_one_with_the_lowest_rank_counts() -> None:
    # FSDP2 × TP: the weights that are not parallelised lie on each column of the mesh.
    even, odd = Piece("w", (8,), "float32", (), (0, 4), 2), Piece("w", (8,), "float32", (), (2, 6), 2)
    wholes = agreed([[even], [odd], [even], [odd]])
    assert [whole.counted for whole in wholes] == [(True,), (False,), (True,), (False,)]
    assert all(whole.replicas == (2,) and whole.pieces == (even,) for whole in wholes)


def test_a_mesh_that_reaches_beyond_the_group_cannot_be_merged() -> None:
    def one(me: Membership) -> str:
        with pytest.raises(Apart) as raised:
            agree(me, "room", [Piece("w", (8,), "float32", (), (0, 1), 2)], [True], 4, in_time())
        return str(raised.value)

    assert all(
        "w is sharded over ranks outside the group: pass a group= that holds them all" in s for s in on_each(2, one)
    )


def test_ranks_that_do_not_come_are_named() -> None:
    def one(me: Membership) -> str:
        if me.place == 2:
            return ""
        with pytest.raises(Apart) as raised:
            agree(me, me.room("gradients", 7), plain("a"), [True], 4, in_time(0.3))
        return str(raised.value)

    said, _, _ = on_each(3, one)
    assert said == (
        "1 of 3 ranks (4) did not come to record step 7: construct GradHealthWriter on every rank, or pass group= with "
        "the ranks that have one"
    )


def test_ranks_at_different_steps_are_told_so() -> None:
    def one(me: Membership) -> str:
        room = me.room("different steps", 100 if me.place == 0 else 0)
        with pytest.raises(Apart) as raised:
            agree(me, room, plain("a"), [True], 4, in_time(0.5))
        return str(raised.value)

    first, second = on_each(2, one)
    assert first == "this rank began at step 100, but rank 2 began at step 0: " + SAME
    assert second == "this rank began at step 0, but rank 0 began at step 100: " + SAME


def test_blocks_of_different_lengths_are_told_so() -> None:
    def one(me: Membership) -> str:
        with pytest.raises(Apart) as raised:
            agree(me, "room", plain("a"), [True], 4 + me.place, in_time())
        return str(raised.value)

    assert on_each(2, one)[0] == ("ranks record in blocks of 4 and of 5 steps: pass the same every= on each rank")


def merged(parts: Sequence[Entries], whole: Sequence[Whole]) -> list[tuple[Entries | None, list[str]]]:
    return on_each(len(parts), lambda me: Merger(me, "room", whole[me.place], 4).merge(0, parts[me.place]))


@given(seed=st.integers(0, 1000), cut=st.integers(0, 24), steps=st.integers(1, 4))
def test_shards_merge_into_what_the_whole_tensor_measures(seed: int, cut: int, steps: int) -> None:
    elements = np.round(gradients(steps, 1, seed, 24) * 2.0**10)  # whole numbers: sums are exact in any order
    elements[0, 0, seed % 24] = [np.nan, np.inf, -np.inf, 0.0][seed % 4]
    piece = Piece("w", (24,), "float64", (), (0, 2), 2)
    wholes = agreed([[piece], [piece]])
    parts = [measured(elements[:, :, :cut]), measured(elements[:, :, cut:])]
    for found, diverged in merged(parts, wholes):
        assert found is not None
        for entry in ENTRIES:
            assert found[entry.name].tolist() == measured(elements)[entry.name].tolist(), entry.name
        assert diverged == []


@pytest.mark.parametrize("change", [0.0, 1e-3, np.nan])
def test_replicas_that_differ_are_named_and_the_lowest_rank_is_believed(change: float) -> None:
    elements = gradients(3, 2)
    other = elements.copy()
    other[1, 1, 0] += change * np.abs(other[1, 1]).max()
    parts = [measured(elements), measured(other)]
    for found, diverged in merged(parts, agreed([plain("a", "b"), plain("a", "b")])):
        assert diverged == ([(1, "b")] if change else [])
        assert found is not None
        assert found["sum"].tolist() == parts[0]["sum"].tolist()


class Keeping:
    """A next stage that keeps what it is given."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces, self.blocks, self.closed = pieces, list[Block](), False

    def submit(self, block: Block) -> None:
        self.blocks.append(block)

    def finish(self, timeout: float) -> None:
        self.closed = True

    def join(self) -> None: ...

    def is_alive(self) -> bool:
        return False


def gathered(
    work: Callable[[Membership, Callable[..., Gathering]], Any], count: int = 2
) -> tuple[list[Any], list[Any]]:
    """Run ``work(me, start)`` on each rank; what the lowest handed on, and all problems."""
    stages: list[Keeping] = []
    problems: list[list[str]] = [[] for _ in range(count)]

    def one(me: Membership) -> Any:
        def begin(pieces: Sequence[Piece]) -> Keeping:
            stages.append(Keeping(pieces))
            return stages[-1]

        def start(pieces: list[Piece], step: int = 0) -> Gathering:
            return Gathering(
                me, Local(pieces, [True] * len(pieces), 4, "gradients", step), begin, problems[me.place].append
            )

        return work(me, start)

    on_each(count, one)
    return stages, problems


def block(first: int, entries: Entries, **options: Any) -> Block:
    return Block(first, Ready(entries[first : first + options.pop("steps", 4)]), **options)


def test_a_rank_that_lost_a_block_finds_the_others_again() -> None:
    entries = measured(gradients(12, 1))

    def work(me: Membership, start: Callable[..., Gathering]) -> None:
        gathering = start(plain("a"))
        for first in (0, 4, 8):
            if not (me.place == 1 and first == 4):
                gathering.submit(block(first, entries))
        gathering.finish(20)
        gathering.join()

    (stage,), problems = gathered(work)
    assert [found.first_step for found in stage.blocks] == [0, 8]
    assert problems == [["steps from 4 on are not recorded: other ranks are already further"], []]


def test_a_shorter_block_cuts_the_others_to_its_length() -> None:
    entries = measured(gradients(4, 1))

    def work(me: Membership, start: Callable[..., Gathering]) -> None:
        gathering = start(plain("a"))
        gathering.submit(block(0, entries, steps=4 - me.place))
        gathering.finish(20)
        gathering.join()

    (stage,), _ = gathered(work)
    assert [len(found.read()[0]) for found in stage.blocks] == [3]
    assert stage.closed


def test_replicas_that_stay_apart_are_noted_once() -> None:
    entries = measured(gradients(8, 1))

    def work(me: Membership, start: Callable[..., Gathering]) -> None:
        gathering = start(plain("a"))
        other = entries.copy()
        other["sum_sq"] *= 1 + me.place
        for first in (0, 4):
            gathering.submit(block(first, other))
        gathering.finish(20)
        gathering.join()

    (stage,), _ = gathered(work)
    notes: list[Note] = [note for found in stage.blocks for note in found.notes]
    assert [(note.step, note.kind, note.tensors[0].name) for note in notes] == [(0, "diverged", "a")]


def test_alone_only_what_is_whole_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "AGREE_SECONDS", 0.3)
    entries = measured(gradients(4, 2))
    pieces = [*plain("a"), Piece("w", (12,), "float32", (), (0, 2), 2)]

    def work(me: Membership, start: Callable[..., Gathering]) -> None:
        if me.place == 0:
            gathering = start(pieces)
            gathering.submit(block(0, entries))
            time.sleep(0.5)
            gathering.finish(20)
            gathering.join()

    (stage,), problems = gathered(work)
    ((found, _),) = [one.read() for one in stage.blocks]
    assert found[:, 0].tolist() == entries[:, 0].tolist()
    assert found[:, 1].tolist() == neutral((4,)).tolist()
    (said,) = problems[0]
    assert "1 of 2 ranks (2) did not come to record step 0" in said
    assert "The lowest one goes on alone; 1 sharded tensors are not measured from here on" in said


def test_terms_are_added_up_and_then_measured() -> None:
    values = np.round(gradients(3, 1, 5, 7) * 2.0**10)
    values[1, 0, 3] = np.inf
    piece = Piece("w", (7,), "float64", (), (0, 2), 1, 7)
    wholes = agreed([[piece], [piece]])
    nothing = neutral((3, 1))

    def one(me: Membership) -> Entries | None:
        share = [values[:, 0] - 3, np.full((3, 7), 3.0)][me.place]
        terms = {(row, 0): share[row] for row in range(2)}  # at the last step nobody has a gradient
        return Merger(me, "room", wholes[me.place], 4).merge(0, nothing, terms)[0]

    for found in on_each(2, one):
        assert found is not None
        for entry in ENTRIES:
            assert found[:2][entry.name].tolist() == measured(values[:2])[entry.name].tolist(), entry.name
        assert found[2].tolist() == nothing[2].tolist()


def test_layouts_that_contradict_each_other_are_told_and_the_lowest_rank_is_believed() -> None:
    small, large = plain("a", "b"), [Piece("a", (7,), "float32"), *plain("b")]
    for whole in agreed([small, large]):
        assert whole.pieces == tuple(small)
        assert whole.conflicts == ("a is [7] float32 on rank 2 and [6] float32 on rank 0",)


def test_pieces_keep_all_they_say_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Piece("b", (3, 5), "bfloat16", ("c.d",), (0, 2), 2)
    first, second = agreed([plain("a"), [replace(odd)]])
    assert first.pieces == second.pieces == (*plain("a"), odd)
