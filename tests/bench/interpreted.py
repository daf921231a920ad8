"""The contenders in Triton's interpreter, on CPU tensors, through the whole command. Run by ``test_launched.py`` in a
process of its own: TRITON_INTERPRET must be set before Triton is first imported.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import tune
from bench.__main__ import main
from bench.kernels import command as kernels
from bench.kernels import launched
from bench.kernels.contender import Contender
from bench.kernels.contenders import CONTENDERS
from bench.kernels.gate import RedGate, Truth, check
from gradhealth_kernels import constants, device, device_ring, launch
from gradhealth_kernels.device import CheckedMeter
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


def test_what_the_choice_of_a_shape_left_is_not_what_the_gate_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = TINY[0].tensors(CPU)

    def fastest(reader: launched.PureRead) -> tuple[int, int]:
        reader.run(*launched.SHAPES[0])
        monkeypatch.setattr(launched.PureRead, "run", lambda reader, rows, warps: reader._words)
        return launched.SHAPES[0]

    with monkeypatch.context() as on_a_gpu:
        on_a_gpu.setattr(launched, "_fastest", fastest)
        on_a_gpu.setattr(torch.Tensor, "is_cuda", property(lambda x: True))
        prepared = launched.pure_read(tensors)
    with pytest.raises(RedGate, match=r"words of tensor 0 of shape"):
        check(in_triton("read"), prepared.read(prepared.run()), Truth.of(tensors))


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients on the CPU are measured as a device's: kernels are proven first, then launched again and again."""
    monkeypatch.setattr(launch, "stays", lambda device: True)
    monkeypatch.setattr(device_ring, "meter_for", CheckedMeter)
    monkeypatch.setattr(device, "SAMPLE", 5001)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda x: True))


@pytest.mark.usefixtures("as_on_a_gpu")
def test_launches_that_do_nothing_are_not_hidden_by_what_proved_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    (contender,) = (contender for contender in CONTENDERS if contender.name == "ours")
    tensors = TINY[0].tensors(CPU)
    truth = Truth.of(tensors)
    prepared = contender.prepare(tensors)
    assert check(contender, prepared.read(prepared.run()), truth) < contender.tolerance
    prepared = contender.prepare(tensors)
    did_nothing: list[bool] = []
    monkeypatch.setattr(FusedPair, "repeat", lambda pair, out, inverse_scale: did_nothing.append(True))
    with pytest.raises(RedGate, match=r"count of tensor 0 of shape \(33, 70\): expected 2310.0, got 0.0"):
        check(contender, prepared.read(prepared.run()), truth)
    assert did_nothing == [True]


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


TUNE = ["tune", "--device", "cpu", "--dtype", "fp32", "--elements", "6000", "--tensors", "3", "--repeats", "3"]


def test_points_of_a_sweep_agree_and_are_ranked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = [tune.DEFAULT, tune.Point(1, 8, 2**14, False), tune.Point(8, 4, 2**14, False)]
    monkeypatch.setattr(tune, "points", lambda asm: chosen)
    main([*TUNE, "--json", str(tmp_path / "tune.json")])
    printed = capsys.readouterr().out
    assert all(str(point) in printed for point in chosen)
    assert "default:" in printed
    rows = json.loads((tmp_path / "tune.json").read_text())["points"]
    assert set(rows) == {str(point) for point in chosen}
    assert (constants.ROWS, constants.UNROLL, constants.WARPS) == (128, 4, 4), "left as it was"


def test_no_point_is_timed_that_gives_other_entries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure: Any = FusedPair.measure

    def wrong(pair: Any, items: Any, out: torch.Tensor) -> None:
        measure(pair, items, out)
        out[0, 1] += int(pair._chunk == 2**14)

    monkeypatch.setattr(FusedPair, "measure", wrong)
    monkeypatch.setattr(tune, "points", lambda asm: [tune.DEFAULT, tune.Point(1, 8, 2**14, False)])
    with pytest.raises(SystemExit, match="unroll 1, 8 warps, chunk 16 Ki: entries differ"):
        main(TUNE)
    assert "GB/s" not in capsys.readouterr().out
