"""``optimizer.gradhealth.clip_grad_norm_`` on two ranks: by the norm of the whole model, wherever its parts lie."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch.distributed.tensor import DTensor

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.store.cells import Grid
from tests.boundary.recorded import run_of

from .configurations import Setup, ddp, fsdp2
from .launch import logs, run
from .model import Net
from .worker import _backward

STEPS, MAX_NORM = 3, 1e-2
BUILDS = (ddp, fsdp2)


def clipped(rank: int, processes: int, directory: Path) -> None:
    for build in BUILDS:
        watched, bare = build(Net()), build(Net())
        optimizer: Any = torch.optim.SGD(watched.model.parameters(), lr=0.01)
        plain = torch.optim.SGD(bare.model.parameters(), lr=0.01)
        where = directory / build.__name__
        optimizer = GradHealthWriter(optimizer, watched.model, logdir=where, every=1)
        for step in range(STEPS):
            with mock.patch.object(torch.nn.utils, "clip_grad_norm_", wraps=torch.nn.utils.clip_grad_norm_) as torchs:
                norm = _clipped(watched, optimizer, step, optimizer.gradhealth.clip_grad_norm_)
                assert torchs.called == (build is fsdp2), "torch clips what other ranks have parts of"
            right = _clipped(bare, plain, step, partial(torch.nn.utils.clip_grad_norm_, list(bare.model.parameters())))
            torch.testing.assert_close(_whole(norm), _whole(right), rtol=1e-6, atol=0)
            for mine, its in zip(watched.model.parameters(), bare.model.parameters(), strict=True):
                torch.testing.assert_close(_whole(mine.grad), _whole(its.grad), rtol=1e-5, atol=1e-8)
        assert optimizer.gradhealth.problems == 0
        optimizer.gradhealth.close()


def _clipped(setup: Setup, optimizer: Any, step: int, clip: Any) -> torch.Tensor:
    optimizer.zero_grad()
    _backward(setup, step, whole=False)
    norm: torch.Tensor = clip(MAX_NORM)
    assert _whole(norm).item() > MAX_NORM
    optimizer.step()
    return norm


def _whole(tensor: Any) -> torch.Tensor:
    found: torch.Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return torch.empty(0) if found is None else found.detach()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clipped")
    assert run(clipped, 2, directory, timeout=100) == [0, 0], logs(directory)
    return directory


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_what_is_recorded_is_clipped_and_what_was_before_is_not(build: Any, trained: Path) -> None:
    found = run_of(trained / build.__name__)
    assert found.streams() == ["gradients", "unclipped"]
    for stream, clipped_to in (("gradients", True), ("unclipped", False)):
        history = found.timeline(stream)
        assert history.end == STEPS
        norms = history.cells("norm", np.array([0]), Grid(0, 1, STEPS)).max[0].tolist()
        assert all((norm == pytest.approx(MAX_NORM, rel=2e-3)) == clipped_to for norm in norms)
