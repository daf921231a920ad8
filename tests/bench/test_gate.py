"""The gate lets right results through and no wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from bench.kernels import best, compiled, contenders
from bench.kernels import command as kernels
from bench.kernels.cases import Case
from bench.kernels.contender import Contender, Prepared
from bench.kernels.contenders import CONTENDERS
from bench.kernels.gate import RedGate, Truth, check, expected
from bench.kernels.shapes import many

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


FORMS: dict[str, Callable[[list[torch.Tensor]], best.Form]] = {
    "OnHost": best.OnHost,
    "OnDevice": best.OnDevice,
    "OnDevice, compared": partial(best.OnDevice, compare=True),
    "Joined": best.Joined,
}
SAME_SIZE = [replace(case, name=f"same-size-{case.name}", parameters=many(5, 300)) for case in TINY[:3]]


@pytest.mark.parametrize(
    ("form", "case"),
    [(form, case) for form in FORMS for case in [*TINY, *SAME_SIZE] if form != "Joined" or len(set(case.sizes)) == 1],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_form_of_eager_passes(monkeypatch: pytest.MonkeyPatch, form: str, case: Case) -> None:
    (contender,) = (contender for contender in CONTENDERS if contender.name == "eager")
    tensors = case.tensors(CPU)
    monkeypatch.setattr(best, "forms", lambda listed: [FORMS[form](listed)])
    prepared = contender.prepare(tensors)
    assert check(contender, prepared.read(prepared.run()), Truth.of(tensors)) <= contender.tolerance


def test_small_tensors_of_one_size_may_be_joined_and_others_not() -> None:
    def kinds(*sizes: int) -> list[str]:
        return [type(form).__name__ for form in best.forms([torch.ones(size) for size in sizes])]

    assert kinds(300, 300) == ["OnHost", "Joined"]
    assert kinds(300) == kinds(300, 301) == kinds(5000, 5000) == ["OnHost"]


def test_the_fastest_form_is_the_one_that_took_least(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(best.time, "perf_counter", lambda: now[0])

    def form(*seconds: float) -> best.Form:
        left = list(seconds)

        def figures() -> best.Figures:
            now[0] += left.pop(0)
            return np.zeros((6, 1))

        return figures

    slow, fast = form(0.1, 2.0, 2.0, 0.1), form(60.0, 1.0, 9.0, 1.0)
    assert best.fastest([slow, fast]) is fast
    assert best.fastest([slow]) is slow


def test_the_largest_tensor_is_compiled_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []

    def compile(function: Callable[[torch.Tensor], Any], dynamic: bool, **options: Any) -> Callable[..., Any]:
        def measure(x: torch.Tensor) -> Any:
            seen.append((x.numel(), dynamic))
            return function(x)

        return measure

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiled, "_problem", lambda device: None)
    compiled.per_tensor([torch.ones(3), torch.ones(7), torch.ones(5)])
    assert seen == [(7, True)]
    compiled.per_tensor([torch.ones(3), torch.ones(3)])
    assert seen[1:] == [(3, False)]


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


@pytest.mark.parametrize("quantity", ["nan", "pos_inf", "neg_inf", "saturated"])
@pytest.mark.parametrize("lie", [lambda right: right - (right > 0), np.zeros_like, lambda right: np.roll(right, 1)])
def test_a_lie_about_rare_elements_of_16_bits_is_found(quantity: str, lie: Callable[[Any], Any]) -> None:
    (ours,) = (contender for contender in CONTENDERS if contender.name == contenders.OURS)
    (case,) = (case for case in TINY if case.content == "poisoned" and case.dtype is torch.bfloat16)

    def lying(tensors: Sequence[torch.Tensor]) -> Prepared:
        prepared = ours.prepare(tensors)

        def read(values: Any) -> dict[str, Any]:
            results = dict(prepared.read(values))
            return {**results, quantity: lie(results[quantity])}

        return Prepared(prepared.run, read)

    with pytest.raises(RedGate, match=f"^ours on tiny-nonfinite-bf16: {quantity} of tensor"):
        kernels.gate(case, [replace(ours, prepare=lying)], CPU, lambda text: None)


def test_a_contender_that_is_right_at_the_gate_and_wrong_when_timed_has_no_figure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (right,) = (contender for contender in CONTENDERS if contender.name == "foreach-norm")
    prepared_before: list[bool] = []

    def lying(tensors: Sequence[torch.Tensor]) -> Prepared:
        prepared, first = right.prepare(tensors), not prepared_before
        prepared_before.append(True)
        return prepared if first else Prepared(prepared.run, lambda norms: {"norm": 2.0 * prepared.read(norms)["norm"]})

    chosen = [*(c for c in CONTENDERS if c.name == "sum"), replace(right, name="liar", prepare=lying)]
    with pytest.raises(RedGate, match=r"^liar on tiny-bf16: norm of tensor 0"):
        kernels.measure(TINY[1:2], chosen, CPU, repeats=1)
    assert "tiny-bf16" not in capsys.readouterr().out


def test_a_lie_on_the_last_case_leaves_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    (right,) = (contender for contender in CONTENDERS if contender.name == "foreach-norm")

    def lying(tensors: Sequence[torch.Tensor]) -> Prepared:
        prepared = right.prepare(tensors)
        factor = 2.0 if tensors[0].dtype is torch.bfloat16 else 1.0
        return Prepared(prepared.run, lambda norms: {"norm": factor * prepared.read(norms)["norm"]})

    chosen = [*(c for c in CONTENDERS if c.name == "sum"), replace(right, name="liar", prepare=lying)]
    assert len(kernels.measure(TINY[:1], chosen, CPU, repeats=1)["cases"]) == 1
    capsys.readouterr()
    with pytest.raises(RedGate, match=r"^liar on tiny-bf16: norm of tensor 0 of shape \(33, 70\): expected"):
        kernels.measure(TINY[:2], chosen, CPU, repeats=1)
    assert capsys.readouterr().out == ""
