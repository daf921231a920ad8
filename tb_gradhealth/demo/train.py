"""The training loop of the demo: as anybody would write it, plus the one line.

Both runs share seed, data order, code and hyperparameters; ``healthy`` gets standardised descriptors, ``dying`` raw
ones. Raw, most descriptors are large and of one sign (hundreds of lowercase letters in a window, never fewer than
none), so each update moves a unit's pre-activation for *all* characters the same way. While the learning rate warms up,
unit after unit is pushed so far out that tanh is flat for every character of a batch: its gradient is then below 1e-8,
and hardly any later step brings it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F

from tb_gradhealth import GradHealthWriter

from .model import GPT, GPTConfig
from .text import Corpus

RunName = Literal["healthy", "dying"]

BATCH, SEED = 8, 0
LEARNING_RATE, WEIGHT_DECAY = 4e-3, 0.1
STREAMS = ("weights", "updates")
WARM_UP = 0.8  # share of the steps over which the learning rate rises


@dataclass(frozen=True)
class Step:
    """What the loop knows after a step."""

    number: int
    loss: float
    seconds: float


def make_model(corpus: Corpus) -> GPT:
    torch.manual_seed(SEED)
    return GPT(GPTConfig(vocabulary=corpus.vocabulary, descriptors=len(corpus.names)))


def train(
    run: RunName,
    corpus: Corpus,
    logdir: Path,
    steps: int,
    after_step: Callable[[Step], None] = lambda _: None,
    before_step: Callable[[GPT], None] = lambda _: None,
) -> None:
    """Train for ``steps`` steps and write below ``logdir``. The two callbacks watch; they must not change anything."""
    model = make_model(corpus)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    warm_up = max(1, round(WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
    tokens = torch.from_numpy(corpus.tokens)
    descriptors = torch.from_numpy(corpus.standardised() if run == "healthy" else corpus.descriptors)
    sequence = torch.arange(model.position.num_embeddings)
    generator = torch.Generator().manual_seed(SEED)
    begin = time.perf_counter()
    with GradHealthWriter(optimizer, model, logdir=logdir, streams=STREAMS, activations="auto") as watched:
        for number in range(steps):
            first = torch.randint(len(tokens) - len(sequence) - 1, (BATCH, 1), generator=generator)
            positions = first + sequence
            logits = model(tokens[positions], descriptors[positions])
            loss = F.cross_entropy(logits.flatten(0, 1), tokens[positions + 1].flatten())
            optimizer.zero_grad()
            loss.backward()
            before_step(model)
            optimizer.step()
            watched.gradhealth.log(loss=loss, lr=schedule.get_last_lr()[0])
            schedule.step()
            after_step(Step(number, loss.item(), time.perf_counter() - begin))
