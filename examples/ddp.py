"""Data parallel training. ``torchrun --standalone --nproc-per-node=2 examples/ddp.py``

Every process builds the writer with the same line. After the gradients are averaged all hold the same ones, so one
process writes. On several machines nothing changes but torchrun's own arguments.
"""

from __future__ import annotations

import os
from itertools import islice

import torch
import torch.distributed as dist
import torch.nn.functional as F
from shared import classifier, digits, options, say_where
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from tb_gradhealth import GradHealthWriter


def main() -> None:
    chosen = options("ddp")
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    data = digits()
    sampler: DistributedSampler[torch.Tensor] = DistributedSampler(data)
    loader = DataLoader(data, batch_size=32, sampler=sampler)

    model = DistributedDataParallel(classifier().to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    optimizer = GradHealthWriter(optimizer, model, logdir=chosen.logdir)  # the only line added, the same everywhere

    left = chosen.steps
    while left:
        sampler.set_epoch(left)
        for images, labels in islice(loader, left):
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            left -= 1
    if dist.get_rank() == 0:
        print(f"loss {loss.item():.3f} on {dist.get_world_size()} processes")
        say_where(chosen.logdir)
    optimizer.gradhealth.close()  # what is pending is added up over the processes, so before they part
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
