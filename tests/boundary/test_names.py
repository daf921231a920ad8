"""Names are those of the bare model, whatever wraps it, and no two parameters get the same one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.parallel import DataParallel

from tb_gradhealth.boundary.names import Named, Names

from ..writer.loops import Net


def named(model: torch.nn.Module | None, *parameters: torch.Tensor, prefix: str = "") -> list[Named]:
    return Names(model, prefix).of([{"params": list(parameters)}])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: net,
        DataParallel,
        lambda net: torch.compile(net, backend="eager"),
        lambda net: torch.compile(DataParallel(net), backend="eager"),
        lambda net: DataParallel(torch.compile(net, backend="eager")),
    ],
    ids=["bare", "parallel", "compiled", "compiled parallel", "parallel compiled"],
)
def test_wrappers_leave_no_trace(wrap: Any) -> None:
    net = Net()
    expected = [name for name, _ in net.named_parameters()]
    found = named(wrap(net), *net.parameters())
    assert [one.name for one in found] == expected
    assert all(one.aliases == () for one in found)


def test_wrapped_parts_leave_no_trace() -> None:
    net: Any = Net()
    expected = [name for name, _ in net.named_parameters()]
    net.body = checkpoint_wrapper(net.body)
    net.head = DataParallel(net.head)
    assert [one.name for one in named(net, *net.parameters())] == expected


def test_a_users_own_module_of_that_name_stays() -> None:
    class Mine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = torch.nn.Linear(2, 2)
            self._orig_mod = torch.nn.Linear(2, 2)

    model = Mine()
    assert [one.name for one in named(model, *model.module.parameters())] == ["module.weight", "module.bias"]


def test_names_that_would_clash_without_their_wrapper_keep_it() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = torch.nn.Linear(2, 2, bias=False)
            self.weight = torch.nn.Parameter(torch.ones(2))

    model = Twice()
    assert {one.name for one in named(model, *model.parameters())} == {"weight", "_orig_mod.weight"}


def test_strangers_are_numbered_and_prefixed() -> None:
    net, stranger = Net(), torch.nn.Parameter(torch.ones(2))
    found = Names(net, "critic").of([{"params": [net.head.bias]}, {"params": [net.head.weight, stranger]}])
    assert [one.name for one in found] == ["critic.head.bias", "critic.head.weight", "critic.group1.param1"]


def test_a_model_that_is_gone_is_remembered_by_its_names() -> None:
    net: Any = Net()
    names, bias = Names(net), net.head.bias
    assert names.of([{"params": [bias]}])[0].name == "head.bias"
    del net
    assert names.of([{"params": [bias]}])[0].name == "head.bias"


def test_surgery_is_seen() -> None:
    net: Any = Net()
    names, before = Names(net), net.head.bias
    net.tail, net.head = net.head, torch.nn.Linear(16, 1)
    assert [one.name for one in names.of([{"params": [before, net.head.bias]}])] == ["tail.bias", "head.bias"]
