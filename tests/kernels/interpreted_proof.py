"""How the fused kernels prove themselves, in Triton's interpreter. Run by ``test_proof.py``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradhealth_kernels import constants, device, device_ring, reference
from gradhealth_kernels.constants import IN_PLACE, READ, SCALED
from gradhealth_kernels.device import CheckedMeter
from gradhealth_kernels.device_ring import DeviceRing, Taken
from gradhealth_kernels.pair import FusedPair
from gradhealth_kernels.statistics import NEAR_ZERO, neutral

from .cases import DTYPES, differences, normal
from .interpreted import CPU, garbage, poisoned_memory, records

__all__ = ["poisoned_memory"]  # a fixture of each test here, too


def test_the_kernels_prove_themselves_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_ring, "meter_for", CheckedMeter)
    monkeypatch.setattr(device, "SAMPLE", 5001)
    ring = DeviceRing(CPU, 2, 2, NEAR_ZERO)
    items = [(0, normal(2000, torch.float32), 0), (1, normal(500, torch.bfloat16), 3)]
    meter: Any = ring._meter
    ring.measure(0, items)
    assert not meter._proof.settled
    ring.measure(1, items)
    assert isinstance(meter._fused, FusedPair)
    plain, fused = Taken(neutral((2, 2)), [ring.copy(2)]).entries()
    for index in range(2):
        assert differences(fused[index], plain[index]) == []


def test_the_scaled_kernels_prove_themselves_when_they_are_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SAMPLE", 5001)
    monkeypatch.setattr(device, "WIDE", set(DTYPES) - {torch.bfloat16})  # the interpreter rounds it differently
    meter: Any = CheckedMeter(CPU, 1, NEAR_ZERO)
    tensor, inverse_scale = normal(2000, torch.bfloat16), torch.tensor(1e-3)
    out = garbage(1)
    for scale, settled in ((None, set()), (None, {READ}), (inverse_scale, {READ}), (inverse_scale, {READ, SCALED})):
        meter.measure([(0, tensor, 0)], out, scale)
        assert meter._proof.settled == settled
        assert differences(records(out)[0], reference.measure(tensor, NEAR_ZERO, scale)) == []
    assert meter.scaler() is None
    meter.prove()
    assert isinstance(meter.scaler(), FusedPair)
    assert meter._proof.settled == {READ, SCALED, IN_PLACE}
    other: Any = CheckedMeter(CPU, 1, NEAR_ZERO)
    other.prove()
    assert other._proof.settled == {READ, IN_PLACE}
    assert not other.fused, "nothing measured yet"


def test_kernels_that_are_wrong_or_fail_are_given_up_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SAMPLE", 5001)
    monkeypatch.setattr(device, "WIDE", {torch.float16, torch.float32})
    right = constants.of_chunks

    def disagree(*arguments: Any) -> dict[str, Any]:
        return right(*arguments) | {"SATURATED": 1}

    def not_written(dtype: Any, near_zero: float, variant: Any, *arguments: Any) -> dict[str, Any]:
        made = right(dtype, near_zero, variant, *arguments)
        return made | {"IN_PLACE": False} if variant is IN_PLACE else made

    def fail(*arguments: Any) -> dict[str, Any]:
        raise RuntimeError("no such device")

    def other_norm(signed: bool) -> dict[str, Any]:
        return right_norm(signed) | {"SUM_SQ": 8}

    tensor, right_norm = normal(100, torch.float32), constants.of_norm
    for name, replaced, text in (
        ("of_chunks", disagree, "disagree with plain torch"),
        ("of_chunks", not_written, "disagree with plain torch"),
        ("of_norm", other_norm, "disagree with plain torch"),
        ("of_chunks", fail, r"RuntimeError: no such device"),
    ):
        monkeypatch.setattr(constants, "of_chunks", right)
        monkeypatch.setattr(constants, name, replaced)
        meter = CheckedMeter(CPU, 1, NEAR_ZERO)
        out = garbage(1)
        with pytest.warns(RuntimeWarning, match=text) as caught:
            for _ in range(3):
                meter.measure([(0, tensor, 0)], out)
                meter.prove()
                assert meter.scaler() is None
        assert len([warning for warning in caught if "tb_gradhealth" in str(warning.message)]) == 1
        assert differences(records(out)[0], reference.measure(tensor)) == []
