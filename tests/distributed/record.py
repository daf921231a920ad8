"""What a rank notes while it trains: the rows that reach the file, the gradients themselves, and the warnings."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.distributed.tensor import DTensor

import tb_gradhealth.store.encoder as encoder
from tb_gradhealth.monitor import GradHealthWarning

PLANES = ("steps", "finite_steps", "first_bad", "counts", "sum", "min", "max")
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module")

Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class Report:
    """One rank's account of one training."""

    steps: int = 0
    seconds: float = 0.0  # of the steps of the optimizer and of closing
    problems: int = 0
    rows: int = 0
    warnings: list[str] = field(default_factory=list)
    placements: list[str] = field(default_factory=list)

    def save(self, directory: Path, rank: int) -> None:
        (directory / f"{rank}.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, directory: Path, rank: int) -> Report:
        return cls(**json.loads((directory / f"{rank}.json").read_text()))

    @contextmanager
    def timed(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds += time.monotonic() - start


@contextmanager
def recorded(report: Report, directory: Path, rank: int) -> Iterator[None]:
    """Notes in ``report`` each warning, and in ``<rank>.npz`` the rows as they are before they are coded."""
    original, taken, schemas = encoder.code, [], []

    def spy(row: Any, level: int, schema: Any) -> Any:
        if level == 0 and schema.stream == "gradients":
            taken.append({name: np.array(getattr(row.rows, name)[..., 0, :]) for name in PLANES})
            taken[-1] |= {"start": row.start, "stop": row.stop}
            schemas.append(schema)
        return original(row, level, schema)

    encoder.code = spy
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", GradHealthWarning)
            yield
    finally:
        encoder.code = original
        report.rows = len(taken)
        report.warnings = [str(w.message) for w in caught if issubclass(w.category, GradHealthWarning)]
    if taken and all(schema.nodes == schemas[0].nodes for schema in schemas):
        # The axis of rows comes first here: [row, count or metric, node].
        planes = {name: np.stack([row[name] for row in taken]) for name in taken[0]}
        np.savez(
            directory / f"{rank}.npz",
            nodes=[node.name for node in schemas[0].nodes],
            metrics=[metric.name for metric in schemas[0].metrics],
            kinds=list(schemas[0].counts),
            sessions=len({schema.session for schema in schemas}),
            **planes,
        )


def named(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """Parameters by the names that they have without any wrapper."""
    return [
        (".".join(part for part in name.split(".") if part not in WRAPPERS), parameter)
        for name, parameter in model.named_parameters()
    ]


def gathered(model: torch.nn.Module, of_weights: bool = False) -> Arrays:
    """The whole gradients, or weights, as this rank sees them; to be called on each rank, since gathering is a
    collective."""
    found = {}
    for name, parameter in named(model):
        tensor = parameter if of_weights else parameter.grad
        if tensor is not None:
            whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            found[name] = whole.detach().numpy().copy()
    return found


def placements(model: torch.nn.Module) -> list[str]:
    """The kinds of placement that the gradients have here, and "empty" where a shard has no element."""
    spread = [p.grad for _, p in named(model) if isinstance(p.grad, DTensor)]
    kinds = {type(placement).__name__.strip("_") for gradient in spread for placement in gradient.placements}
    return sorted(kinds | {"empty" for gradient in spread if gradient.to_local().numel() == 0})


def save_steps(steps: list[Arrays], path: Path) -> None:
    pairs = {f"{step}/{name}": value for step, found in enumerate(steps) for name, value in found.items()}
    np.savez(path, steps=len(steps), **pairs)
