"""The ways of training that the rows must be right for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, SequenceParallel, parallelize_module
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from .model import Net


def _sgd(model: torch.nn.Module) -> Any:
    return torch.optim.SGD(model.parameters(), lr=0.05)


@dataclass
class Setup:
    """A model on its ranks. This rank's share of the batch is ``index`` of ``replicas``, in ``micro`` parts."""

    model: Any
    index: int = 0
    replicas: int = 1
    micro: int = 1
    optimizer: Callable[[torch.nn.Module], Any] = field(default=_sgd)


def plain(net: Net) -> Setup:
    return Setup(net)


def accumulation(net: Net) -> Setup:
    return Setup(net, micro=4)


def compiled(net: Net) -> Setup:
    # Without code generation, which needs a compiler: the wrapping and the traced backward are the same.
    return Setup(torch.compile(net, backend="aot_eager"))


def _replicated(net: Any, micro: int = 1, **options: Any) -> Setup:
    model = DistributedDataParallel(net, find_unused_parameters=True, **options)
    return Setup(model, dist.get_rank(), dist.get_world_size(), micro)


def ddp(net: Net) -> Setup:
    return _replicated(net)


def ddp_bucket_view(net: Net) -> Setup:
    return _replicated(net, gradient_as_bucket_view=True)


def ddp_no_sync(net: Net) -> Setup:
    return _replicated(net, micro=2)


def ddp_compiled(net: Net) -> Setup:
    return _replicated(torch.compile(net, backend="aot_eager"))


def zero(net: Net) -> Setup:
    setup = _replicated(net)
    setup.optimizer = lambda model: ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.05)
    return setup


def _sharded(net: Net, mesh: DeviceMesh | None = None, **options: Any) -> Setup:
    for part in (net.up, net.down, net):
        fully_shard(part, mesh=mesh, **options)
    return Setup(net, dist.get_rank(), dist.get_world_size())


def fsdp2(net: Net) -> Setup:
    return _sharded(net)


def fsdp2_bf16(net: Net) -> Setup:
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return _sharded(net, mp_policy=policy)


def hsdp(net: Net) -> Setup:
    return _sharded(net, init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))


def tp(net: Net) -> Setup:
    """Shard and Replicate placements, beside parameters that are no DTensor."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parallelize_module(net, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    return Setup(net)


class _SplitEmbedding(torch.nn.Module):
    """Splits the batch over the ranks, as sequence parallelism does, so that its gradient is Partial."""

    def __init__(self, whole: torch.nn.Embedding, mesh: DeviceMesh) -> None:
        super().__init__()
        self.mesh = mesh
        self.weight = torch.nn.Parameter(distribute_tensor(whole.weight.detach(), mesh, [Replicate()]))

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        return functional.embedding(distribute_tensor(index, self.mesh, [Shard(0)]), self.weight)


def tp_partial(net: Net) -> Setup:
    """What SequenceParallel leaves on a norm: gradients that are still to be added up."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    plan = {
        "norm": SequenceParallel(sequence_dim=0),
        "up": ColwiseParallel(input_layouts=Shard(0)),
        "down": RowwiseParallel(),
    }
    parallelize_module(net, mesh, plan)
    net.emb = _SplitEmbedding(net.emb, mesh)
    return Setup(net)


def fsdp2_tp(net: Net) -> Setup:
    """Meshes that do not span the job: what is not parallelised is sharded by each column of ranks for itself."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    parallelize_module(net, mesh["tp"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    fully_shard(net, mesh=mesh["dp"])
    return Setup(net, mesh["dp"].get_local_rank(), 2)


@dataclass(frozen=True)
class Run:
    """One training of one configuration."""

    build: Callable[[Net], Setup]
    processes: int
    whole: bool = False
    every: int = 1

    @property
    def steps(self) -> int:
        return 3 if self.every == 1 else 7

    def __str__(self) -> str:
        data = "whole" if self.whole else "real"
        return f"{self.build.__name__}-{self.processes}-{data}-{self.every}"


_REAL: dict[int, list[Callable[[Net], Setup]]] = {
    1: [plain, accumulation, compiled],
    2: [ddp, ddp_bucket_view, ddp_no_sync, ddp_compiled, zero, fsdp2, fsdp2_bf16, tp, tp_partial],
    4: [ddp, fsdp2, fsdp2_bf16, hsdp, tp, tp_partial, fsdp2_tp],
}
_WHOLE: dict[int, list[Callable[[Net], Setup]]] = {
    1: [plain, accumulation],
    2: [ddp, ddp_no_sync, zero, fsdp2, tp, tp_partial],
    4: [fsdp2, hsdp, tp, tp_partial, fsdp2_tp],
}
_ROWS_OF_FIVE: dict[int, list[Callable[[Net], Setup]]] = {1: [plain], 2: [ddp, tp_partial], 4: [fsdp2_tp]}

#: By number of processes: each number is one launch.
RUNS: dict[int, list[Run]] = {
    n: [
        *(Run(build, n) for build in _REAL[n]),
        *(Run(build, n, whole=True) for build in _WHOLE[n]),
        *(Run(build, n, every=5) for build in _ROWS_OF_FIVE[n]),
    ]
    for n in (1, 2, 4)
}
