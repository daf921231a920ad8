"""Mixed precision: float16 with a GradScaler, unscaling and clipping. ``python examples/amp.py``

On CUDA where there is a device, otherwise on the CPU. What is measured is what ``step()`` consumes: gradients that are
unscaled and clipped. A step that the scaler skips changes no parameter.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from shared import batches, classifier, digits, options, say_where
from torch.utils.data import DataLoader

from tb_gradhealth import GradHealthWriter


def main() -> None:
    chosen = options("amp")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = classifier().to(device)
    loader = DataLoader(digits(), batch_size=64, shuffle=True)
    scaler = torch.amp.GradScaler(device)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    optimizer = GradHealthWriter(optimizer, model, logdir=chosen.logdir)  # the only line added

    skipped = 0
    for images, labels in batches(loader, chosen.steps):
        with torch.autocast(device, dtype=torch.float16):
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < scale  # it shrinks after a step with an infinity or NaN
    print(f"loss {loss.item():.3f}, {skipped} of {chosen.steps} steps skipped by the scaler")
    say_where(chosen.logdir)


if __name__ == "__main__":
    main()
