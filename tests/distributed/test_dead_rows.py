"""Dead rows on two ranks: those of the whole gradient, however its rows are spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter, open_run
from tests.streams.golden import Step, assert_rows, inside

from .configurations import Setup, ddp, fsdp2, tp
from .launch import logs, run
from .model import Net
from .record import gathered
from .worker import _backward

STEPS = 3
BUILDS = (ddp, fsdp2, tp)
#: Of what is sharded by columns no row is whole on any rank.
WITHOUT = {tp: {"down.weight"}}


def trained(rank: int, processes: int, directory: Path) -> None:
    for build in BUILDS:
        setup: Setup = build(Net())
        optimizer: Any = torch.optim.SGD(setup.model.parameters(), lr=0.01)
        where = directory / build.__name__
        optimizer = GradHealthWriter(optimizer, setup.model, logdir=where, every=1, streams=["dead_rows"])
        for step in range(STEPS):
            optimizer.zero_grad()
            _backward(setup, step, whole=False)
            gradients = gathered(setup.model)
            optimizer.step()
            if rank == 0:
                np.savez(directory / f"{build.__name__}-{step}.npz", **gradients)
        here = optimizer.gradhealth.dead_rows()
        assert here["up.weight"].tolist() == ([3, 6] if build is ddp else [[3], [2]][rank])
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dead_rows")
    assert run(trained, 2, directory, timeout=100) == [0, 0], logs(directory)
    return directory


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_the_rows_of_whole_gradients(build: Any, recorded: Path) -> None:
    sampled: dict[int, Step] = {}
    for step in range(STEPS):
        with np.load(recorded / f"{build.__name__}-{step}.npz") as found:
            wanted = [name for name in found if found[name].ndim > 1 and name not in WITHOUT.get(build, ())]
            sampled[step] = {name: found[name].astype(np.float64) for name in wanted}

    def share(step: int, names: Any) -> float:
        own = [sampled[step][name] for name in names if name in sampled[step]]
        dead = [(np.abs(one) < 1e-8).all(1) for one in own]
        return float(np.concatenate(dead).mean()) if dead else np.nan

    assert share(0, inside("up", list(sampled[0]))) == 0.25
    assert_rows(open_run(recorded / build.__name__), "dead_rows", sampled, {"dead_row_fraction": share})
