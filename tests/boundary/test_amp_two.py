"""Two optimizers on one GradScaler: each skips by itself, and is recorded so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tb_gradhealth import GradHealthWriter

from ..writer.loops import Net
from .amp import backward, unscaled
from .recorded import Recording, Step, bad, faults, notes_of

STEPS = 7
#: Attempt → whose gradient is poisoned.
POISONED = {2: "body", 4: "head", 5: "both"}


def train(logdirs: tuple[Path, Path | None] | None) -> tuple[Net, Any, list[Step], list[int]]:
    """With two directories each writes its own; with one the second optimizer is beside the first."""
    model: Any = Net()
    body: Any = torch.optim.SGD(model.body.parameters(), lr=0.01)
    head: Any = torch.optim.AdamW(model.head.parameters(), lr=0.01, fused=True)
    if logdirs is not None:
        GradHealthWriter(body, model, logdir=logdirs[0], every=1)
        if logdirs[1] is None:
            GradHealthWriter(head, model, beside=body)
        else:
            GradHealthWriter(head, model, logdir=logdirs[1], every=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    rows: list[Step] = []
    for i in range(STEPS):
        body.zero_grad()
        head.zero_grad()
        backward(model, scaler, i)
        if POISONED.get(i) in ("body", "both"):
            model.body[2].bias.grad[7] = float("nan")
        if POISONED.get(i) in ("head", "both"):
            model.head.weight.grad[0, 0] = float("-inf")
        rows.append(unscaled(model, scaler))
        if i % 2:
            scaler.unscale_(head)
        scaler.step(body)
        scaler.step(head)
        scaler.update()
    steps = []
    if logdirs is not None:
        monitors = [body.gradhealth, head.gradhealth]
        steps = [monitor.step for monitor in monitors]
        assert [monitor.problems for monitor in monitors] == [0, 0]
        for monitor in monitors:
            monitor.close()
    return model, scaler, rows, steps


def of(rows: list[Step], module: str) -> list[Step]:
    return [{name: figures for name, figures in row.items() if name.startswith(module)} for row in rows]


def same_training(one: tuple[Net, Any, Any, Any], other: tuple[Net, Any, Any, Any]) -> None:
    assert one[1].state_dict() == other[1].state_dict()
    pairs = zip(one[0].parameters(), other[0].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_each_in_its_own_directory(tmp_path: Path, recording: Recording) -> None:
    watched = train((tmp_path / "body", tmp_path / "head"))
    same_training(watched, train(None))
    assert watched[3] == [STEPS, STEPS]
    recording.check(of(watched[2], "body"), total=False)
    recording.check(of(watched[2], "head"), total=False)
    for module, skipped in (("body", [2, 5]), ("head", [4, 5])):
        notes = notes_of(tmp_path / module)
        assert [(note.step, note.kind) for note in notes] == [(step, "skipped") for step in skipped]
        for note in notes:
            assert faults(note) == bad(of(watched[2], module)[note.step])


def test_beside_each_other(tmp_path: Path, recording: Recording) -> None:
    watched = train((tmp_path, None))
    same_training(watched, train(None))
    assert watched[3] == [STEPS, STEPS]
    learning = [{n: f for n, f in row.items() if not n.startswith("unused")} for row in watched[2]]
    recording.check(learning)
    found: dict[int, dict[str, Any]] = {}
    for note in notes_of(tmp_path):
        assert note.kind == "skipped"
        assert note.values["loss_scale"] > 0
        found.setdefault(note.step, {}).update(faults(note))
    assert found == {step: bad(watched[2][step]) for step in POISONED}
