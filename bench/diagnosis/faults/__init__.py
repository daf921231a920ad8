"""How a cause of disease is put into a training: into its weights, its data, or how it learns."""

from __future__ import annotations

from .data import CorruptBatches, FewSamples, NanInput, OffScale, OneTarget, ShuffledTargets
from .fault import Fault, Maker, module_of
from .learning import Detached, EdgyRate, HighRate, LowRate, Stuck, Underflow
from .weights import DeadUnits, LargeWeights, LowRank, NanWeight, PeakedAttention, Saturated, SilentHead, SmallWeights

__all__ = [
    "CorruptBatches",
    "DeadUnits",
    "Detached",
    "EdgyRate",
    "Fault",
    "FewSamples",
    "HighRate",
    "LargeWeights",
    "LowRank",
    "LowRate",
    "Maker",
    "NanInput",
    "NanWeight",
    "OffScale",
    "OneTarget",
    "PeakedAttention",
    "Saturated",
    "ShuffledTargets",
    "SilentHead",
    "SmallWeights",
    "Stuck",
    "Underflow",
    "module_of",
]
