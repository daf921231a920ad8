"""What each metric is, computed from a node's elements at one step: the oracle that shares nothing with the product."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Elements = npt.NDArray[np.float64]

NAN = math.nan


def _finite(x: Elements) -> list[float]:
    return [float(v) for v in x if math.isfinite(v)]


def _norm(x: Elements) -> float:
    return math.hypot(*_finite(x)) if _finite(x) else NAN


def _over_finite(compute: Callable[[list[float]], float]) -> Callable[[Elements], float]:
    return lambda x: compute(_finite(x)) if _finite(x) else NAN


def _share(condition: Callable[[float], bool]) -> Callable[[Elements], float]:
    return lambda x: sum(1 for v in x if condition(float(v))) / len(x) if len(x) else NAN


def _std(values: list[float]) -> float:
    centre = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / len(values))


METRICS: dict[str, Callable[[Elements], float]] = {
    "norm": _norm,
    "rms": lambda x: _norm(x) / math.sqrt(len(_finite(x))) if _finite(x) else NAN,
    "near_zero_fraction": _share(lambda v: abs(v) < 1e-8),
    "zero_fraction": _share(lambda v: v == 0),
    "abs_max": _over_finite(lambda values: max(map(abs, values))),
    "mean_abs": _over_finite(lambda values: math.fsum(map(abs, values)) / len(values)),
    "mean": _over_finite(lambda values: math.fsum(values) / len(values)),
    "std": _over_finite(_std),
    "saturated_fraction": _share(lambda v: abs(v) >= float(np.finfo(np.float32).max) / 8),
    "nonfinite": lambda x: float(sum(1 for v in x if not math.isfinite(v))) if len(x) else NAN,
}


def of_node(tensors: Sequence[Elements | None]) -> Elements:
    """All elements of the tensors in a node; None for a tensor without gradient."""
    return np.concatenate([np.zeros(0), *(np.ravel(t) for t in tensors if t is not None)])


def per_step(name: str, steps: Sequence[Sequence[Elements | None]]) -> list[float]:
    """The metric ``name`` of a node's tensors, step by step."""
    return [METRICS[name](of_node(tensors)) for tensors in steps]
