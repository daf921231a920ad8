"""Sharded training as torchtitan does it. ``torchrun --standalone --nproc-per-node=2 examples/fsdp2.py``

Each block of a small transformer is sharded over all processes; gradients are accumulated over two batches, reduced
once and clipped by the norm of the whole model. Every process measures its own shard and one writes the sum, so the
norms are those of the whole tensors. On several machines nothing changes but torchrun's own arguments.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
import torch.nn.functional as F
from shared import options, say_where, text
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.demo.model import GPT, GPTConfig

SEQUENCE, BATCH, ACCUMULATED = 32, 8, 2


def main() -> None:
    chosen = options("fsdp2", steps=100)
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    device = "cuda" if cuda else "cpu"
    mesh = init_device_mesh(device, (world,))

    tokens, vocabulary = text(SEQUENCE)
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocabulary, width=64, layers=2, sequence=SEQUENCE)).to(device)
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    optimizer = GradHealthWriter(optimizer, model, logdir=chosen.logdir)  # the only line added, the same everywhere

    generator = torch.Generator().manual_seed(rank)  # each process draws its own samples
    for _ in range(chosen.steps):
        optimizer.zero_grad()
        for micro in range(ACCUMULATED):
            model.set_requires_gradient_sync(micro == ACCUMULATED - 1)
            batch = tokens[torch.randint(len(tokens), (BATCH,), generator=generator)].to(device)
            logits = model(batch[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            (loss / ACCUMULATED).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    if rank == 0:
        print(f"loss {loss.item():.3f} on {world} processes")
        say_where(chosen.logdir)
    optimizer.gradhealth.close()  # what is pending is added up over the processes, so before they part
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
