"""An examination leaves everything as it was, bit for bit, however it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tb_gradhealth import doctor

from .models import Awkward, batch, loss


def bits(tensor: torch.Tensor | None) -> bytes | None:
    return None if tensor is None else tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()


def state(model: nn.Module) -> list[Any]:
    """Identities, bytes and versions of all tensors, modes, hooks, generators and global modes."""
    found: list[Any] = []
    for name, module in model.named_modules():
        hooks = [len(value) for key, value in vars(module).items() if key.endswith("_hooks")]
        found.append((name, module.training, hooks, {key: id(one) for key, one in vars(module).items()}))
        for own in (module._parameters, module._buffers):
            found += [(key, id(one), bits(one)) for key, one in own.items()]
    for name, one in model.named_parameters():
        found.append((name, one.requires_grad, one._version, id(one.grad), bits(one.grad), one._backward_hooks))
    generators = random.getstate(), np.random.get_state()[1].tobytes(), bits(torch.get_rng_state())
    modes = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()
    return [*found, generators, modes, torch.get_default_device()]


def spoil(model: nn.Module, one: Any) -> torch.Tensor:
    """A loss function that touches all it should not."""
    found = loss(model, one)
    random.random(), np.random.rand(), torch.rand(1)
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        parameter.data.mul_(1.001)
        parameter.grad = torch.zeros_like(parameter)
    model.get_buffer("mask").zero_()
    model.register_forward_hook(lambda *_: None)
    model.extra = nn.Linear(1, 1)
    model.norm.running_mean = torch.ones(16)  # type: ignore[union-attr]
    return found


def raises(model: nn.Module, one: Any) -> torch.Tensor:
    spoil(model, one)
    raise RuntimeError("the user's own")


@pytest.mark.parametrize("loss_fn", [loss, spoil, raises])
@pytest.mark.parametrize("grad_mode", [True, False])
def test_everything_is_as_it_was(loss_fn: Callable[..., torch.Tensor], grad_mode: bool) -> None:
    model = Awkward()
    loss(model, batch()).backward()
    model.head.bias.grad = None
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad])
    with torch.set_grad_enabled(grad_mode):
        before = state(model)
        if loss_fn is raises:
            with pytest.raises(RuntimeError, match="the user's own"):
                doctor(model, batch, loss_fn, optimizer)
        else:
            report = doctor(model, batch, loss_fn, optimizer)
            assert len(report.examined.calls) > 4
        assert state(model) == before
    assert not optimizer.state


def test_steps_are_those_of_a_copy() -> None:
    model = Awkward()
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad])
    before = state(model)
    report = doctor(model, batch, loss, optimizer, steps=4)
    assert report.later is not None
    assert report.later.steps == (0, 4)
    assert state(model) == before
    assert not optimizer.state


def test_a_graph_from_before_still_goes_backward() -> None:
    model = Awkward()
    kept = loss(model, batch())
    doctor(model, batch, spoil)
    kept.backward()
    assert model.head.weight.grad is not None


def test_hooks_that_step_within_backward_do_not() -> None:
    model = nn.Sequential(nn.Linear(8, 3))
    stepped = []
    for one in model.parameters():
        one.register_post_accumulate_grad_hook(stepped.append)
    doctor(model, batch, loss)
    assert stepped == []
    loss(model, batch()).backward()
    assert len(stepped) == 2
