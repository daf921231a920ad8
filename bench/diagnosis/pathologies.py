"""THE table of pathologies: what is put in, which findings are right, and what must be recorded to see it at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from . import faults
from .architectures import Architecture, Trait

Onset = Literal["start", "sudden", "progressive"]
ALL: tuple[Onset, ...] = ("start", "sudden", "progressive")
AT_ONCE: tuple[Onset, ...] = ("start", "sudden")

Level = Literal["gradients", "weights", "all"]
"""What is recorded: gradients, loss and learning rate; weights and updates too; everything."""

#: Types that are critical.
CRITICAL = ("NUMERICAL", "UNDERFLOW", "EXPLODING", "VANISHING")


@dataclass(frozen=True)
class Pathology:
    """``types`` are the right ones, the first of them what a textbook says. ``mechanisms`` are those whose presence in
    the model makes a run sick whatever its loss (``probes.py``). ``seen`` is the least level that shows it; where one
    cannot tell it there, or anywhere, ``reason`` says why. ``cause`` is what a cause that is named must match to be
    right; None where what was put in is nothing that happens by itself."""

    name: str
    meaning: str
    types: tuple[str, ...]
    fault: faults.Maker
    onsets: tuple[Onset, ...]
    seen: Level | None
    cause: str | None
    reason: str = ""
    mechanisms: tuple[str, ...] = ()
    traits: frozenset[Trait] = field(default_factory=frozenset)
    without: frozenset[Trait] = field(default_factory=frozenset)

    @property
    def critical(self) -> bool:
        return self.types[0] in CRITICAL

    def fits(self, architecture: Architecture) -> bool:
        return self.traits <= architecture.traits and not self.without & architecture.traits


def _of(*traits: Trait) -> frozenset[Trait]:
    return frozenset(traits)


PATHOLOGIES: dict[str, Pathology] = {
    one.name: one
    for one in (
        Pathology(
            "high_rate",
            "learning rate × 300",
            ("EXPLODING", "UNSTABLE", "NUMERICAL"),
            faults.HighRate,
            ALL,
            "gradients",
            r"learning rate|\blr\b",
            mechanisms=("EXPLODING",),
        ),
        Pathology(
            "edgy_rate",
            "learning rate × 20",
            ("UNSTABLE", "EXPLODING"),
            faults.EdgyRate,
            ALL,
            "weights",
            r"learning rate|\blr\b",
            "gradients of a training that jumps about may look like anybody's",
        ),
        Pathology(
            "low_rate",
            "learning rate × 0.0001",
            ("STALLED_COMPONENT", "PLATEAU"),
            faults.LowRate,
            ALL,
            "weights",
            r"learning rate|\blr\b",
            "a rate has no usual size; the update's share of the weight has",
        ),
        Pathology(
            "large_weights",
            "hidden matrices × 8",
            ("EXPLODING", "UNSTABLE", "SATURATED"),
            faults.LargeWeights,
            ALL,
            "weights",
            r"init|weight",
            "behind a normalisation gradients are as before, and from the start there is nothing to compare with",
            mechanisms=("EXPLODING", "SATURATED"),
        ),
        Pathology(
            "small_weights",
            "hidden matrices held to 1/30",
            ("VANISHING", "MODE_COLLAPSE", "STALLED_COMPONENT"),
            faults.SmallWeights,
            ALL,
            "weights",
            r"init|weight|decay",
            "gradients that are small from the start have nothing to be compared with",
            mechanisms=("VANISHING", "MODE_COLLAPSE"),
        ),
        Pathology(
            "dead_units",
            "nine tenths of a ReLU layer's units silenced",
            ("DEAD", "PROGRESSIVE_DEATH"),
            faults.DeadUnits,
            ALL,
            "gradients",
            r"bias",
            mechanisms=("DEAD",),
            traits=_of("relu"),
        ),
        Pathology(
            "saturated",
            "the matrix in front of a tanh or GELU × 30",
            ("SATURATED",),
            faults.Saturated,
            ALL,
            "all",
            r"weight|init|scale|pre-activation|norm",
            "saturation is a matter of what goes into an activation function",
            mechanisms=("SATURATED",),
            traits=_of("bounded"),
        ),
        Pathology(
            "peaked_attention",
            "scores of an attention × 25",
            ("SATURATED", "BOTTLENECK"),
            faults.PeakedAttention,
            ALL,
            "all",
            r"attention|quer|score|logit|softmax",
            "entropy of attention is a stream of its own",
            mechanisms=("ATTENTION",),
            traits=_of("attention"),
        ),
        Pathology(
            "nan_weight",
            "an element of a hidden matrix becomes NaN",
            ("NUMERICAL",),
            faults.NanWeight,
            AT_ONCE,
            "gradients",
            None,
            mechanisms=("NUMERICAL",),
        ),
        Pathology(
            "nan_input",
            "an element of a batch is NaN",
            ("NUMERICAL",),
            faults.NanInput,
            AT_ONCE,
            "gradients",
            r"input|data|batch",
            mechanisms=("NUMERICAL",),
            traits=_of("numbers"),
            without=_of("policy"),
        ),
        Pathology(
            "low_rank",
            "a hidden matrix held to rank one",
            ("BOTTLENECK",),
            faults.LowRank,
            ALL,
            "all",
            None,
            "rank is in the spectrum alone",
            mechanisms=("BOTTLENECK",),
        ),
        Pathology(
            "silent_head",
            "the head's matrix held to a thousandth",
            ("MODE_COLLAPSE", "VANISHING"),
            faults.SilentHead,
            ALL,
            "weights",
            r"head|weight|decay|init|predict|output",
            "gradients do not tell how large what they belong to is",
            mechanisms=("MODE_COLLAPSE",),
        ),
        Pathology(
            "one_target",
            "all samples get the same target",
            ("MODE_COLLAPSE",),
            faults.OneTarget,
            ALL,
            "all",
            r"target|label|predict|collapse|data",
            "a constant is learned with healthy gradients; only predictions show it",
            mechanisms=("MODE_COLLAPSE",),
            without=_of("policy"),
        ),
        Pathology(
            "shuffled_targets",
            "targets of other samples",
            ("PLATEAU", "MODE_COLLAPSE", "OVERFITTING"),
            faults.ShuffledTargets,
            AT_ONCE,
            None,
            r"label|target|data|learn",
            "a task with nothing to learn is recorded as a hard one is",
            without=_of("policy"),
        ),
        Pathology(
            "off_scale",
            "inputs × 30, and far from zero",
            ("SCALE_MISMATCH", "SATURATED", "EXPLODING"),
            faults.OffScale,
            ALL,
            "all",
            r"input|scale|normali|standardi|feature",
            "inputs are in a stream of their own",
            mechanisms=("SATURATED", "EXPLODING", "DEAD"),
            traits=_of("numbers"),
        ),
        Pathology(
            "corrupt_batches",
            "some samples × 1000 in one of eight batches",
            ("UNSTABLE", "EXPLODING", "SCALE_MISMATCH"),
            faults.CorruptBatches,
            AT_ONCE,
            "gradients",
            r"input|data|batch|sample|outlier",
            traits=_of("numbers"),
        ),
        Pathology(
            "few_samples",
            "a dozen samples over and over",
            ("OVERFITTING",),
            faults.FewSamples,
            AT_ONCE,
            "gradients",
            r"data|sample|overfit|regulari",
            without=_of("policy"),
        ),
        Pathology(
            "detached",
            "a module's output taken out of the graph",
            ("STALLED_COMPONENT", "DEAD", "VANISHING"),
            faults.Detached,
            AT_ONCE,
            "gradients",
            r"detach|graph|no gradient|no_grad|unused|frozen",
            mechanisms=("STALLED",),
        ),
        Pathology(
            "stuck",
            "the gradient of a layer zeroed",
            ("STALLED_COMPONENT", "DEAD", "VANISHING"),
            faults.Stuck,
            AT_ONCE,
            "gradients",
            r"zero|mask|detach|graph|dead|gradient",
            mechanisms=("STALLED",),
        ),
        Pathology(
            "underflow",
            "gradients lost in float16",
            ("UNDERFLOW", "NUMERICAL", "VANISHING", "DEAD", "PROGRESSIVE_DEATH", "STALLED_COMPONENT"),
            faults.Underflow,
            ALL,
            "gradients",
            r"underflow|loss scale|fp16|float16|precision",
            mechanisms=("UNDERFLOW",),
        ),
    )
}
