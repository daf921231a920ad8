"""Actor and critic on a small world: dots that are to reach a goal on a plane."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .task import Batch, Block, Knobs, Sites, Task, chain

MOVES = torch.tensor([[0.0, 0.0], [0.3, 0.0], [-0.3, 0.0], [0.0, 0.3], [0.0, -0.3]])
HORIZON, DISCOUNT, HIDDEN = 6, 0.9, 32


class World:
    """Dots and their goals, uniform in a square of side 2. A step is one of five moves; its reward is by how much the
    dot came nearer, times 3. An observation ``[dot, 6]`` is where the dot and the goal are and what is between them."""

    def __init__(self, dots: int, source: torch.Generator) -> None:
        self.at, self.goal = (2 * torch.rand(dots, 2, generator=source) - 1 for _ in range(2))

    def seen(self) -> torch.Tensor:
        return torch.cat([self.at, self.goal, self.goal - self.at], 1) * 1.5

    def step(self, move: torch.Tensor) -> torch.Tensor:
        """``move [dot]`` by its number; rewards ``[dot]``."""
        before = (self.goal - self.at).norm(dim=1)
        self.at = self.at + MOVES[move]
        return 3.0 * (before - (self.goal - self.at).norm(dim=1))


class ActorCritic(nn.Module):
    def __init__(self, knobs: Knobs) -> None:
        super().__init__()
        self.trunk = chain(
            ("block0", Block(nn.Linear(6, HIDDEN), nn.ReLU(), knobs.dropout)),
            ("block1", Block(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), knobs.dropout)),
        )
        self.policy, self.value = nn.Linear(HIDDEN, len(MOVES)), nn.Linear(HIDDEN, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(x)
        return self.policy(features), self.value(features)[:, 0]


def actor_critic(knobs: Knobs, seed: int) -> Task:
    model = ActorCritic(knobs)

    @torch.no_grad()
    def draw(count: int, source: torch.Generator) -> Batch:
        """What ``count`` dots saw in HORIZON steps; targets are what they did and the discounted return of it."""
        world, seen, moved, rewards = World(count, source), [], [], []
        for _ in range(HORIZON):
            seen.append(world.seen())
            chance = torch.softmax(model(task.view(seen[-1]))[0], -1).nan_to_num(1 / len(MOVES))
            moved.append(torch.multinomial(chance, 1, generator=source)[:, 0])
            rewards.append(world.step(moved[-1]))
        following, returns = torch.zeros(count), []
        for reward in reversed(rewards):
            following = reward + DISCOUNT * following
            returns.append(following)
        targets = torch.stack([torch.cat(moved).float(), torch.cat(returns[::-1])], 1)
        return Batch(torch.cat(seen), targets)

    def loss(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits, value = model(batch.inputs)
        move, returns = batch.targets[:, 0].long(), batch.targets[:, 1]
        advantage = (returns - value).detach()
        chosen = functional.log_softmax(logits, -1).gather(1, move[:, None])[:, 0]
        entropy = -(functional.softmax(logits, -1) * functional.log_softmax(logits, -1)).sum(1).mean()
        total = -(advantage * chosen).mean() + 0.5 * functional.mse_loss(value, returns) - 0.01 * entropy
        return total, logits

    def figure(batch: Batch) -> float:
        """Minus the mean reward of a step, under the policy's likeliest moves, from where the first dots stand."""
        world = World(256, torch.Generator().manual_seed(seed + 2))
        total = torch.zeros(256)
        for _ in range(HORIZON):
            total += world.step(model(task.view(world.seen()))[0].nan_to_num(0.0).argmax(-1))
        return -float(total.mean()) / HORIZON

    task = Task(
        model,
        Sites(
            first="trunk.block0.layer",
            head="policy",
            weights=("trunk.block1.layer.weight",),
            relus=(("trunk.block0.layer", "trunk.block0.act"), ("trunk.block1.layer", "trunk.block1.act")),
            branches=("trunk.block1.layer",),
        ),
        draw,
        loss,
        rate=5e-3,
        batch=16,
        figure=figure,
    )
    return task
