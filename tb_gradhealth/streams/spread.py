"""How much of a layer's output depends on the sample: a layer where nothing does is dead in effect."""

from __future__ import annotations

import torch

#: Of a larger output so many evenly spaced elements are looked at: of each sample the same ones.
MAX_ELEMENTS = 1 << 15
#: Stands for the squares of an output that is 0 everywhere, whose spread is 0 and not unknown.
LEAST = 2.0**-1022


def has_spread(output: torch.Tensor) -> bool:
    """Whether there are samples to compare: dimension 0 is the batch."""
    return output.dim() > 1 and output.shape[0] > 1 and not output.is_complex()


def between(output: torch.Tensor) -> torch.Tensor:
    """``[2]``: the sum of (x - mean over the batch)² over samples and features, and that of x². No autograd."""
    features = output.flatten(1)
    step = -(-features.numel() // MAX_ELEMENTS)
    # Odd, so that it has no factor in common with the widths that layers have, and comes by each of their features.
    chosen = features[:, :: step | 1] if step > 1 else features
    wide = chosen.to(torch.float32 if output.device.type == "mps" else torch.float64)
    return torch.stack([(wide - wide.mean(0)).square().sum(), wide.square().sum()])
