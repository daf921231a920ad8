"""A plain PyTorch loop: a classifier of handwritten digits, and one line. ``python examples/plain.py``"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from shared import batches, classifier, digits, options, say_where
from torch.utils.data import DataLoader

from tb_gradhealth import GradHealthWriter


def main() -> None:
    chosen = options("plain")
    model = classifier()
    loader = DataLoader(digits(), batch_size=64, shuffle=True)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    optimizer = GradHealthWriter(optimizer, model, logdir=chosen.logdir)  # the only line added

    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, chosen.steps)
    for images, labels in batches(loader, chosen.steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"loss {loss.item():.3f}")
    say_where(chosen.logdir)


if __name__ == "__main__":
    main()
