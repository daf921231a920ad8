"""The contenders in Triton's interpreter, on CPU tensors, through the whole command. Run by ``test_launched.py`` in a
process of its own: TRITON_INTERPRET must be set before Triton is first imported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.kernels import command as kernels
from bench.kernels import launched
from bench.kernels.contender import Contender
from bench.kernels.contenders import CONTENDERS
from bench.kernels.gate import RedGate, Truth, check
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import ENTRIES, NEAR_ZERO

from .tiny import TINY

CPU = torch.device("cpu")
CHUNK = 4096


def in_triton(name: str) -> Contender:
    (contender,) = (contender for contender in CONTENDERS if contender.name == name)
    return replace(contender, devices=("cpu", "cuda"))


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_the_pure_read_sums_every_word_once(case: Any) -> None:
    tensors = case.tensors(CPU)
    reader = launched.PureRead(tensors, chunk=CHUNK)
    assert len(reader.layout.tensor) > len(tensors)
    truth, contender = Truth.of(tensors), in_triton("read")
    assert check(contender, reader.read(reader.run(*launched.SHAPES[0])), truth) == 0.0
    tensors[0].view(-1)[3] += 1.0
    with pytest.raises(RedGate, match=r"words of tensor 0 of shape"):
        check(contender, reader.read(reader.run(*launched.SHAPES[0])), truth)


def test_the_pure_read_has_the_chunks_that_our_kernels_have() -> None:
    tensors = TINY[1].tensors(CPU)
    pair = FusedPair(CPU, len(tensors), NEAR_ZERO)
    items = [(index, x, 0) for index, x in enumerate(tensors)]
    pair.measure(items, torch.zeros((len(tensors), len(ENTRIES)), dtype=torch.int64))
    ours: Any = pair._layout
    roof = launched.PureRead(tensors).layout
    assert (roof.size, roof.launches) == (ours.size, ours.launches)
    assert (roof.tensor == ours.tensor).all()
    assert (roof.index == ours.index).all()


def test_the_squared_norm() -> None:
    for case in TINY:
        tensors = case.tensors(CPU)
        prepared = launched.atomic_norm(tensors)
        truth = Truth.of(tensors)
        for _ in range(2):
            assert check(in_triton("triton-norm"), prepared.read(prepared.run()), truth) < 1e-5


def test_the_command_from_cases_to_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    contenders = [replace(contender, devices=("cpu", "cuda")) for contender in CONTENDERS[:6]]
    result = kernels.measure(TINY[:1], contenders, CPU, repeats=3)
    (case,) = result["cases"]
    assert [row["name"] for row in case["contenders"]] == ["read", "sum", "ours", "foreach-norm", "clip", "triton-norm"]
    assert case["skipped"] == []
    printed = capsys.readouterr().out
    assert all(f"\n  {row['name']} " in printed for row in case["contenders"])
