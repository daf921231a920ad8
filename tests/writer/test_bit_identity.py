"""Training with the writer is bit-identical to training without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter

from .loops import Net

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "AdamW for-loop": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=False),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
    "LBFGS": lambda p: torch.optim.LBFGS(p, max_iter=3),
    "Adafactor": lambda p: torch.optim.Adafactor(p),
}


def train(name: str, dtype: torch.dtype, logdir: Path | None) -> list[torch.Tensor]:
    """Everything that training leaves behind: losses, parameters, optimizer state, random state."""
    model = Net(dtype)
    torch.manual_seed(5)
    optimizer: Any = OPTIMIZERS[name]([p for n, p in model.named_parameters() if "unused" not in n])
    if logdir is not None:
        optimizer = GradHealthWriter(optimizer, model, logdir=logdir, every=4, streams="all")
    dropout = torch.nn.Dropout(0.1)
    left = []
    for _ in range(15):
        x = torch.randn(8, 6).to(dtype)

        def closure(batch: torch.Tensor = x) -> torch.Tensor:
            optimizer.zero_grad()
            loss: torch.Tensor = (model(dropout(batch)) - batch.sum(1, keepdim=True)).square().mean()
            loss.backward()
            return loss

        if name == "LBFGS":
            loss = optimizer.step(closure)
        else:
            loss = closure()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if logdir is not None:
            optimizer.gradhealth.log(loss=loss)
        left.append(loss.detach().clone())
    if logdir is not None:
        assert (optimizer.gradhealth.step, optimizer.gradhealth.problems) == (15, 0)
        optimizer.gradhealth.close()
    left += [parameter.detach() for parameter in model.parameters()]
    for state in optimizer.state.values():
        left += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return [*left, torch.get_rng_state()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_identical_to_the_last_bit(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    bare = train(name, dtype, None)
    for i, (one, other) in enumerate(zip(bare, train(name, dtype, None), strict=True)):
        assert torch.equal(one, other), f"bare against bare differs already at {i}: the comparison would prove nothing"
    watched = train(name, dtype, tmp_path)
    assert len(bare) == len(watched)
    for i, (one, other) in enumerate(zip(bare, watched, strict=True)):
        assert torch.equal(one, other), f"item {i} of what training leaves differs"
