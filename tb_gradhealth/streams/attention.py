"""Attention, head by head: how spread out its weights are, how much heads differ, and how large its scores get."""

from __future__ import annotations

import torch

from .look import Look, spaced
from .stream import Stream

ENTRIES = ("entropy", "entropy_rows", "head_distance", "head_pairs")
MASKED = "masked"

#: What is looked at of a tensor, evenly spaced: fewer queries where there are many heads and keys.
MAX_SAMPLES, MAX_QUERIES, MAX_HEADS = 16, 64, 64
MAX_ELEMENTS = 1 << 22
#: A score at or below this, or half of its dtype's least number, is a mask's.
MASK = -1e8


class Weights:
    """What a softmax gave, ``[batch, head, query, key]``, before any dropout; without a dimension of heads one row."""

    stream = Stream("attention", "Attention weights", "attention head", further=ENTRIES)

    def look(self, name: str, tensor: torch.Tensor) -> Look:
        weights, rows = _by_head(tensor)
        wide = weights.double()
        known = (wide > 0) & wide.isfinite()
        total = wide.where(known, 0.0).sum(-1, keepdim=True)
        sound = (total.squeeze(-1) > 0) & wide.isfinite().all(-1)
        shares = wide.where(known, 0.0) / total.where(total > 0, 1.0)
        return Look(rows, weights.unbind(), ENTRIES, torch.stack(_figures(shares, known.sum(-1), sound)))


class Scores:
    """What a softmax is about to be taken of, ``[batch, head, query, key]``, masked or not."""

    stream = Stream("attention_scores", "Attention scores", "attention head", signed=True, further=(*ENTRIES, MASKED))

    def look(self, name: str, tensor: torch.Tensor) -> Look:
        scores, rows = _by_head(tensor)
        masked = scores <= max(MASK, torch.finfo(scores.dtype).min / 2)
        wide = scores.double().masked_fill(masked, -torch.inf)
        keys = (~masked).sum(-1)
        sound = (keys > 0) & (wide < torch.inf).all(-1)
        shares = wide.where(sound.unsqueeze(-1), 0.0).softmax(-1)
        further = [*_figures(shares, keys, sound), masked.sum((1, 2, 3))]
        return Look(rows, scores.masked_fill(masked, torch.nan).unbind(), (*ENTRIES, MASKED), torch.stack(further))


def _by_head(tensor: torch.Tensor) -> tuple[torch.Tensor, tuple[str, ...]]:
    """What is looked at, ``[head, batch, query, key]``, and the heads' rows. Raises ValueError for another shape."""
    if not 2 <= tensor.dim() <= 4:
        raise ValueError(f"expected attention of shape [batch, head, query, key], got {tuple(tensor.shape)}")
    rows = tuple(f"head{index}" for index in range(min(tensor.shape[1], MAX_HEADS))) if tensor.dim() == 4 else ("",)
    whole = tensor if tensor.dim() == 4 else tensor.reshape(-1, 1, *tensor.shape[-2:])
    samples = spaced(whole.shape[0], MAX_SAMPLES, tensor.device)
    most = MAX_ELEMENTS // (len(samples) * len(rows) * whole.shape[3])
    queries = spaced(whole.shape[2], max(1, min(MAX_QUERIES, most)), tensor.device)
    return whole[:, : len(rows)][samples][:, :, queries].transpose(0, 1).contiguous(), rows


def _figures(shares: torch.Tensor, keys: torch.Tensor, sound: torch.Tensor) -> list[torch.Tensor]:
    """The entries :data:`ENTRIES`, ``[head]`` each, of ``shares [head, batch, query, key]`` that add up to 1 wherever
    a row is ``sound [head, batch, query]``, of so many ``keys`` that it may look at."""
    several = sound & (keys > 1)
    entropy = -torch.xlogy(shares, shares).sum(-1) / keys.clamp(min=2).log()
    rows = several.sum((1, 2)).double()
    return [entropy.where(several, 0.0).sum((1, 2)), rows, *_distances(shares, sound)]


def _distances(shares: torch.Tensor, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each head the sum of its distances to the others, and how many that are.

    A head's map is the mean of its rows over the batch; of two maps the distance is the total variation of their rows,
    ½ Σ |p - q| over the keys, in the mean over the queries that both have: 0 for heads that do the same, 1 for heads
    that share no key.
    """
    times = sound.sum(1)
    maps = shares.where(sound.unsqueeze(-1), 0.0).sum(1) / times.clamp(min=1).unsqueeze(-1)
    sums, others = [], []
    for head, own in enumerate(maps):
        both = (times[head] > 0) & (times > 0)
        apart = (maps - own).abs().sum(-1).where(both, 0.0).sum(-1) / both.sum(-1).clamp(min=1) / 2
        sums.append(apart.sum())  # of which its own is 0
        others.append(both.any(-1).sum() - both[head].any().long())
    return torch.stack(sums), torch.stack(others).double()
