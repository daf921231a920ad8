"""What an examination has brought to light, for checks to look at."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ..rows import Floats
from ..streams.choosing import Kind
from .batches import Given
from .measuring import Figures
from .memory import Memory, Seconds
from .parts import Part, Parts
from .seeing import Call, Seen
from .vocabulary import OutsideVocabulary

#: Cross-entropies that differ by less than this share are the same.
SAME = 1e-3
#: Kinds of modules that make a signal of another.
LAYERS: tuple[Kind, ...] = ("linear", "conv", "recurrent", "attention")


@dataclass(frozen=True, eq=False)
class Examined:
    """``gradients [parameter]`` are figures of one backward pass, None where there was none; ``without`` says of which
    parameters none came. ``repeat`` is by how much two passes in evaluation mode differ, as a share of the RMS."""

    parameters: Parts  # in the order in which their modules ran
    buffers: Parts
    seen: Seen
    inputs: tuple[Given, ...] = ()
    targets: tuple[Given, ...] = ()
    loss: float = math.nan
    connected: bool = True  # whether the loss has a graph
    gradients: Figures | None = None
    without: frozenset[str] = frozenset()
    underflow: float = math.nan  # share of float16 gradients below the normal numbers, of those that are not 0
    repeat: float = math.nan
    outside: OutsideVocabulary | None = None
    memory: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    seconds: Seconds | None = None
    idle: tuple[str, ...] = ()  # groups of the optimizer with a learning rate of 0
    strangers: int = 0  # parameters of the optimizer that the model does not have

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.parameters.parts

    @property
    def calls(self) -> list[Call]:
        return self.seen.calls

    @property
    def returned(self) -> Figures:
        """Figures ``[call]``."""
        assert self.seen.figures is not None, "no module was called"
        return self.seen.figures

    @functools.cached_property
    def zero_by_design(self) -> tuple[bool, ...]:
        """For each parameter whether it is a weight, or a scale, that is 0 throughout and gets a gradient."""
        gradients = self.gradients
        return tuple(
            gradients is not None
            and one.numel > 0
            and float(self.parameters.figures.norm[place]) == 0
            and not one.name.endswith("bias")
            and float(np.nan_to_num(gradients.norm[place])) > 0
            for place, one in enumerate(self.parts)
        )

    @functools.cached_property
    def depth(self) -> tuple[int, ...]:
        """Matrices and embeddings that are trained, from the input on."""
        return tuple(
            place for place, one in enumerate(self.parts) if not math.isnan(one.default) and one.trains and one.known
        )

    @functools.cached_property
    def inner(self) -> tuple[int, ...]:
        """Matrices that are not zero by design, but for the last one."""
        matrices = [place for place in self.depth if self.parts[place].matrix and not self.zero_by_design[place]]
        return tuple(matrices[:-1])

    @property
    def input_scale(self) -> float:
        """|mean| + standard deviation of the inputs; NaN for tokens."""
        sizes = [abs(one.mean) + one.std for one in self.inputs if one.floats]
        return float(np.nanmean(sizes)) if sizes and np.isfinite(sizes).any() else math.nan

    @functools.cached_property
    def crossed(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Logits ``[sample, class]`` and labels ``[sample]`` whose cross-entropy is the loss; None without."""
        output = self.output
        if output is None or not output.is_floating_point() or output.dim() < 2 or not math.isfinite(self.loss):
            return None
        for one in self.targets:
            labels = one.tensor
            if one.floats or labels.dtype is torch.bool or not labels.dim():
                continue
            for classes in {1, output.dim() - 1}:
                logits = output.movedim(classes, -1)
                if logits.shape[:-1] != labels.shape or logits.shape[-1] < 2:
                    continue
                flat = logits.reshape(-1, logits.shape[-1]).double()
                right = labels.reshape(-1).long().to(flat.device)
                kept = right != -100  # what cross_entropy leaves out
                if not kept.any() or int(right[kept].min()) < 0 or int(right[kept].max()) >= flat.shape[1]:
                    continue
                value = float(cross_entropy(flat[kept], right[kept]))
                if abs(value - self.loss) <= SAME * max(1e-3, abs(value)):
                    return flat[kept], right[kept]
        return None

    @property
    def gradient_norm(self) -> float:
        """Over all parameters; NaN without gradients."""
        return math.nan if self.gradients is None else math.sqrt(float(np.nansum(self.gradients.norm**2)))

    @property
    def batch(self) -> int:
        """Samples."""
        return max((len(one.tensor) for one in self.inputs if one.tensor.dim()), default=0)

    @property
    def output(self) -> torch.Tensor | None:
        return self.seen.output

    def gradient_rms(self) -> Floats:
        """``[parameter]``, NaN where there is none."""
        return np.full(len(self.parts), np.nan) if self.gradients is None else self.gradients.rms

    def owner(self, place: int) -> str:
        """The layer with weights that a call is of, or that comes before it."""
        before = (one.name for one in reversed(self.calls[: place + 1]) if one.kind in LAYERS)
        return next(before, self.calls[place].name)

    @functools.cached_property
    def head(self) -> str:
        """The layer that the output comes from, "" where that is not to be told."""
        output = self.output
        if output is None:
            return ""
        layers = [one for one in self.calls if one.kind in LAYERS and one.shape == tuple(output.shape)]
        same = [one.name for one in layers if one.address == output.data_ptr()] or [one.name for one in layers]
        return same[0] if len(set(same)) == 1 else ""

    def first_layer(self) -> str:
        """The module that gets the inputs."""
        return next((one.name for one in self.calls if one.kind in LAYERS), "")
