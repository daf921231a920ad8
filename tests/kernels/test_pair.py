"""What the host half of the kernels asks of a device: launches and copies per step, counted by a fake launcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gradhealth_kernels import pair, pinned
from gradhealth_kernels.constants import IN_PLACE, READ, SCALED
from gradhealth_kernels.elements import prepare
from gradhealth_kernels.pair import ASM_VARIABLE, FusedPair, packed_instructions
from gradhealth_kernels.pinned import BLOCKS, PinnedRing
from gradhealth_kernels.statistics import NEAR_ZERO, table

CPU = torch.device("cpu")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class FakeKernel:
    """Writes down what it is launched with."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name, self.log = name, log

    def __getitem__(self, grid: tuple[int]) -> Any:
        return lambda *arguments, **constants: self.log.append((self.name, grid[0], arguments, constants))


class Asked:
    """A pair whose launches and uploads are written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tensors: int) -> None:
        self.launches: list[Any] = []
        self.copies = 0
        self.pair: Any = FusedPair(CPU, tensors, NEAR_ZERO)
        names = ("chunk_entries", "tensor_entries", "total_norm")
        self.pair._kernels = SimpleNamespace(**{name: FakeKernel(name, self.launches) for name in names})
        self.pair._types = dict.fromkeys(FLOATS, "a type of triton's")
        self.out = torch.zeros((tensors, len(table(False))), dtype=torch.int64)
        copy: Any = torch.Tensor.copy_

        def counted(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            self.copies += 1
            return copy(tensor, *arguments, **options)

        monkeypatch.setattr(torch.Tensor, "copy_", counted)

    def step(self, tensors: list[torch.Tensor | None], inverse_scale: torch.Tensor | None = None) -> list[str]:
        """Names of the kernels launched; counts start anew."""
        self.launches.clear()
        self.copies = 0
        self.pair.measure([(i, *prepare(t)) for i, t in enumerate(tensors) if t is not None], self.out, inverse_scale)
        return [name for name, *_ in self.launches]


@pytest.mark.parametrize("count", [4, 40, 4000])
def test_one_launch_per_dtype_and_one_more_whatever_the_number_of_tensors(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    asked = Asked(monkeypatch, count)
    tensors: list[Any] = [torch.zeros(100 + i, dtype=FLOATS[i % 4]) for i in range(count)]
    for _ in range(2):
        assert asked.step(tensors) == ["chunk_entries"] * 4 + ["tensor_entries"]
        assert sum(grid for name, grid, *_ in asked.launches if name == "chunk_entries") == count
        assert asked.launches[-1][1] == count


def test_tables_are_uploaded_when_something_changed_and_not_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 3)
    tensors: list[Any] = [torch.zeros(10), torch.zeros(20), None]
    asked.step(tensors)
    assert asked.copies == 1
    for scale in (None, torch.ones(1)):
        asked.step(tensors, scale)
        assert asked.copies == 0
    for changed in ([torch.zeros(10), tensors[1], None], [tensors[0], None, None], [*tensors[:2], torch.zeros(5)]):
        asked.step(changed)
        assert asked.copies == 1
        assert asked.pair._table[0].tolist() == [0 if t is None else t.data_ptr() for t in changed]
        assert asked.pair._table[1].tolist() == [0 if t is None else t.numel() for t in changed]


def test_a_repeated_step_copies_nothing_and_allocates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 2)
    tensors: list[Any] = [torch.zeros(10), torch.zeros(20)]
    asked.step(tensors)
    asked.launches.clear()
    asked.copies = 0
    for name in ("empty", "zeros", "full", "tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, lambda *_, **__: pytest.fail("allocates"))
    asked.pair.repeat(asked.out, None)
    assert [name for name, *_ in asked.launches] == ["chunk_entries", "tensor_entries"]
    assert asked.copies == 0


def test_after_a_failure_the_tables_are_still_those_of_one_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 1)
    asked.step([torch.zeros(10)])
    upload: Any = pair.uploaded

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(pair, "uploaded", full)
    with pytest.raises(torch.OutOfMemoryError):
        asked.step([torch.zeros(2**20)])
    monkeypatch.setattr(pair, "uploaded", upload)
    asked.step([torch.zeros(2**20)])
    programs = sum(grid for name, grid, *_ in asked.launches if name == "chunk_entries")
    assert programs == len(asked.pair._static[0]) == len(asked.pair._static[-1]) > 1


def test_scaling_is_as_many_launches_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 2)
    factor = torch.ones((), dtype=torch.float64)
    asked.step([torch.zeros(10), torch.zeros(20).half()])
    asked.launches.clear()
    asked.copies = 0
    asked.pair.total_norm(asked.out)
    asked.pair.scale(asked.out, factor)
    assert [name for name, *_ in asked.launches] == ["total_norm", "chunk_entries", "chunk_entries", "tensor_entries"]
    assert all(arguments[4] is factor for name, _, arguments, _ in asked.launches if name == "chunk_entries")
    assert asked.copies == 0


def test_each_variant_is_compiled_for_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 1)
    asked.step([torch.zeros(10)])
    asked.pair.repeat(asked.out, torch.ones(1))
    asked.pair.scale(asked.out, torch.ones(()))
    flags = [(made["SCALED"], made["IN_PLACE"]) for name, *_, made in asked.launches if name == "chunk_entries"]
    assert flags == [tuple(READ), tuple(SCALED), tuple(IN_PLACE)] == [(False, False), (True, False), (True, True)]


class Busy:
    def __init__(self) -> None:
        self.over = False

    def query(self) -> bool:
        return self.over


def test_pinned_blocks_take_turns_and_one_in_use_is_never_handed_out() -> None:
    ring = PinnedRing(CPU, (2, 3))
    events = [Busy() for _ in range(BLOCKS)]
    blocks = [ring.borrow() for _ in range(BLOCKS)]
    assert len({block.data_ptr() for block in blocks}) == BLOCKS
    for block, event in zip(blocks, events, strict=True):
        ring.give_back(block, event)
    more = ring.borrow()
    assert more.data_ptr() not in {block.data_ptr() for block in blocks}
    events[1].over = True
    assert ring.borrow().data_ptr() == blocks[1].data_ptr()
    ring.give_back(more, None)
    assert ring.borrow().data_ptr() == more.data_ptr()
    assert more.shape == (2, 3)
    assert more.dtype is torch.int64


def test_a_ring_that_is_fast_enough_never_makes_another_block(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PinnedRing(CPU, (4,))
    monkeypatch.setattr(pinned.torch, "empty", lambda *_, **__: pytest.fail("allocates"))
    for _ in range(20):
        block, event = ring.borrow(), Busy()
        ring.give_back(block, event)
        event.over = True


def test_packed_instructions_are_off_until_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ASM_VARIABLE, raising=False)
    cuda: Any = SimpleNamespace(type="cuda")
    assert not packed_instructions(cuda)
    monkeypatch.setenv(ASM_VARIABLE, "1")
    for capability, packed in (((8, 0), False), ((8, 9), False), ((9, 0), True), ((10, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert packed_instructions(cuda) == packed
    assert not packed_instructions(CPU)
