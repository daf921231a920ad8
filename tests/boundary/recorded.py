"""Rows in float64, as they were before coding, and the float64 oracle that they are held against.

A file codes a norm to 0.18 %, which would hide a wrong fourth digit; so what enters the coding is kept here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import tb_gradhealth.store.encoder as encoder_module
from tb_gradhealth.store.files import FileSource
from tb_gradhealth.store.reader import Run

NORM_TOLERANCE = 2e-6


@dataclass(frozen=True)
class Figures:
    """What one gradient at one step must be recorded as; ``norm`` is of the finite elements, NaN without any."""

    norm: float
    counts: dict[str, int]


Step = dict[str, "Figures | None"]
"""Figures of each tensor at one step; None for a tensor without gradient."""


def oracle(gradient: torch.Tensor | None) -> Figures | None:
    if gradient is None or gradient.numel() == 0:
        return None
    gradient = gradient.detach()
    largest = torch.finfo(gradient.dtype).max
    if gradient.is_sparse:
        gradient = gradient.coalesce().to_dense()
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient.resolve_conj())
    x = gradient.double()
    finite = x[x.isfinite()]
    top = finite.abs().max().item() if len(finite) else 0.0
    norm = top * (finite / top).norm().item() if top else 0.0  # scaled: squares overflow at 1e200
    counts = {
        "count": x.numel(),
        "zero": x == 0,
        "near_zero": x.abs() < 1e-8,
        "saturated": x.abs() >= largest / 8,
        "nan": x.isnan(),
        "pos_inf": x == math.inf,
        "neg_inf": x == -math.inf,
    }
    return Figures(
        norm if len(finite) else math.nan, {name: int(torch.as_tensor(c).sum()) for name, c in counts.items()}
    )


def consumed(model: torch.nn.Module) -> Step:
    """Figures of the gradients as they are now."""
    return {name: oracle(parameter.grad) for name, parameter in model.named_parameters()}


def bad(step: Step) -> dict[str, tuple[int, int, int]]:
    """The tensors that are not finite: (NaN, +Inf, -Inf) by name."""
    found = {}
    for name, figures in step.items():
        if figures is not None:
            kinds = (figures.counts["nan"], figures.counts["pos_inf"], figures.counts["neg_inf"])
            if any(kinds):
                found[name] = kinds
    return found


def together(step: Step) -> Figures | None:
    """The figures of all tensors as one node."""
    some = [figures for figures in step.values() if figures is not None]
    if not some:
        return None
    norms = [figures.norm for figures in some if not math.isnan(figures.norm)]
    counts = {name: sum(figures.counts[name] for figures in some) for name in some[0].counts}
    return Figures(math.hypot(*norms) if norms else math.nan, counts)


class Recording:
    """Every row of one step that any writer of this test encodes. Complete once the writers are closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rows: list[tuple[Any, Any, int]] = []
        self._began = time.time()
        code: Callable[..., Any] = vars(encoder_module)["code"]

        def keep(row: Any, level: int, schema: Any) -> Any:
            if level == 0 and schema.wall_time >= self._began:  # not what an earlier test forgot to close
                self._rows.append((schema, row.rows, 0))
            return code(row, level, schema)

        monkeypatch.setattr(encoder_module, "code", keep)

    def of(self, name: str, stream: str = "gradients") -> dict[int, Figures | None]:
        """``{step: figures}`` of the node ``name`` over all sessions that have it."""
        found: dict[int, Figures | None] = {}
        for schema, rows, index in self._rows:
            names = [node.name for node in schema.nodes]
            if schema.stream != stream or name not in names:
                continue
            node, step = names.index(name), int(rows.start[index])
            assert int(rows.stop[index]) == step + 1, "a row of several steps: use every=1"
            assert step not in found, f"step {step} of {name!r} was written twice"
            metric = [metric.name for metric in schema.metrics].index("norm")
            counts = {count: int(rows.counts[c, index, node]) for c, count in enumerate(schema.counts)}
            norm = float(rows.sum[metric, index, node]) if rows.finite_steps[index, node] else math.nan
            found[step] = Figures(norm, counts) if counts["count"] else None
        return found

    def check(self, expected: Sequence[Step], stream: str = "gradients", total: bool = True) -> None:
        """Row ``i`` is ``expected[i]``, and there is no other; with ``total`` these are all tensors of the stream."""
        nodes = {name: [step.get(name) for step in expected] for name in dict.fromkeys(n for s in expected for n in s)}
        if total:
            nodes[""] = [together(step) for step in expected]
        for name, figures in nodes.items():
            found = self.of(name, stream)
            # A row without data may follow, for notes of what happened after the last step to stand at.
            made = {step for step, figures in found.items() if figures is not None or step < len(expected)}
            assert made <= set(range(len(expected))), f"{name!r} has rows at {sorted(found)}"
            for step, right in enumerate(figures):
                same(found.get(step), right, f"step {step} of {name!r} in {stream}")


def same(found: Figures | None, right: Figures | None, where: str) -> None:
    if right is None or found is None:
        assert found == right, where
        return
    assert found.counts == right.counts, where
    assert found.norm == pytest.approx(right.norm, rel=NORM_TOLERANCE, abs=0, nan_ok=True), where


def run_of(logdir: Path) -> Run:
    run = Run()
    run.update(FileSource(logdir / "gradhealth"))
    assert run.problems == []
    return run


def notes_of(logdir: Path) -> list[Any]:
    """All notes of the run, which must be complete."""
    notes, complete = run_of(logdir).timeline("gradients").notes(0, 10**9, 1000)
    assert complete
    return list(notes)


def faults(note: Any) -> dict[str, tuple[int, int, int]]:
    """The tensors that a note names: (NaN, +Inf, -Inf) by name."""
    assert not note.more
    return {fault.name: (fault.nan, fault.pos_inf, fault.neg_inf) for fault in note.tensors}
