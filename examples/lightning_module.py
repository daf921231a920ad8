"""A LightningModule. ``python examples/lightning_module.py``

The callback watches the optimizer that ``configure_optimizers`` returns, and its step number travels in Lightning's
checkpoints. Without it, ``return GradHealthWriter(optimizer, self, logdir=…)`` there measures the same.
"""

from __future__ import annotations

import pytorch_lightning as pl  # or, the same: import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from shared import classifier, digits, options, say_where
from torch import Tensor
from torch.utils.data import DataLoader

from tb_gradhealth.integrations.lightning import GradHealthCallback


class Digits(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = classifier()

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main() -> None:
    chosen = options("lightning")
    trainer = pl.Trainer(
        max_steps=chosen.steps,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        callbacks=[GradHealthCallback(chosen.logdir)],  # the only line added
        default_root_dir=chosen.logdir,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Digits(), DataLoader(digits(), batch_size=32, shuffle=True))
    if trainer.is_global_zero:
        say_where(chosen.logdir)


if __name__ == "__main__":
    main()
