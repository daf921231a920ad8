"""What the rows should hold, in numpy and float64, from the gathered gradients alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .record import Arrays

NEVER = np.iinfo(np.int64).max


def load(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)


class Oracle:
    """Figures of any node: of all elements of the tensors below it."""

    def __init__(self, directory: Path, of: str = "gradients") -> None:
        saved = load(directory / f"{of}.npz")
        self.steps = int(saved.pop("steps"))
        self._gradients: list[Arrays] = [{} for _ in range(self.steps)]
        for key, value in saved.items():
            step, name = key.split("/")
            self._gradients[int(step)][name] = value
        self._known: dict[tuple[str, int], dict[str, float]] = {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: value.shape for found in self._gradients for name, value in found.items()}

    def nodes(self) -> set[str]:
        """Everything that has a gradient at some step, the whole stream (``""``) included."""
        tensors = list(self.shapes())
        return {""} | {".".join(name.split(".")[:n]) for name in tensors for n in range(1, name.count(".") + 2)}

    def figures(self, node: str, step: int) -> dict[str, float]:
        """Counts and metrics by name; empty where the node has no element."""
        if (node, step) not in self._known:
            self._known[node, step] = self._figures(node, self._gradients[step])
        return self._known[node, step]

    @staticmethod
    def _figures(node: str, found: Arrays) -> dict[str, float]:
        below = [g for name, g in found.items() if node in ("", name) or name.startswith(node + ".")]
        if not below:
            return {}
        x = np.concatenate([g.ravel() for g in below]).astype(np.float64)
        size = np.abs(x)
        kept = x[np.isfinite(x)]
        counts = {
            "count": x.size,
            "zero": (x == 0).sum(),
            "near_zero": (size < 1e-8).sum(),
            "saturated": sum((np.abs(g.astype(np.float64)) >= np.finfo(g.dtype).max / 8).sum() for g in below),
            "nan": np.isnan(x).sum(),
            "pos_inf": np.isposinf(x).sum(),
            "neg_inf": np.isneginf(x).sum(),
        }
        metrics = {
            "norm": np.sqrt((kept**2).sum()),
            "rms": np.sqrt((kept**2).mean()),
            "abs_max": np.abs(kept).max(),
            "mean_abs": np.abs(kept).mean(),
            "mean": kept.mean(),
            "std": kept.std(),
            "nonfinite": x.size - kept.size,
        }
        fractions = {f"{name}_fraction": counts[name] / x.size for name in ("near_zero", "zero", "saturated")}
        return {name: float(value) for name, value in {**counts, **metrics, **fractions}.items()}

    def over(self, node: str, name: str, start: int, stop: int) -> npt.NDArray[np.float64]:
        """A figure at each step of ``[start, stop)`` that has it."""
        found = [self.figures(node, step) for step in range(start, stop)]
        return np.array([figures[name] for figures in found if figures])

    def first_bad(self, node: str, start: int, stop: int) -> int:
        """The first step of ``[start, stop)`` with a NaN or Inf."""
        bad = [step for step in range(start, stop) if self.figures(node, step).get("nonfinite")]
        return bad[0] if bad else int(NEVER)
