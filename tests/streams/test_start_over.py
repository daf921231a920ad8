"""A checkpoint that is loaded within a row: what was looked at of the row before does not stand for what comes now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run


@pytest.mark.parametrize("loaded", [5, 6, 7, 4, 2])
def test_the_row_is_looked_at_again(tmp_path: Path, loaded: int) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False))
    torch.nn.init.ones_(model[0].weight)  # type: ignore[arg-type]
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer = GradHealthWriter(optimizer, model, logdir=tmp_path, every=4, activations=True, streams=["weights"])

    def step(value: int) -> None:
        x = torch.full((2, 1), float(value))
        optimizer.gradhealth.observe("x", x)
        model(x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for number in range(6):
        step(number)
    optimizer.gradhealth.observe("x", torch.full((2, 1), -1.0))  # before the checkpoint, so of no step
    optimizer.gradhealth.load_state_dict({"step": loaded})
    for number in range(loaded, 10):
        step(100 + number)
    assert optimizer.gradhealth.problems == 0
    optimizer.gradhealth.close()
    run = open_run(tmp_path)
    # By the first step that is left of each row; up to the checkpoint as they were.
    wanted = {0: 0.0} | ({4: 4.0} if loaded > 4 else {}) | {loaded: 100.0 + loaded}
    wanted |= {first: 100.0 + first for first in (4, 8) if first > loaded}
    for stream, node in (("inputs", "x"), ("activations", "0")):
        found = run.read(stream, "maximum", nodes=[node], view="max")
        assert dict(zip(found.steps[:, 0].tolist(), found.values[0].tolist(), strict=True)) == pytest.approx(wanted)
    weights = run.read("weights", "norm", nodes=["0.weight"], view="max")
    assert dict.fromkeys(weights.steps[:, 0].tolist(), 1.0) == pytest.approx(dict.fromkeys(wanted, 1.0))
