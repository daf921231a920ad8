"""A loop of Hugging Face Accelerate. ``python examples/accelerate_loop.py``, or ``accelerate launch`` with the same.

The line stands before ``prepare()``, as the optimizer that Accelerate wraps is the one that steps. Accelerate hands the
optimizer back inside its own class, so keep the name for ``watched.gradhealth``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from shared import batches, classifier, digits, options, say_where
from torch.utils.data import DataLoader

from tb_gradhealth import GradHealthWriter

ACCUMULATED = 2


def main() -> None:
    chosen = options("accelerate")
    accelerator = Accelerator(gradient_accumulation_steps=ACCUMULATED)
    model = classifier()
    loader = DataLoader(digits(), batch_size=32, shuffle=True, drop_last=True)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watched = GradHealthWriter(optimizer, model, logdir=chosen.logdir)  # the only line added

    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(watched, chosen.steps)
    model, optimizer, loader, schedule = accelerator.prepare(model, watched, loader, schedule)
    accelerator.register_for_checkpointing(watched.gradhealth)  # save_state() and load_state() keep the step number

    for images, labels in batches(loader, chosen.steps * ACCUMULATED):
        with accelerator.accumulate(model):
            loss = F.cross_entropy(model(images), labels)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    watched.gradhealth.close()
    accelerator.print(f"loss {loss.item():.3f}")
    if accelerator.is_main_process:
        say_where(chosen.logdir)
    accelerator.end_training()


if __name__ == "__main__":
    main()
