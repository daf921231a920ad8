"""The default stream holds what was applied; what there was before clipping stands in a stream of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net, losses
from .amp import backward
from .recorded import Recording, Step, consumed, run_of

STEPS = 6
MAX_NORM = 0.5


def by_parts(model: Net, _: Any) -> None:
    torch.nn.utils.clip_grad_norm_(model.body.parameters(), MAX_NORM)
    torch.nn.utils.clip_grad_norm_(model.head.parameters(), MAX_NORM / 2)


def in_two_calls(model: Net, _: Any) -> torch.Tensor:
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), MAX_NORM, norm)
    return norm


TORCH: dict[str, Callable[[Net, Any], Any]] = {
    "clip_grad_norm_": lambda model, _: torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM),
    "clip_grad_norm_ of a list, inf-norm": lambda model, _: torch.nn.utils.clip_grad_norm_(
        list(model.parameters()), MAX_NORM, norm_type=math.inf
    ),
    "clip_grad_norm_ that never clips": lambda model, _: torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9),
    "clip_grad_value_": lambda model, _: torch.nn.utils.clip_grad_value_(model.parameters(), 0.02),
    "by parts": by_parts,
}
if hasattr(torch.nn.utils, "get_total_norm"):
    TORCH["in two calls"] = in_two_calls


def train(clip: Callable[[Net, Any], Any], logdir: Path | None, **options: Any) -> dict[str, Any]:
    model = Net()
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=0.01)
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=1, **options)
    before: list[Step] = []
    after: list[Step] = []
    returned = []
    for _ in losses(model, STEPS):
        before.append(consumed(model))
        returned.append(clip(model, optimizer))
        after.append(consumed(model))
        optimizer.step()
    if logdir is not None:
        assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (STEPS, 0)
        optimizer.gradhealth.close()
    left = [parameter.detach() for parameter in model.parameters()]
    return {"left": left, "returned": returned, "before": before, "after": after}


def identical(one: dict[str, Any], other: dict[str, Any]) -> bool:
    pairs = list(zip(one["left"] + one["returned"], other["left"] + other["returned"], strict=True))
    return all((a is None and b is None) or torch.equal(a, b) for a, b in pairs)


def both_streams(logdir: Path, recording: Recording, done: dict[str, Any]) -> None:
    run = run_of(logdir)
    assert run.streams() == ["gradients", "unclipped"]
    assert run.timeline("gradients").label == "Gradients (applied)"
    assert run.timeline("unclipped").label == "Gradients (before clipping)"
    recording.check(done["after"])
    recording.check(done["before"], "unclipped")


@pytest.mark.parametrize("name", TORCH)
def test_applied_alone_by_default(tmp_path: Path, recording: Recording, name: str) -> None:
    done = train(TORCH[name], tmp_path)
    run = run_of(tmp_path)
    assert run.streams() == ["gradients"]
    assert run.timeline("gradients").label == "Gradients (applied)"
    recording.check(done["after"])


@pytest.mark.parametrize("name", TORCH)
def test_both_streams_when_torch_clips(tmp_path: Path, recording: Recording, name: str) -> None:
    done = train(TORCH[name], tmp_path, unclipped=True)
    assert identical(done, train(TORCH[name], None))
    both_streams(tmp_path, recording, done)


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf])
@pytest.mark.parametrize("max_norm", [MAX_NORM, 1e9])
def test_both_streams_when_we_clip(
    tmp_path: Path, recording: Recording, max_norm: float, norm_type: float, foreach: bool | None
) -> None:
    def ours(_: Net, optimizer: Any) -> Any:
        return optimizer.gradhealth.clip_grad_norm_(max_norm, norm_type=norm_type, foreach=foreach)

    def torchs(model: Net, _: Any) -> Any:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm, norm_type=norm_type, foreach=foreach)

    done, right = train(ours, tmp_path), train(torchs, None)
    if norm_type == 2.0:  # added up in float64, torch's in float32
        torch.testing.assert_close(done["returned"], right["returned"], rtol=1e-6, atol=0)
        torch.testing.assert_close(done["left"], right["left"], rtol=1e-5, atol=1e-6)
    else:
        assert identical(done, right)
    both_streams(tmp_path, recording, done)


def test_transformers_37566_both_norms_are_shown(tmp_path: Path, recording: Recording) -> None:
    # Trainer logs the norm before clipping alone, and users read it as "clipping is broken".
    done = train(lambda _, optimizer: optimizer.gradhealth.clip_grad_norm_(0.1), tmp_path)
    before, applied = recording.of("", "unclipped"), recording.of("")
    for returned, one, other in zip(done["returned"], before.values(), applied.values(), strict=True):
        assert one is not None
        assert other is not None
        assert returned.item() > 0.2
        assert one.norm == pytest.approx(returned.item(), rel=1e-5)
        assert other.norm == pytest.approx(0.1, rel=1e-4)


def test_our_clip_raises_what_torchs_raises(tmp_path: Path) -> None:
    def text(watch: bool) -> str:
        model = Net()
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
        next(losses(model, 1))
        model.head.bias.grad.fill_(float("nan"))  # type: ignore[union-attr]
        with pytest.raises(RuntimeError, match="non-finite") as raised:
            if watch:
                with GradHealthWriter(optimizer, model, logdir=tmp_path):
                    optimizer.gradhealth.clip_grad_norm_(1.0, error_if_nonfinite=True)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        return str(raised.value)

    assert text(watch=True) == text(watch=False)


def test_under_a_scaler_the_unclipped_gradient_is_unscaled(tmp_path: Path, recording: Recording) -> None:
    model = Net()
    optimizer: Any = GradHealthWriter(torch.optim.SGD(model.parameters(), lr=0.01), model, logdir=tmp_path, every=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    before, after = [], []
    for i in range(3):
        optimizer.zero_grad()
        backward(model, scaler, i)
        scaler.unscale_(optimizer)
        before.append(consumed(model))
        optimizer.gradhealth.clip_grad_norm_(0.1)
        after.append(consumed(model))
        scaler.step(optimizer)
        scaler.update()
    optimizer.gradhealth.close()
    both_streams(tmp_path, recording, {"before": before, "after": after})


NAMES = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "clip_grads_with_norm_"]


def originals() -> list[Any]:
    return [getattr(module, n, None) for n in NAMES for module in (torch.nn.utils, torch.nn.utils.clip_grad)]


def test_torchs_functions_come_back_with_the_last_close(tmp_path: Path) -> None:
    before, models = originals(), [Net(), Net()]
    plain = GradHealthWriter(torch.optim.SGD(Net().parameters(), lr=0.1), logdir=tmp_path / "plain")
    assert originals() == before
    one, two = (
        GradHealthWriter(torch.optim.SGD(m.parameters(), lr=0.1), m, logdir=tmp_path / str(i), unclipped=True)
        for i, m in enumerate(models)
    )
    one.gradhealth.close()
    for _ in losses(models[1], 2):
        torch.nn.utils.clip_grad_norm_(models[1].parameters(), 0.1)
        two.step()
    two.gradhealth.close()
    assert originals() == before
    plain.gradhealth.close()
    assert run_of(tmp_path / "1").timeline("unclipped").end == 2


def test_clipping_a_stranger_is_not_ours(tmp_path: Path, recording: Recording) -> None:
    stranger = Net()

    def clip(*_: Any) -> None:
        next(losses(stranger, 1))
        torch.nn.utils.clip_grad_norm_(stranger.parameters(), 0.01)

    done = train(clip, tmp_path, unclipped=True)
    assert run_of(tmp_path).streams() == ["gradients"]
    recording.check(done["after"])
