"""The gate lets right results through and no wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from bench.kernels import command as kernels
from bench.kernels import eager
from bench.kernels.cases import Case
from bench.kernels.contender import Contender, Prepared
from bench.kernels.contenders import CONTENDERS
from bench.kernels.gate import RedGate, Truth, check, expected

from .tiny import TINY

CPU = torch.device("cpu")
ON_A_CPU = [contender for contender in CONTENDERS if "cpu" in contender.devices]
PAIRS = [
    (contender, case)
    for contender in ON_A_CPU
    for case in TINY
    if not (contender.spoils and case.content == "poisoned")
]


@pytest.mark.parametrize(("contender", "case"), PAIRS, ids=lambda value: value.name)
def test_contenders_pass_and_each_quantity_is_compared(
    monkeypatch: pytest.MonkeyPatch, contender: Contender, case: Case
) -> None:
    # Traced as for Inductor, whose compiler takes half a minute for each dtype; the benchmark itself waits for it.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    tensors = case.tensors(CPU)
    truth = Truth.of(tensors)
    prepared = contender.prepare(tensors)
    for _ in range(2):
        results = dict(prepared.read(prepared.run()))
        assert check(contender, results, truth) <= contender.tolerance
    assert torch.equal(torch.cat([x.view(-1) for x in case.tensors(CPU)]).nan_to_num(), _flat(tensors).nan_to_num())
    for quantity in contender.quantities:
        for lie in (lambda right: right * 1.2 + 1.0, np.zeros_like, lambda right: np.full_like(right, np.nan)):
            wrong = lie(results[quantity])
            if np.array_equal(wrong, results[quantity], equal_nan=True):
                continue
            with pytest.raises(RedGate, match=f"{quantity} of .*expected .*, got "):
                check(contender, {**results, quantity: wrong}, truth)


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_the_calls_that_eager_makes_on_a_gpu_give_the_same(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    (contender,) = (contender for contender in CONTENDERS if contender.name == "eager")
    tensors = case.tensors(CPU)
    truth = Truth.of(tensors)
    monkeypatch.setattr(eager, "_HostFigures", eager._DeviceFigures)
    prepared = contender.prepare(tensors)
    assert check(contender, prepared.read(prepared.run()), truth) <= contender.tolerance


def _flat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([x.view(-1) for x in tensors])


def test_one_wrong_tensor_of_many_is_found_and_named() -> None:
    (naive,) = (contender for contender in CONTENDERS if contender.name == "naive")
    tensors = TINY[0].tensors(CPU)
    prepared = naive.prepare(tensors)
    results = dict(prepared.read(prepared.run()))
    results["near_zero"] = results["near_zero"] + np.array([0.0, 1.0, 0.0])
    with pytest.raises(RedGate, match=r"^near_zero of tensor 1 of shape \(9001,\): expected 282\.0, got 283\.0$"):
        check(naive, results, Truth.of(tensors))


def test_missing_quantities_and_tensors_are_refused() -> None:
    (naive,) = (contender for contender in CONTENDERS if contender.name == "naive")
    truth = Truth.of(TINY[0].tensors(CPU))
    results = {quantity: expected(quantity, truth, whole=False)[0] for quantity in naive.quantities}
    assert check(naive, results, truth) == 0.0
    with pytest.raises(RedGate, match=r"expected total, .*, got total_sq"):
        check(naive, {name: values for name, values in results.items() if name != "total"}, truth)
    with pytest.raises(RedGate, match="inf: expected 3 values, got an array of shape"):
        check(naive, {**results, "inf": results["inf"][:2]}, truth)


def test_sums_over_all_elements_are_those_of_ieee_arithmetic() -> None:
    inf, nan = float("inf"), float("nan")
    rows = [[1.0, -2.0], [1.0, inf], [-inf, 1.0], [inf, -inf], [nan, 1.0]]
    tensors = [torch.tensor(row) for row in rows]
    truth = Truth.of(tensors)
    for quantity, direct in {
        "total": lambda x: x.sum(),
        "total_abs": lambda x: x.abs().sum(),
        "total_sq": lambda x: x.square().sum(),
        "norm": lambda x: x.norm(),
        "largest": lambda x: x.abs().max(),
        "inf": lambda x: x.isinf().sum(),
    }.items():
        right, _ = expected(quantity, truth, whole=False)
        np.testing.assert_allclose(right, [float(direct(x)) for x in tensors], rtol=1e-6)
    assert np.isnan(expected("total", truth, whole=True)[0]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("offset", range(5))
def test_words_are_those_that_the_tensor_lies_in(dtype: torch.dtype, offset: int) -> None:
    """Against the bytes themselves, with zeros around the tensor up to whole words."""
    tensor = torch.randn(201, dtype=torch.float32).to(dtype)[offset : 200 - offset]
    before = tensor.data_ptr() % 4
    content = b"\0" * before + tensor.view(torch.uint8).numpy().tobytes()
    words = np.frombuffer(content + b"\0" * (-len(content) % 4), "<u4")
    assert Truth.of([tensor]).words.tolist() == [int(words.sum(dtype=np.uint64)) % 2**32]


def test_a_lie_on_the_last_case_leaves_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    (right,) = (contender for contender in CONTENDERS if contender.name == "foreach-norm")

    def lying(tensors: Sequence[torch.Tensor]) -> Prepared:
        prepared = right.prepare(tensors)
        factor = 2.0 if tensors[0].dtype is torch.bfloat16 else 1.0
        return Prepared(prepared.run, lambda norms: {"norm": factor * prepared.read(norms)["norm"]})

    contenders = [*(c for c in CONTENDERS if c.name == "sum"), replace(right, name="liar", prepare=lying)]
    assert len(kernels.measure(TINY[:1], contenders, CPU, repeats=1)["cases"]) == 1
    capsys.readouterr()
    with pytest.raises(RedGate, match=r"^liar on tiny-bf16: norm of tensor 0 of shape \(33, 70\): expected"):
        kernels.measure(TINY[:2], contenders, CPU, repeats=1)
    assert capsys.readouterr().out == ""
