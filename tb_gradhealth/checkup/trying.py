"""A few steps with a copy of the model and its optimizer, recorded and diagnosed as any training is."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from typing import Any

import torch
from torch import nn

from ..diagnosis import Diagnosis, diagnose
from ..writer import GradHealthWriter
from .asking import Asked, ContractError
from .batches import split

#: What is recorded beside gradients, activations and inputs.
STREAMS = ("weights", "updates", "spectrum")


def tried(model: nn.Module, optimizer: torch.optim.Optimizer, asked: Asked, steps: int) -> Diagnosis:
    if asked.form == "batch":
        raise ContractError(
            "expected loss_fn(model, batch) for steps above 1, got loss_fn(batch): a copy of the model is trained, "
            "which has to be passed on"
        )
    own, stepping = copy.deepcopy((model, optimizer))
    own.train()
    with tempfile.TemporaryDirectory(prefix="gradhealth-") as folder:
        watched: Any = GradHealthWriter(
            stepping, own, logdir=folder, every=1, streams=list(STREAMS), activations="auto", diagnose=False
        )
        with contextlib.closing(watched.gradhealth) as monitor:
            for _ in range(steps):
                batch = asked.batch()
                watched.zero_grad()
                loss = asked.loss(batch, own)
                for name, one in split(batch, None)[0]:
                    if one.is_floating_point():
                        monitor.observe(name, one)
                loss.backward()
                watched.step()
                monitor.log(loss=loss.detach())
        return diagnose(folder)
